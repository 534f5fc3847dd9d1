//! What certificates say apart from their keys, serial numbers and signatures.

use super::time;
use crate::transcript::{Body, Left};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// How a certificate in PEM begins.
pub(super) const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The certificates in the files that a server left; those that stand in a file by themselves are signed by one of another.
pub(super) fn left(left: Option<&Left>) -> Vec<Certificate> {
    let contents = left.into_iter().flat_map(|left| left.files.values());
    let texts = contents.filter_map(|file| match &file.content {
        Some(Body::Text(text)) if text.starts_with(BEGIN) => Some(text),
        _ => None,
    });
    texts
        .filter_map(|text| Certificate::load_pem_chain(text.trim().as_bytes()).ok())
        .flatten()
        .collect()
}

/// The comparable parts of the first certificate in PEM; those behind it stand in its member `chain`. `left` are those of
/// the files that the server left.
pub(super) fn parts(pem: &str, started_at_us: i64, left: &dyn Fn() -> Vec<Certificate>) -> Option<Value> {
    let chain = Certificate::load_pem_chain(pem.trim().as_bytes()).ok()?;
    let mut parts = chain
        .iter()
        .map(|certificate| parts_of(certificate, &chain, started_at_us, left));
    let mut first = parts.next()??;
    let others = parts.collect::<Option<Vec<_>>>()?;
    if !others.is_empty() {
        first
            .as_object_mut()?
            .insert("chain".to_owned(), Value::Array(others));
    }
    Some(first)
}

/// How many characters a line of PEM has that is not the last one.
const LINE: usize = 64;

/// Whether a text is written as programs write PEM: lines of 64 characters, and each, the last one too, ends.
pub(super) fn is_usual(pem: &str) -> bool {
    let mut lines = pem.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let Some(line) = line.strip_suffix('\n') else {
            return false;
        };
        let is_last = lines.peek().is_none_or(|next| next.starts_with('-'));
        let fits = match line.starts_with('-') {
            true => line == BEGIN || line == END,
            false => line.len() == LINE || (is_last && (1..=LINE).contains(&line.len())),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// Whose key made a certificate's signature. The certificates are those that stand together with it, and those in files.
fn signed_by(
    certificate: &Certificate,
    chain: &[Certificate],
    left: &dyn Fn() -> Vec<Certificate>,
) -> &'static str {
    let by = |other: &Certificate| signature_fits(certificate, other).unwrap_or_default();
    if by(certificate) {
        "its own key"
    } else if chain.iter().any(by) {
        "the key of one that stands beside it"
    } else if left().iter().any(by) {
        "the key of one that a file holds"
    } else {
        "a key that is not there"
    }
}

/// Whether the key of `issuer` made the signature of `certificate`; nothing where it is of another kind than the
/// servers' keys are, ECDSA on P-384 with SHA-384.
fn signature_fits(certificate: &Certificate, issuer: &Certificate) -> Option<bool> {
    use p384::ecdsa::{DerSignature, VerifyingKey, signature::Verifier as _};
    let key = issuer
        .tbs_certificate()
        .subject_public_key_info()
        .subject_public_key
        .as_bytes()?;
    let key = VerifyingKey::from_sec1_bytes(key).ok()?;
    let signature = DerSignature::from_bytes(certificate.signature().as_bytes()?).ok()?;
    let signed = certificate.tbs_certificate().to_der().ok()?;
    Some(key.verify(&signed, &signature).is_ok())
}

fn parts_of(
    certificate: &Certificate,
    chain: &[Certificate],
    started_at_us: i64,
    left: &dyn Fn() -> Vec<Certificate>,
) -> Option<Value> {
    let tbs = certificate.tbs_certificate();
    let seconds =
        |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let (from, until) = (
        seconds(&tbs.validity().not_before),
        seconds(&tbs.validity().not_after),
    );
    let offset = from.saturating_mul(1_000_000).saturating_sub(started_at_us);
    let not_before = if time::plausible(offset) {
        time::stamp("epoch", offset)
    } else {
        json!(from)
    };
    let key = &tbs.subject_public_key_info().algorithm;
    let curve = key
        .parameters
        .as_ref()
        .and_then(|any| any.decode_as::<x509_cert::der::oid::ObjectIdentifier>().ok());
    let mut names = Vec::new();
    let mut extensions = Vec::new();
    for extension in tbs.extensions().into_iter().flatten() {
        let id = extension.extn_id.to_string();
        let bytes = extension.extn_value.as_bytes();
        let mut entry = json!({ "id": id, "critical": extension.critical });
        match id.as_str() {
            SUBJECT_ALT_NAME => names.extend(SubjectAltName::from_der(bytes).ok()?.0.iter().map(alternative)),
            // Made from the key, so as volatile as the key is.
            SUBJECT_KEY_ID | AUTHORITY_KEY_ID => {
                entry
                    .as_object_mut()?
                    .insert("size".to_owned(), json!(bytes.len()));
            }
            _ => {
                entry
                    .as_object_mut()?
                    .insert("value".to_owned(), json!(hex(bytes)));
            }
        }
        extensions.push(entry);
    }
    Some(json!({
        "subject": tbs.subject().to_string(),
        "issuer": tbs.issuer().to_string(),
        "key": key.oid.to_string(),
        "curve": curve.map(|oid| oid.to_string()),
        "signature_algorithm": certificate.signature_algorithm().oid.to_string(),
        "alternative_names": names,
        "extensions": extensions,
        "not_before": not_before,
        "lifetime_s": until.saturating_sub(from),
        "signed_by": signed_by(certificate, chain, left),
    }))
}

fn alternative(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("dns:{}", name.as_str()),
        GeneralName::IpAddress(address) => format!("ip:{}", hex(address.as_bytes())),
        GeneralName::Rfc822Name(name) => format!("mail:{}", name.as_str()),
        GeneralName::UniformResourceIdentifier(uri) => format!("uri:{}", uri.as_str()),
        other => format!("{other:?}"),
    }
}
