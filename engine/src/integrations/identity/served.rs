//! The certificate in use: what the listener serves and what agents are told to pin, taken up anew when its files
//! change.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum_server::tls_rustls::RustlsConfig;
use sha2::{Digest as _, Sha256};

use super::{CertificateFiles, IdentityError};
use crate::integrations::tls;

/// The certificate in use. What its files hold is used only where certificate and key belong together.
#[derive(Debug)]
pub struct ServedCertificate {
    files: CertificateFiles,
    listener: Listener,
    state: Mutex<State>,
}

/// The listener's configuration, which has no text form.
struct Listener(RustlsConfig);

impl std::fmt::Debug for Listener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Listener(…)")
    }
}

#[derive(Debug)]
struct State {
    /// The text of the bundle in use.
    bundle: Arc<str>,
    /// What was looked at last, whether it came into use or not.
    seen: Seen,
}

/// What a look at the files found.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Seen {
    /// A digest of both files.
    Files([u8; 32]),
    /// Why they could not be read.
    Unreadable(String),
}

impl ServedCertificate {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn load(files: CertificateFiles) -> Result<Self, IdentityError> {
        let bundle = read(&files.bundle).map_err(|source| IdentityError::File {
            action: "read",
            path: files.bundle.clone(),
            source,
        })?;
        let key = read(&files.key).map_err(|source| IdentityError::File {
            action: "read",
            path: files.key.clone(),
            source,
        })?;
        let config = tls::server_config(&bundle, &key).map_err(|error| IdentityError::DoNotFit {
            certificate: files.bundle.clone(),
            key: files.key.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            files,
            listener: Listener(RustlsConfig::from_config(config)),
            state: Mutex::new(State {
                bundle: String::from_utf8_lossy(&bundle).into(),
                seen: Seen::Files(digest(&bundle, &key)),
            }),
        })
    }

    /// The listener's configuration; it follows what comes into use.
    pub fn listener(&self) -> RustlsConfig {
        self.listener.0.clone()
    }

    /// The text of the bundle in use.
    pub fn bundle(&self) -> Arc<str> {
        Arc::clone(&self.lock().bundle)
    }

    /// Looks at the files, and takes up what is new in them. What cannot be used is logged once, and what was in use
    /// stays in use. True where something new came into use.
    pub fn look(&self) -> bool {
        // Held throughout: two looks at once must not put an older state in the place of a newer one.
        let mut state = self.lock();
        let (bundle, key) = match (read(&self.files.bundle), read(&self.files.key)) {
            (Ok(bundle), Ok(key)) => (bundle, key),
            (Err(error), _) => {
                self.refuse(
                    &mut state,
                    Seen::Unreadable(format!("{}: {error}", self.files.bundle.display())),
                );
                return false;
            }
            (_, Err(error)) => {
                self.refuse(
                    &mut state,
                    Seen::Unreadable(format!("{}: {error}", self.files.key.display())),
                );
                return false;
            }
        };
        let seen = Seen::Files(digest(&bundle, &key));
        if state.seen == seen {
            return false;
        }
        match tls::server_config(&bundle, &key) {
            Ok(config) => {
                self.listener.0.reload_from_config(config);
                state.bundle = String::from_utf8_lossy(&bundle).into();
                state.seen = seen;
                tracing::info!(
                    "a renewed certificate came into use: {}",
                    self.files.bundle.display()
                );
                true
            }
            Err(error) => {
                tracing::error!(
                    "{} and {} cannot be used ({error}): the certificate that was in use stays in use",
                    self.files.bundle.display(),
                    self.files.key.display()
                );
                state.seen = seen;
                false
            }
        }
    }

    fn refuse(&self, state: &mut State, seen: Seen) {
        if state.seen == seen {
            return;
        }
        if let Seen::Unreadable(reason) = &seen {
            tracing::error!(
                "the certificate cannot be read ({reason}): the one that was in use stays in use"
            );
        }
        state.seen = seen;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    fs::read(path)
}

fn digest(bundle: &[u8], key: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update((bundle.len() as u64).to_be_bytes())
        .chain_update(bundle)
        .chain_update(key)
        .finalize()
        .into()
}
