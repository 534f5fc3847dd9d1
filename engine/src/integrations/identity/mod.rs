//! The server's identity on disk: TLS certificate, code-signing key and token key, in the legacy's places and
//! formats. What is there is used byte for byte; what is missing is made.

mod certificate;
mod ed25519;
mod files;

use std::path::PathBuf;

use ed25519_dalek::SigningKey;

use crate::{
    config::settings::Settings,
    domain::{clock::Clock, random::Random},
};

/// The identity that agents pin and whose signatures they trust.
#[derive(Debug)]
pub struct ServerIdentity {
    /// The TLS certificate as it is told to agents and served: read anew for each answer, because an operator may
    /// replace it while the server runs.
    pub bundle: PathBuf,
    /// The TLS key.
    pub tls_key: PathBuf,
    /// Signs scripts.
    pub script_key: SigningKey,
    /// Signs device access tokens.
    pub token_key: SigningKey,
}

/// Why the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, written or moved.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A key file holds no usable Ed25519 key. It is never replaced: agents know it.
    #[error("{} holds no unencrypted Ed25519 key in PKCS#8 PEM form: restore it from a backup", path.display())]
    UnreadableKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("cannot make the server's certificate: {0}")]
    Certificate(String),
}

impl ServerIdentity {
    /// Finds the identity under the root, or makes what is missing of it.
    ///
    /// # Errors
    /// A file that cannot be used; files that were there stay as they were.
    pub fn load_or_create(
        settings: &Settings,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, IdentityError> {
        let folder = &settings.server_certificates;
        let runtime = &settings.runtime;
        let certificate = certificate::load_or_create(folder, &runtime.join("certs"), clock, random)?;
        let script_key = ed25519::load_or_create(
            &ed25519::KeyPlace {
                path: folder.join("Code-Signing/borealis-script-ed25519.key"),
                former: vec![
                    runtime.join("script_signing_keys/borealis-script-ed25519.key"),
                    runtime.join("keys/borealis-script-ed25519.key"),
                ],
                public_copy: true,
            },
            random,
        )?;
        let token_key = ed25519::load_or_create(
            &ed25519::KeyPlace {
                path: runtime.join("auth_keys/borealis-jwt-ed25519.key"),
                former: vec![runtime.join("keys/borealis-jwt-ed25519.key")],
                public_copy: false,
            },
            random,
        )?;
        Ok(Self {
            bundle: certificate.bundle,
            tls_key: certificate.key,
            script_key,
            token_key,
        })
    }
}

#[cfg(test)]
mod tests;
