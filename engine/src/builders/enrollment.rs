//! The bodies of `enroll/request` and `enroll/poll`.

use std::fmt;

use crate::{
    config::bounds::AnonymousBounds,
    domain::{
        base64::{decode_public_key, decode_strict},
        json::{Json, JsonObject},
        mask::{masked, shown},
    },
};

/// A well-formed request to enroll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnrollmentRequest {
    /// The claimed host name, trimmed, not empty.
    pub hostname: String,
    /// The install code, trimmed, not empty. Never logged whole.
    pub code: String,
    /// The claimed key, SPKI DER; parsed only when it is to prove something.
    pub agent_pubkey_der: Vec<u8>,
    /// The agent's nonce, base64 as sent.
    pub client_nonce: String,
}

/// A well-formed poll.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnrollmentPoll {
    pub approval_reference: String,
    /// The agent's nonce, base64 as sent.
    pub client_nonce: String,
    /// The same, decoded.
    pub client_nonce_bytes: Vec<u8>,
    pub proof: Vec<u8>,
}

/// Fewer bytes than this are no key; more are only looked at when the key is to prove something.
const MIN_KEY_BYTES: usize = 10;
/// Fewer bytes than this are no nonce.
const MIN_NONCE_BYTES: usize = 16;

/// The field that keeps a request or poll from being well-formed; of several, the first in the order of the legacy's
/// page `enrollment`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EnrollmentFieldError {
    /// No host name.
    #[error("hostname_required")]
    HostnameRequired,
    /// The host name is longer than any.
    #[error("invalid_hostname")]
    LongHostname,
    /// No install code.
    #[error("enrollment_code_required")]
    CodeRequired,
    /// No key, or no text.
    #[error("agent_pubkey_required")]
    PubkeyRequired,
    /// No nonce, or no text.
    #[error("client_nonce_required")]
    NonceRequired,
    /// The key is no base64.
    #[error("invalid_agent_pubkey")]
    InvalidPubkey,
    /// The key is too short.
    #[error("invalid_agent_pubkey")]
    ShortPubkey,
    /// The key is longer than any.
    #[error("invalid_agent_pubkey")]
    LongPubkey,
    /// The nonce is no base64.
    #[error("invalid_client_nonce")]
    InvalidNonce,
    /// The nonce is too short.
    #[error("invalid_client_nonce")]
    ShortNonce,
    /// The nonce is longer than any.
    #[error("invalid_client_nonce")]
    LongNonce,
    /// No reference, or no text.
    #[error("approval_reference_required")]
    ReferenceRequired,
    /// No proof, or no text.
    #[error("proof_sig_required")]
    ProofRequired,
    /// The proof is no base64.
    #[error("invalid_proof_sig")]
    InvalidProof,
}

/// A text field of any JSON type: the legacy turns numbers and `true` into text.
fn text_of(body: &JsonObject, name: &str) -> Option<String> {
    body.get(name)
        .map(Json::python_text)
        .filter(|text| !text.is_empty())
}

/// A field that must be a text; another type counts as absent (the legacy breaks on some: ENR-1).
fn text_field<'a>(body: &'a JsonObject, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Json::as_text)
}

/// The fields of an `enroll/request` body, well-formed or not, as the log shows them.
#[derive(Debug)]
pub struct RequestSummary {
    /// The host name; empty where there is none.
    pub hostname: String,
    code_mask: String,
    pubkey_len: usize,
    nonce_len: usize,
}

impl RequestSummary {
    /// Looks at a body.
    pub fn of(body: &JsonObject) -> Self {
        Self {
            hostname: text_of(body, "hostname").unwrap_or_default(),
            code_mask: masked(&text_of(body, "enrollment_code").unwrap_or_default()),
            pubkey_len: text_field(body, "agent_pubkey").map_or(0, str::len),
            nonce_len: text_field(body, "client_nonce").map_or(0, str::len),
        }
    }
}

impl fmt::Display for RequestSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "hostname={} code_mask={} pubkey_len={} nonce_len={}",
            shown(&self.hostname),
            self.code_mask,
            self.pubkey_len,
            self.nonce_len
        )
    }
}

/// The fields of an `enroll/poll` body, well-formed or not, as the log shows them.
#[derive(Debug)]
pub struct PollSummary {
    /// The reference; empty where there is none.
    pub reference: String,
    nonce_len: usize,
    proof_len: usize,
}

impl PollSummary {
    /// Looks at a body.
    pub fn of(body: &JsonObject) -> Self {
        Self {
            reference: text_field(body, "approval_reference")
                .unwrap_or_default()
                .to_owned(),
            nonce_len: text_field(body, "client_nonce").map_or(0, str::len),
            proof_len: text_field(body, "proof_sig").map_or(0, str::len),
        }
    }
}

