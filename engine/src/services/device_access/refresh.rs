//! Devices trade their refresh token for a new access token.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    builders::device_access::refresh::RefreshRequest,
    domain::{
        devices::DeviceIdentity,
        digest::sha256_hex,
        dpop::PresentedProof,
        refresh_tokens::{RefreshToken, UsedRefreshToken},
        timestamp::parse_iso,
    },
    repositories::{Store, StoreError},
    services::{
        Environment,
        device_access::{
            dpop::{DpopError, Proofs},
            tokens::{AccessTokens, SigningError},
        },
    },
};

/// Why there is no new access token; of several reasons, the first in the order of the legacy's page `device_auth`.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// This device was never given this token.
    #[error("unknown refresh token")]
    InvalidToken,
    /// It was ended.
    #[error("the refresh token is revoked")]
    TokenRevoked,
    /// Its time is over.
    #[error("the refresh token has expired")]
    TokenExpired,
    /// The device has gone.
    #[error("unknown device")]
    DeviceNotFound,
    /// The device may do nothing.
    #[error("the device is revoked")]
    DeviceRevoked,
    /// The DPoP proof that came with the request is refused.
    #[error(transparent)]
    Proof(#[from] DpopError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Renews access tokens.
#[derive(Debug)]
pub struct RefreshService {
    store: Arc<dyn Store>,
    environment: Environment,
    tokens: AccessTokens,
    proofs: Arc<Proofs>,
}

impl RefreshService {
    /// Over this store; signs with `tokens`.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        tokens: AccessTokens,
        proofs: Arc<Proofs>,
    ) -> Self {
        Self {
            store,
            environment,
            tokens,
            proofs,
        }
    }

    /// A new access token. The refresh token stays what it was, but that a proof binds it to the device's key; without
    /// a proof the binding stays, and is not insisted on (DEV-2).
    ///
    /// # Errors
    /// [`RefreshError`]; nothing is written then.
    pub async fn refresh(
        &self,
        request: &RefreshRequest,
        proof: Option<&PresentedProof>,
    ) -> Result<String, RefreshError> {
        let now = self.environment.now();
        let (token, device) = self.redeem(request, now.time).await?;
        let fingerprint = device.fingerprint.as_deref().unwrap_or_default();
        let dpop_jkt = proof
            .map(|proof| self.proofs.accept(proof, None, fingerprint))
            .transpose()?;
        let access_token = self.tokens.issue(
            &request.guid,
            fingerprint,
            device.token_version.filter(|version| *version != 0).unwrap_or(1),
            now.time.as_second(),
        )?;
        // A token that is revoked at this very moment was good when it was looked at: this refresh came first.
        self.store
            .note_refresh(UsedRefreshToken {
                id: token.id,
                used_at: now.iso,
                dpop_jkt,
            })
            .await?;
        Ok(access_token)
    }

    /// The stored token and its device, if both are good.
    async fn redeem(
        &self,
        request: &RefreshRequest,
        now: Timestamp,
    ) -> Result<(RefreshToken, DeviceIdentity), RefreshError> {
        let (token, device) = self
            .store
            .refresh_token_of_call(&request.guid, &sha256_hex(request.refresh_token.as_bytes()))
            .await?
            .ok_or(RefreshError::InvalidToken)?;
        if token.revoked_at.as_deref().is_some_and(|at| !at.is_empty()) {
            return Err(RefreshError::TokenRevoked);
        }
        let end = token.expires_at.as_deref().unwrap_or_default().trim();
        // A time without a zone is UTC, and one that cannot be read is over (the legacy lets both live for ever:
        // DEV-12).
        if !end.is_empty() && parse_iso(end).is_none_or(|end| end <= now) {
            return Err(RefreshError::TokenExpired);
        }
        let device = device.ok_or(RefreshError::DeviceNotFound)?;
        let status = device.status.as_deref().unwrap_or_default().trim().to_lowercase();
        if matches!(status.as_str(), "revoked" | "decommissioned") {
            return Err(RefreshError::DeviceRevoked);
        }
        Ok((token, device))
    }
}

#[cfg(test)]
mod tests;
