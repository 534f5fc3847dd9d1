//! The names of a server's certificate: those that only this server has a replay has to be told.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::{channel::Channel, plan::Plan, summary::Summary};

/// What names them to a server.
const VARIABLE: &str = "BOREALIS_TLS_NAMES";
/// Every server's certificate has these.
const USUAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Tells of names that nobody has told the replay.
pub(super) fn tell(channel: &Channel, plan: &Plan, summary: &mut Summary) {
    if plan.env.iter().any(|(name, _)| name == VARIABLE) {
        return;
    }
    let mut bodies = channel
        .others
        .iter()
        .map(|exchange| &exchange.answered.body.bytes);
    if let Some(names) = bodies.find_map(|body| own_names(body))
        && !names.is_empty()
    {
        let names = names.join(",");
        summary.note(format!(
            "the server's certificate is for {names} too, which a replay's is not: record with `--env {VARIABLE}={names}`, or \
             write that into the scenario's `env`"
        ));
    }
}

/// The unusual names of the certificate that an answer hands out; nothing where it hands out none.
fn own_names(body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = body.get("server_certificate")?.as_str()?;
    let first = CertificateDer::pem_slice_iter(text.as_bytes()).next()?.ok()?;
    let certificate = Certificate::from_der(&first).ok()?;
    let mut names = Vec::new();
    for extension in certificate.tbs_certificate().extensions().into_iter().flatten() {
        let alternatives = SubjectAltName::from_der(extension.extn_value.as_bytes());
        // Another extension has another form.
        for name in alternatives.into_iter().flat_map(|names| names.0) {
            if let GeneralName::DnsName(name) = name
                && !USUAL.contains(&name.as_str())
                && !names.iter().any(|known| known == name.as_str())
            {
                names.push(name.as_str().to_owned());
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_only_this_server_has_are_found() {
        let answer = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            json!({"server_certificate": made.cert.pem()}).to_string()
        };
        let of = |body: &str| own_names(body.as_bytes());
        assert_eq!(of(&answer(&["localhost", "127.0.0.1"])), Some(vec![]));
        assert_eq!(
            of(&answer(&["localhost", "vm", "borealis.example"])),
            Some(vec!["vm".to_owned(), "borealis.example".to_owned()])
        );
        for other in ["", "{}", "[]", r#"{"server_certificate": "none"}"#] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