impl fmt::Display for PollSummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "ref={} client_nonce_len={} proof_sig_len={}",
            shown(&self.reference),
            self.nonce_len,
            self.proof_len
        )
    }
}

/// Reads the body of `enroll/request`, whose fields have these bounds.
///
/// # Errors
/// The first field that is missing, malformed or too long.
pub fn enrollment_request(
    body: &JsonObject,
    bounds: Option<&AnonymousBounds>,
) -> Result<EnrollmentRequest, EnrollmentFieldError> {
    use EnrollmentFieldError as Field;
    let hostname = text_of(body, "hostname").ok_or(Field::HostnameRequired)?;
    let code = text_of(body, "enrollment_code").ok_or(Field::CodeRequired)?;
    let pubkey = text_field(body, "agent_pubkey").ok_or(Field::PubkeyRequired)?;
    let client_nonce = text_field(body, "client_nonce").ok_or(Field::NonceRequired)?;
    if let Some(bounds) = bounds {
        for (length, most, error) in [
            (hostname.len(), bounds.hostname, Field::LongHostname),
            (pubkey.len(), bounds.public_key, Field::LongPubkey),
            (client_nonce.len(), bounds.nonce, Field::LongNonce),
        ] {
            if length > most {
                return Err(error);
            }
        }
    }
    let agent_pubkey_der = decode_public_key(pubkey).ok_or(Field::InvalidPubkey)?;
    if agent_pubkey_der.len() < MIN_KEY_BYTES {
        return Err(Field::ShortPubkey);
    }
    let nonce = decode_strict(client_nonce).ok_or(Field::InvalidNonce)?;
    if nonce.len() < MIN_NONCE_BYTES {
        return Err(Field::ShortNonce);
    }
    Ok(EnrollmentRequest {
        hostname,
        code,
        agent_pubkey_der,
        client_nonce: client_nonce.to_owned(),
    })
}

