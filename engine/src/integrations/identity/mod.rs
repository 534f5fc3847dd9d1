//! The server's identity on disk: TLS certificate, code-signing key, token key and the keys that seal secrets, in the
//! legacy's places and formats. What is there is used byte for byte; what is missing is made.

mod certificate;
mod ed25519;
mod files;
pub mod sealing_key;

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use jiff::Timestamp;

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
    /// The file of the sealing key holds something else. It is never replaced: what is sealed would be lost.
    #[error("{} holds no Fernet key (44 characters of base64): restore it from a backup", path.display())]
    UnreadableSealingKey {
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
        let script_key = ed25519::load_or_create(&script_key_place(settings), random)?;
        let token_key = ed25519::load_or_create(&token_key_place(settings), random)?;
        Ok(Self {
            bundle: certificate.bundle,
            tls_key: certificate.key,
            script_key,
            token_key,
        })
    }

    /// Looks at what [`ServerIdentity::load_or_create`] would find; changes nothing.
    pub fn inspect(settings: &Settings, clock: &dyn Clock) -> IdentityState {
        IdentityState {
            certificate: certificate::inspect(
                &settings.server_certificates,
                &settings.runtime.join("certs"),
                clock,
            ),
            script_key: ed25519::inspect(&script_key_place(settings)),
            token_key: ed25519::inspect(&token_key_place(settings)),
        }
    }
}

/// The certificate that would be served, and its key, where both lie in the present folder.
pub fn served_files(settings: &Settings) -> (PathBuf, PathBuf) {
    certificate::served_files(&settings.server_certificates)
}

/// What lies on disk of the identity.
#[derive(Debug)]
pub struct IdentityState {
    /// The TLS certificate and its key.
    pub certificate: PartState,
    /// The key that signs scripts.
    pub script_key: PartState,
    /// The key that signs device access tokens.
    pub token_key: PartState,
}

/// What a start would find of one part of the identity.
#[derive(Debug)]
pub enum PartState {
    /// It is there and can be used.
    Present(PathBuf),
    /// It lies where older versions kept it, and would be moved.
    Former {
        /// Where it lies.
        from: PathBuf,
        /// Where it would go.
        to: PathBuf,
    },
    /// It is not there, and would be made.
    Missing(PathBuf),
    /// A certificate that has ended, and would be replaced.
    Expired {
        /// The file.
        path: PathBuf,
        /// When it ended.
        ended: Timestamp,
    },
    /// A certificate that cannot be understood or lacks its key, and would be replaced.
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It is there and keeps the server from starting.
    Unusable(IdentityError),
}

fn script_key_place(settings: &Settings) -> ed25519::KeyPlace {
    let runtime: &Path = &settings.runtime;
    ed25519::KeyPlace {
        path: settings
            .server_certificates
            .join("Code-Signing/borealis-script-ed25519.key"),
        former: vec![
            runtime.join("script_signing_keys/borealis-script-ed25519.key"),
            runtime.join("keys/borealis-script-ed25519.key"),
        ],
        public_copy: true,
    }
}

fn token_key_place(settings: &Settings) -> ed25519::KeyPlace {
    let runtime: &Path = &settings.runtime;
    ed25519::KeyPlace {
        path: runtime.join("auth_keys/borealis-jwt-ed25519.key"),
        former: vec![runtime.join("keys/borealis-jwt-ed25519.key")],
        public_copy: false,
    }
}

#[cfg(test)]
mod tests;
