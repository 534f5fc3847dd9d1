//! The answers of every service's errors, in one place; large areas have files of their own below.

mod assemblies;
mod credentials;
mod inventory;
mod operators;
mod scheduler;

mod device_reports;

use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::compat::{
    error_page::ErrorPage,
    reply::{Answer, Failure, Status},
};
use crate::{
    builders::{
        agents::provision::IncompleteProvision, device_access::refresh::InvalidRefresh,
        enrollment::EnrollmentFieldError, github::InvalidToken, install_codes::InvalidTtl,
    },
    domain::{proof::ProofError, rate_limit::RateLimited, repository_head::InvalidBranch},
    services::{
        StoreError,
        approvals::DecisionError,
        device_access::{
            authentication::AuthenticationError, dpop::DpopError, refresh::RefreshError, tokens::TokenError,
        },
        device_reports::heartbeat::HeartbeatError,
        enrollment::{PollError, RequestError},
        github::{StoreTokenError, UnreadableId},
        hosts::InvalidHostname,
        proxy::ProxyError,
    },
};

/// The 500 page. The cause goes to the log, never to the client.
pub fn internal(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "internal error");
    ErrorPage::Internal.into_response()
}

/// A failure of a route that answers all of them as JSON. The cause goes to the log, never to the client.
pub fn json_failure(error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "internal error");
    Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response()
}

fn bad_request(word: &str) -> Response {
    Answer::error(StatusCode::BAD_REQUEST, word).into_response()
}

/// A failure of the database, on a route that answers with the database's own words as the legacy does.
#[allow(
    clippy::needless_pass_by_value,
    reason = "it stands where an error is handed over"
)]
pub fn database_error(error: StoreError) -> Response {
    if !matches!(error.root(), StoreError::Database(_) | StoreError::Busy) {
        return json_failure(&error);
    }
    tracing::error!("{error}");
    Answer::error(StatusCode::INTERNAL_SERVER_ERROR, error.database_message()).into_response()
}

/// A failure of the database while it is asked who calls, which the legacy does not ask: 503 while others have it, else
/// its own words.
pub fn unknown_caller(error: StoreError) -> Response {
    if error.is_busy() {
        error.into_response()
    } else {
        database_error(error)
    }
}

/// Seconds after which a request that found the database busy may be sent again.
const RETRY_AFTER_BUSY: HeaderValue = HeaderValue::from_static("5");

impl IntoResponse for ProxyError {
    fn into_response(self) -> Response {
        match self {
            Self::Forbidden(_) => Answer::error(StatusCode::FORBIDDEN, "forbidden_target"),
            Self::Failed(_) => Answer::error(StatusCode::BAD_GATEWAY, "upstream request failed"),
        }
        .into_response()
    }
}

impl IntoResponse for StoreError {
    /// Where the legacy's pages name no answer of the route's own: 503 while others have the database, else the 500
    /// page.
    fn into_response(self) -> Response {
        if !self.is_busy() {
            return internal(&self);
        }
        tracing::warn!(error = %self, "a request was answered with 503");
        let mut response = Answer::error(StatusCode::SERVICE_UNAVAILABLE, "database_busy").into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, RETRY_AFTER_BUSY);
        response
    }
}

/// When a request to join may find the others decided.
const PENDING_RETRY: Duration = Duration::from_secs(60);

/// When to come again, in seconds.
#[derive(Serialize)]
struct RetryAfter {
    error: &'static str,
    retry_after: f64,
}

impl IntoResponse for RateLimited {
    /// `Retry-After` in whole seconds, rounded down, at least 1; the body has the fraction.
    fn into_response(self) -> Response {
        let body = RetryAfter {
            error: "rate_limited",
            retry_after: self.retry_after.as_secs_f64(),
        };
        too_many_requests(self, body)
    }
}

fn too_many_requests(limited: RateLimited, body: impl Serialize) -> Response {
    let mut response = Answer::new(StatusCode::TOO_MANY_REQUESTS, body).into_response();
    let seconds = HeaderValue::from(limited.retry_after.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

impl IntoResponse for EnrollmentFieldError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::HostnameRequired => "hostname_required",
            Self::LongHostname => "invalid_hostname",
            Self::CodeRequired => "enrollment_code_required",
            Self::PubkeyRequired => "agent_pubkey_required",
            Self::NonceRequired => "client_nonce_required",
            Self::InvalidPubkey | Self::ShortPubkey | Self::LongPubkey => "invalid_agent_pubkey",
            Self::InvalidNonce | Self::ShortNonce | Self::LongNonce => "invalid_client_nonce",
            Self::ReferenceRequired => "approval_reference_required",
            Self::ProofRequired => "proof_sig_required",
            Self::InvalidProof => "invalid_proof_sig",
        })
    }
}

impl IntoResponse for InvalidHostname {
    fn into_response(self) -> Response {
        bad_request("invalid_hostname")
    }
}

impl IntoResponse for InvalidTtl {
    fn into_response(self) -> Response {
        bad_request("invalid_ttl")
    }
}

