//! What certificates say apart from their keys, serial numbers and signatures.

use super::time;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const SUBJECT_KEY_ID: &str = "2.5.29.14";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The comparable parts of the first certificate in PEM; those behind it stand in its member `chain`.
pub(crate) fn parts(pem: &str, started_at_us: i64) -> Option<Value> {
    let chain = Certificate::load_pem_chain(pem.trim().as_bytes()).ok()?;
    let mut parts = chain
        .iter()
        .map(|certificate| parts_of(certificate, started_at_us));
    let mut first = parts.next()??;
    let others = parts.collect::<Option<Vec<_>>>()?;
    if !others.is_empty() {
        first
            .as_object_mut()?
            .insert("chain".to_owned(), Value::Array(others));
    }
    Some(first)
}

fn parts_of(certificate: &Certificate, started_at_us: i64) -> Option<Value> {
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
        "lifetime_days": until.saturating_sub(from) / 86_400,
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
