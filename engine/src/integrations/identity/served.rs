//! The certificate in use: what the listener serves and what agents get to pin, taken up anew when its files
//! change.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{CertificateFiles, IdentityError, certificate::Chain, files::failed};
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
    /// When the server's certificate in it ends.
    ends: Timestamp,
    /// Whether this server or the legacy made it.
    self_made: bool,
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
        let bundle = fs::read(&files.bundle).map_err(failed("read", &files.bundle))?;
        let key = fs::read(&files.key).map_err(failed("read", &files.key))?;
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
                ends: ends(&bundle),
                self_made: is_self_made(&bundle),
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

    /// Whether the certificate in use has ended at `now`.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.lock().ends <= now
    }

    /// Whether the certificate in use was made by this server or the legacy, so that browsers know nothing of its
    /// issuer.
    pub fn is_self_made(&self) -> bool {
        self.lock().self_made
    }

    /// Looks at the files, and takes up what is new in them. What cannot be used is logged once, and what was in use
    /// stays in use. True where something new came into use.
    pub fn look(&self) -> bool {
        // Held throughout: two looks at once must not put an older state in the place of a newer one.
        let mut state = self.lock();
        let (bundle, key) = match (fs::read(&self.files.bundle), fs::read(&self.files.key)) {
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
                state.ends = ends(&bundle);
                state.self_made = is_self_made(&bundle);
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

fn ends(bundle: &[u8]) -> Timestamp {
    Chain::read(bundle).map_or(Timestamp::MAX, |chain| chain.ends())
}

/// What cannot be read counts as self-made: nothing is promised for it.
fn is_self_made(bundle: &[u8]) -> bool {
    Chain::read(bundle).is_none_or(|chain| chain.is_self_made())
}

fn digest(bundle: &[u8], key: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update((bundle.len() as u64).to_be_bytes())
        .chain_update(bundle)
        .chain_update(key)
        .finalize()
        .into()
}