impl IntoResponse for IncompleteProvision {
    fn into_response(self) -> Response {
        bad_request("Missing agent_id or roles[] in provision payload.")
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        match self {
            Self::RateLimited(limited) => limited.into_response(),
            Self::InvalidHostname(error) => error.into_response(),
            Self::InvalidCode => bad_request("invalid_enrollment_code"),
            Self::TooManyPending => {
                let retry_after = PENDING_RETRY;
                let body = Failure::new("too_many_pending_requests");
                too_many_requests(RateLimited { retry_after }, body)
            }
            Self::Store(error) => error.into_response(),
        }
    }
}

impl IntoResponse for PollError {
    fn into_response(self) -> Response {
        let status = |status, word: Cow<'static, str>| Answer::new(status, Status::new(word)).into_response();
        match self {
            Self::UnknownReference => status(StatusCode::NOT_FOUND, "unknown".into()),
            Self::NonceMismatch => bad_request("nonce_mismatch"),
            Self::ServerNonceInvalid => bad_request("server_nonce_invalid"),
            Self::Proof(ProofError::UnreadableKey) => bad_request("agent_pubkey_invalid"),
            Self::Proof(ProofError::Invalid) => bad_request("invalid_proof"),
            Self::Replayed => Answer::error(StatusCode::CONFLICT, "proof_replayed").into_response(),
            Self::UnexpectedStatus(word) => status(StatusCode::BAD_REQUEST, word.into()),
            Self::Store(error) => error.into_response(),
            Self::Signing(error) => internal(&error),
        }
    }
}

/// The host name that somebody else has.
#[derive(Serialize)]
struct HostnameConflict {
    error: &'static str,
    hostname: String,
}

impl IntoResponse for DecisionError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => Answer::error(StatusCode::NOT_FOUND, "not_found").into_response(),
            Self::InvalidHostname(error) => error.into_response(),
            Self::NotPending => Answer::error(StatusCode::CONFLICT, "approval_not_pending").into_response(),
            Self::ConflictUnresolved { hostname } => {
                let body = HostnameConflict {
                    error: "conflict_resolution_required",
                    hostname,
                };
                Answer::new(StatusCode::CONFLICT, body).into_response()
            }
            Self::Store(error) => error.into_response(),
        }
    }
}

impl IntoResponse for InvalidRefresh {
    fn into_response(self) -> Response {
        bad_request("invalid_request")
    }
}

impl IntoResponse for DpopError {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::Invalid => "dpop_invalid",
            Self::Replayed => "dpop_replayed",
        })
    }
}

impl IntoResponse for AuthenticationError {
    fn into_response(self) -> Response {
        let reply = |status, word| Answer::error(status, word).into_response();
        match self {
            Self::Token(TokenError::Invalid) => reply(StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Token(TokenError::Expired) => reply(StatusCode::UNAUTHORIZED, "token_expired"),
            Self::InvalidClaims => reply(StatusCode::UNAUTHORIZED, "invalid_claims"),
            Self::RateLimited(limited) => too_many_requests(limited, Failure::new("rate_limited")),
            Self::DeviceNotFound => reply(StatusCode::FORBIDDEN, "device_not_found"),
            Self::FingerprintMismatch => reply(StatusCode::FORBIDDEN, "fingerprint_mismatch"),
            Self::TokenVersionRevoked => reply(StatusCode::UNAUTHORIZED, "token_version_revoked"),
            Self::DeviceRevoked => reply(StatusCode::FORBIDDEN, "device_revoked"),
            Self::Proof(error) => error.into_response(),
            Self::Store(error) => error.into_response(),
        }
    }
}

impl IntoResponse for RefreshError {
    fn into_response(self) -> Response {
        let reply = |status, word| Answer::error(status, word).into_response();
        match self {
            Self::InvalidToken => reply(StatusCode::UNAUTHORIZED, "invalid_refresh_token"),
            Self::TokenRevoked => reply(StatusCode::UNAUTHORIZED, "refresh_token_revoked"),
            Self::TokenExpired => reply(StatusCode::UNAUTHORIZED, "refresh_token_expired"),
            Self::DeviceNotFound => reply(StatusCode::NOT_FOUND, "device_not_found"),
            Self::DeviceRevoked => reply(StatusCode::FORBIDDEN, "device_revoked"),
            Self::Proof(error) => error.into_response(),
            Self::Store(error) => error.into_response(),
            Self::Signing(error) => internal(&error),
        }
    }
}

impl IntoResponse for HeartbeatError {
    fn into_response(self) -> Response {
        match self {
            Self::NotRegistered => {
                Answer::error(StatusCode::NOT_FOUND, "device_not_registered").into_response()
            }
            Self::InvalidHostname(error) => error.into_response(),
            Self::Store(error) => error.into_response(),
        }
    }
}

impl IntoResponse for InvalidBranch {
    fn into_response(self) -> Response {
        bad_request(match self {
            Self::Repository => "repo must be in the form owner/name",
            Self::Branch => "invalid branch",
        })
    }
}

impl IntoResponse for InvalidToken {
    fn into_response(self) -> Response {
        bad_request("invalid payload")
    }
}

impl IntoResponse for UnreadableId {
    fn into_response(self) -> Response {
        tracing::error!("/api/repo/current_hash error: {self}");
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error").into_response()
    }
}

impl IntoResponse for StoreTokenError {
    fn into_response(self) -> Response {
        tracing::error!("{self}");
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
