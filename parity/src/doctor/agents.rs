//! Whether agents can verify the certificate that a server shows, with the bundle that they were given.

use std::path::{Path, PathBuf};

use rustls::CertificateError;

use super::{Answering, Findings, Patients};
use crate::target::{
    endpoint::Endpoint,
    tls::{TlsError, Verification, as_agents_do},
};

const SUBJECT: &str = "agents' certificate";
/// Where a root folder has what agents are given.
const BUNDLE: &str = "Certificates/Server/borealis-server-bundle.pem";
/// The variable that names another place.
const PLACE: &str = "BOREALIS_TLS_BUNDLE";

/// Holds what a side shows against each bundle that agents may have: that of the legacy, which those that are there keep,
/// and that of the engine, which those that come will get.
pub(super) async fn look(
    side: &'static str,
    answering: &Answering,
    patients: &Patients<'_>,
    findings: &mut Findings,
) {
    if !answering.endpoint.is_tls() {
        let found = "plain HTTP here; agents need TLS, from the server or from what stands in front of it";
        findings.ok(side, SUBJECT, found);
        return;
    }
    let bundles = bundles(side, answering.target.root(), patients);
    if bundles.is_empty() {
        findings.warning(
            side,
            SUBJECT,
            "not looked at: which bundle agents have is not known",
            &format!(
                "name a copy of {BUNDLE} (--bundle FILE), or the root folder (--legacy-root, --engine-root)"
            ),
        );
    }
    for (whose, bundle) in bundles {
        match verified(&answering.endpoint, &bundle).await {
            Ok(()) => findings.ok(side, SUBJECT, format!("{whose} verifies it")),
            Err(refusal) => findings.problem(
                side,
                SUBJECT,
                format!("agents with {whose} refuse the server: {}", refusal.reason),
                refusal.cure,
            ),
        }
    }
}

/// The bundles, and how each is called.
fn bundles(
    side: &'static str,
    own_root: Option<PathBuf>,
    patients: &Patients<'_>,
) -> Vec<(&'static str, PathBuf)> {
    let in_root = |root: &Path| root.join(BUNDLE);
    let of_engine = || {
        let place = patients.variables.get(PLACE).map(PathBuf::from);
        patients
            .engine_root
            .map(|root| place.map_or_else(|| in_root(root), |place| root.join(place)))
    };
    let here = match patients.bundle {
        Some(bundle) => Some(("the bundle of --bundle", bundle.to_owned())),
        None => patients
            .legacy_root
            .map(|root| ("the bundle in the legacy's root folder", in_root(root))),
    };
    let comes = match side {
        "engine" => of_engine().map(|path| ("the bundle in the engine's root folder", path)),
        _ => None,
    };
    let mut all: Vec<_> = here.into_iter().chain(comes).collect();
    if all.is_empty() {
        all.extend(own_root.map(|root| ("the bundle that it made", in_root(&root))));
    }
    all
}

/// Why agents do not connect, and what to do.
struct Refusal {
    reason: String,
    cure: &'static str,
}

async fn verified(endpoint: &Endpoint, bundle: &Path) -> Result<(), Refusal> {
    let config = as_agents_do(bundle).map_err(|error| Refusal {
        cure: match error {
            TlsError::File { .. } => {
                "name a file that can be read: what agents were given when they enrolled"
            }
            TlsError::NoRoot { .. } | TlsError::Library(_) => REPLACE,
        },
        reason: error.to_string(),
    })?;
    let Err(error) = endpoint.with_tls(config).dial().await else {
        return Ok(());
    };
    let refused = error.refused_certificate();
    // A certificate that issued itself and is an authority, too, is one that agents take if it is in their bundle.
    if matches!(refused, Some(CertificateError::Other(_)))
        && let Ok(config) = Verification::Certificate(bundle.to_owned()).config()
        && endpoint.with_tls(config).dial().await.is_ok()
    {
        return Ok(());
    }
    let cure = cure(refused);
    Err(Refusal {
        reason: error.to_string(),
        cure,
    })
}

const REPLACE: &str = "`borealis-engine certificate show` says more, and `certificate replace` makes a certificate that agents \
                       can verify: each of them needs the new bundle then";

fn cure(wrong: Option<&CertificateError>) -> &'static str {
    use CertificateError as Wrong;
    match wrong {
        None => "check that the server speaks TLS there",
        Some(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "have agents use a name of the certificate, or list this one in BOREALIS_TLS_NAMES and run `borealis-engine \
             certificate renew`"
        }
        Some(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            "start the engine over this root folder, or run `borealis-engine certificate renew`: its root issues the next one"
        }
        Some(Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) => "set the clock of this machine",
        // All roots that a server makes have one name, so another one's key is tried.
        Some(Wrong::UnknownIssuer | Wrong::BadSignature) => {
            "have the server, and a proxy in front of it, show the certificate that belongs to this bundle: copy the legacy's \
             whole root folder"
        }
        Some(_) => REPLACE,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::Error;

    use super::*;
    use crate::target::endpoint::DialError;

    #[test]
    fn each_way_to_refuse_a_certificate_has_its_cure() {
        let of = |wrong: CertificateError| {
            let source = io::Error::new(io::ErrorKind::InvalidData, Error::InvalidCertificate(wrong));
            cure(DialError::Tls("https://x".to_owned(), source).refused_certificate())
        };
        assert!(of(CertificateError::NotValidForName).contains("BOREALIS_TLS_NAMES"));
        assert!(of(CertificateError::Expired).contains("certificate renew"));
        assert!(of(CertificateError::NotValidYet).contains("clock"));
        assert!(of(CertificateError::UnknownIssuer).contains("copy the legacy's whole root folder"));
        assert!(of(CertificateError::BadSignature).contains("copy the legacy's whole root folder"));
        assert!(of(CertificateError::BadEncoding).contains("certificate replace"));
        let other = DialError::Late("https://x".to_owned());
        assert!(cure(other.refused_certificate()).contains("speaks TLS"));
    }
}
