//! What the server tells agents of itself.

use std::path::PathBuf;

use ed25519_dalek::SigningKey;

use super::script_signer::published_key;

/// What an enrolling agent pins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublishedIdentity {
    /// The text of the certificate bundle; empty where it cannot be read, as in the legacy.
    pub server_certificate: String,
    /// The script-signing key: base64 of its SPKI DER.
    pub signing_key: String,
}

/// Reads the identity for answers.
#[derive(Clone, Debug)]
pub struct IdentityPublisher {
    bundle: PathBuf,
    signing_key: String,
}

impl IdentityPublisher {
    /// Publishes the bundle file and the public half of `script_key`.
    pub fn new(bundle: PathBuf, script_key: &SigningKey) -> Self {
        let signing_key = published_key(script_key);
        Self { bundle, signing_key }
    }

    /// The script-signing key: base64 of its SPKI DER.
    pub fn signing_key(&self) -> &str {
        &self.signing_key
    }

    /// The identity now: the file is read anew, because an operator may replace it while the server runs.
    pub async fn published(&self) -> PublishedIdentity {
        let server_certificate = tokio::fs::read_to_string(&self.bundle).await.unwrap_or_else(|error| {
            tracing::warn!(bundle = %self.bundle.display(), %error, "the certificate bundle cannot be read");
            String::new()
        });
        PublishedIdentity {
            server_certificate,
            signing_key: self.signing_key.clone(),
        }
    }
}
