//! The answers of enrollment, and why it refuses.

use crate::{
    domain::{guid::Guid, mask::shown, proof::ProofError, rate_limit::RateLimited},
    repositories::StoreError,
    services::{
        device_access::tokens::SigningError, hosts::InvalidHostname, published_identity::PublishedIdentity,
    },
};

/// The answer to a request that waits for an operator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingEnrollment {
    /// What the agent polls with.
    pub approval_reference: String,
    /// What the agent signs, base64.
    pub server_nonce: String,
    /// What the agent pins.
    pub identity: PublishedIdentity,
}

/// What a poll learns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PollOutcome {
    /// No operator has decided yet.
    Pending,
    /// An operator said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// The tokens were handed out already.
    Finalized,
    /// The device has joined.
    Approved(Box<JoinedDevice>),
}

/// What a device gets once, with the first poll after the approval.
#[derive(Clone, Eq, PartialEq)]
pub struct JoinedDevice {
    pub guid: Guid,
    /// Its first access token.
    pub access_token: String,
    pub refresh_token: String,
    /// What it pins.
    pub identity: PublishedIdentity,
}

impl std::fmt::Debug for JoinedDevice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("JoinedDevice")
            .field("guid", &self.guid)
            .finish_non_exhaustive()
    }
}

/// Why a request to enroll is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Too many requests with this key.
    #[error("rate limited")]
    RateLimited(RateLimited),
    /// No device may be called so.
    #[error(transparent)]
    InvalidHostname(#[from] InvalidHostname),
    /// The code is unknown, ended or spent; the answer does not say which.
    #[error("the install code cannot be used")]
    InvalidCode,
    /// As many requests with this code as may wait for an operator do so already.
    #[error("too many requests with this code wait for a decision")]
    TooManyPending,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a poll is refused.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// Nobody asked under this reference.
    #[error("unknown approval reference")]
    UnknownReference,
    /// The nonce is not the one that was asked with.
    #[error("another client nonce")]
    NonceMismatch,
    /// The stored server nonce is no base64.
    #[error("the stored server nonce is unreadable")]
    ServerNonceInvalid,
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The proof was used for this before.
    #[error("the proof was used before")]
    Replayed,
    /// The row has a status that this server does not know.
    #[error("unexpected status {0:?}")]
    UnexpectedStatus(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl PollError {
    /// Logs why a poll under this reference is refused.
    pub(super) fn log(&self, reference: &str) {
        let reference = shown(reference);
        let reason = match self {
            Self::UnknownReference => "unknown_reference",
            Self::NonceMismatch => "nonce_mismatch",
            Self::ServerNonceInvalid => "invalid_server_nonce",
            Self::Proof(ProofError::UnreadableKey) => "invalid_pubkey",
            Self::Proof(ProofError::Invalid) => "invalid_proof",
            Self::Replayed => "replay_detected",
            Self::UnexpectedStatus(status) => {
                tracing::info!(unexpected_status = %shown(status), r#ref = %reference, "enrollment poll");
                return;
            }
            // Whoever answers logs what broke.
            Self::Store(_) | Self::Signing(_) => return,
        };
        tracing::info!(r#ref = %reference, "enrollment poll {reason}");
    }
}