/// Reads the body of `enroll/poll`.
///
/// # Errors
/// The first field that is missing or malformed.
pub fn enrollment_poll(body: &JsonObject) -> Result<EnrollmentPoll, EnrollmentFieldError> {
    use EnrollmentFieldError as Field;
    let reference = text_field(body, "approval_reference")
        .filter(|text| !text.is_empty())
        .ok_or(Field::ReferenceRequired)?;
    let client_nonce = text_field(body, "client_nonce").ok_or(Field::NonceRequired)?;
    let proof = text_field(body, "proof_sig").ok_or(Field::ProofRequired)?;
    Ok(EnrollmentPoll {
        approval_reference: reference.to_owned(),
        client_nonce: client_nonce.to_owned(),
        client_nonce_bytes: decode_strict(client_nonce).ok_or(Field::InvalidNonce)?,
        proof: decode_strict(proof).ok_or(Field::InvalidProof)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{arbitrary::any_json, base64::encode};

    fn body<const N: usize>(fields: [(&str, Json); N]) -> JsonObject {
        match Json::object(fields) {
            Json::Object(body) => body,
            _ => unreachable!(),
        }
    }

    #[test]
    fn the_first_bad_field_in_the_contract_s_order_is_named() {
        let key = "MCowBQYDK2VwAyEAwfyKj/QDI/fI4yXW9Q6PHrlS8nUG4OW7InPE5g7rqUw=";
        let refused = |fields| enrollment_request(&fields, None).unwrap_err().to_string();
        assert_eq!(refused(body([])), "hostname_required");
        assert_eq!(
            refused(body([("hostname", " \u{1f} ".into())])),
            "hostname_required"
        );
        assert_eq!(
            refused(body([("hostname", "a".into())])),
            "enrollment_code_required"
        );
        let with = |pubkey: Json, nonce: Json| {
            body([
                ("hostname", "a".into()),
                ("enrollment_code", 7.into()),
                ("agent_pubkey", pubkey),
                ("client_nonce", nonce),
            ])
        };
        assert_eq!(refused(with(1.into(), "".into())), "agent_pubkey_required");
        assert_eq!(refused(with("".into(), Json::Null)), "client_nonce_required");
        assert_eq!(refused(with("".into(), "".into())), "invalid_agent_pubkey");
        assert_eq!(refused(with(key.into(), "AAAA".into())), "invalid_client_nonce");
        let read = enrollment_request(&with(key.into(), "AAAAAAAAAAAAAAAAAAAAAA==".into()), None).unwrap();
        assert_eq!((read.code.as_str(), read.agent_pubkey_der.len()), ("7", 44));
    }

    #[test]
    fn a_poll_needs_reference_nonce_and_proof() {
        let refused = |fields| enrollment_poll(&fields).unwrap_err().to_string();
        assert_eq!(
            refused(body([("approval_reference", "".into())])),
            "approval_reference_required"
        );
        assert_eq!(
            refused(body([("approval_reference", "r".into())])),
            "client_nonce_required"
        );
        let with = |nonce: &str, proof: Json| {
            body([
                ("approval_reference", "r".into()),
                ("client_nonce", nonce.into()),
                ("proof_sig", proof),
            ])
        };
        assert_eq!(refused(with("", true.into())), "proof_sig_required");
        assert_eq!(refused(with("!", "!".into())), "invalid_client_nonce");
        assert_eq!(refused(with("", "!".into())), "invalid_proof_sig");
        assert!(enrollment_poll(&with("", "".into())).is_ok());
    }

    /// The field that an error names.
    fn field_of(error: EnrollmentFieldError) -> &'static str {
        use EnrollmentFieldError as Field;
        match error {
            Field::HostnameRequired | Field::LongHostname => "hostname",
            Field::CodeRequired => "enrollment_code",
            Field::PubkeyRequired | Field::InvalidPubkey | Field::ShortPubkey | Field::LongPubkey => {
                "agent_pubkey"
            }
            Field::NonceRequired | Field::InvalidNonce | Field::ShortNonce | Field::LongNonce => {
                "client_nonce"
            }
            Field::ReferenceRequired => "approval_reference",
            Field::ProofRequired | Field::InvalidProof => "proof_sig",
        }
    }

    /// What is read once each field that is named was mended; `None` where mending it did not help.
    fn mended<T>(
        body: &mut JsonObject,
        read: impl Fn(&JsonObject) -> Result<T, EnrollmentFieldError>,
    ) -> Option<T> {
        let mut named = Vec::new();
        loop {
            let field = match read(body) {
                Ok(read) => return Some(read),
                Err(error) => field_of(error),
            };
            if named.contains(&field) {
                return None;
            }
            named.push(field);
            // Sixteen bytes as base64: good as a key, a nonce, a proof, and within the bounds below.
            body.insert(field.to_owned(), "AAAAAAAAAAAAAAAAAAAAAA==".into());
        }
    }

    fn any_body() -> impl Strategy<Value = JsonObject> {
        let value = || {
            prop_oneof![
                1 => Just(None),
                1 => any_json().prop_map(Some),
                2 => "\\PC{0,30}".prop_map(|text| Some(text.into())),
                4 => proptest::collection::vec(any::<u8>(), 0..48).prop_map(|bytes| Some(encode(&bytes).into())),
            ]
        };
        let names = [
            "hostname",
            "enrollment_code",
            "agent_pubkey",
            "client_nonce",
            "approval_reference",
            "proof_sig",
        ];
        proptest::array::uniform6(value()).prop_map(move |values| {
            let fields = names.into_iter().zip(values);
            fields
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn whoever_mends_the_field_that_is_named_is_heard_with_what_was_sent(sent in any_body(), bounded: bool) {
            let bounds = bounded.then(|| AnonymousBounds {
                hostname: 24,
                public_key: 40,
                nonce: 32,
                ..AnonymousBounds::default()
            });
            let mut body = sent;
            let request = mended(&mut body, |body| enrollment_request(body, bounds.as_ref()));
            let Some(request) = request else { panic!("{body:?}") };
            prop_assert!(!request.hostname.is_empty() && !request.code.is_empty());
            prop_assert_eq!(&request.hostname, &body["hostname"].python_text());
            prop_assert_eq!(&request.code, &body["enrollment_code"].python_text());
            prop_assert_eq!(Some(request.client_nonce.as_str()), body["client_nonce"].as_text());
            prop_assert!(request.agent_pubkey_der.len() >= MIN_KEY_BYTES);
            prop_assert!(decode_strict(&request.client_nonce).is_some_and(|nonce| nonce.len() >= MIN_NONCE_BYTES));
            if let Some(bounds) = bounds {
                prop_assert!(request.hostname.len() <= bounds.hostname);
                prop_assert!(request.client_nonce.len() <= bounds.nonce);
                prop_assert!(body["agent_pubkey"].as_text().unwrap().len() <= bounds.public_key);
            }
        }

        #[test]
        fn a_poll_reads_as_it_was_sent_once_the_fields_that_are_named_are_mended(sent in any_body()) {
            let mut body = sent;
            let Some(poll) = mended(&mut body, enrollment_poll) else { panic!("{body:?}") };
            let text = |name: &str| body[name].as_text().unwrap();
            prop_assert_eq!(poll.approval_reference.as_str(), text("approval_reference"));
            prop_assert!(!poll.approval_reference.is_empty());
            prop_assert_eq!(poll.client_nonce.as_str(), text("client_nonce"));
            prop_assert_eq!(Some(poll.client_nonce_bytes), decode_strict(text("client_nonce")));
            prop_assert_eq!(Some(poll.proof), decode_strict(text("proof_sig")));
        }
    }
}
