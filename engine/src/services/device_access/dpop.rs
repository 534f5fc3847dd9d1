//! Whether a DPoP proof is by the device's key, and new.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    domain::{dpop::PresentedProof, replay::ReplayMemory},
    services::Environment,
};

/// How long a proof's `jti` is remembered: as long as a proof may be old.
const MEMORY: Duration = Duration::from_secs(300);
/// How many are remembered. More than three thousand proofs a second would fill it.
const CAPACITY: usize = 1 << 20;

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DpopError {
    /// It is malformed, does not fit the request, is too old, or is not by the device's key.
    #[error("the DPoP proof is invalid")]
    Invalid,
    /// Its `jti` was used before, with whatever key and on whatever route.
    #[error("the DPoP proof was used before")]
    Replayed,
}

/// Checks proofs; one for the whole server.
#[derive(Debug)]
pub struct Proofs {
    environment: Environment,
    used: Mutex<ReplayMemory>,
}

impl Proofs {
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            used: Mutex::new(ReplayMemory::new(MEMORY, CAPACITY)),
        }
    }

    /// Takes a proof by the key with this fingerprint, and answers the key's RFC 7638 thumbprint. `access_token` is
    /// the one that came with the proof.
    ///
    /// The legacy compares the key with nothing (DEV-2).
    ///
    /// # Errors
    /// [`DpopError`]; an invalid proof does not use up its `jti`.
    pub fn accept(
        &self,
        presented: &PresentedProof,
        access_token: Option<&str>,
        fingerprint: &str,
    ) -> Result<String, DpopError> {
        let proof = presented
            .check(access_token, self.environment.clock.now())
            .filter(|proof| proof.fingerprint.eq_ignore_ascii_case(fingerprint.trim()))
            .ok_or(DpopError::Invalid)?;
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&proof.jti, self.environment.clock.monotonic())
            .map_err(|_| DpopError::Replayed)?;
        Ok(proof.thumbprint)
    }
}
