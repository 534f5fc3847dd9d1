//! What agents get to verify the server with: its certificate bundle and its script signing key.

use std::sync::Arc;

use ed25519_dalek::SigningKey;

use super::script_signer::published_key;
use crate::integrations::identity::ServedCertificate;

/// What an enrolling agent pins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedIdentity {
    /// The text of the certificate bundle.
    pub server_certificate: String,
    /// The script-signing key: base64 of its SPKI DER.
    pub signing_key: String,
}

/// The identity for answers.
#[derive(Clone, Debug)]
pub struct IdentityPublisher {
    certificate: Arc<ServedCertificate>,
    signing_key: String,
}

impl IdentityPublisher {
    /// Publishes the certificate in use and the public half of `script_key`.
    pub fn new(certificate: Arc<ServedCertificate>, script_key: &SigningKey) -> Self {
        let signing_key = published_key(script_key);
        Self {
            certificate,
            signing_key,
        }
    }

    /// The script-signing key: base64 of its SPKI DER.
    pub fn signing_key(&self) -> &str {
        &self.signing_key
    }

    /// Whether this server made the certificate, so that no browser trusts it by itself.
    pub fn is_self_made(&self) -> bool {
        self.certificate.is_self_made()
    }

    /// The identity now. The files are looked at anew, because an operator may renew them while the server runs; what
    /// an agent is told is what the listener serves from then on.
    pub async fn published(&self) -> PublishedIdentity {
        let certificate = Arc::clone(&self.certificate);
        let looked = tokio::task::spawn_blocking(move || {
            certificate.look();
            certificate.bundle()
        });
        let bundle = looked.await.unwrap_or_else(|_| self.certificate.bundle());
        PublishedIdentity {
            server_certificate: bundle.to_string(),
            signing_key: self.signing_key.clone(),
        }
    }
}
