//! `POST /api/agent/enroll/request` and `POST /api/agent/enroll/poll`.

use axum::{
    extract::State,
    response::{ErrorResponse, IntoResponse as _},
};
use serde::Serialize;

use super::{
    compat::{
        body::{self, RawBody, SmallOfAnybody},
        forwarded::Caller,
        reply::Answer,
    },
    state::AppState,
};
use crate::{
    builders::enrollment::{
        EnrollmentFieldError, PollSummary, RequestSummary, enrollment_poll, enrollment_request,
    },
    domain::mask::shown,
    services::{
        device_access::tokens::LIFETIME_SECONDS,
        enrollment::{PendingEnrollment, PollOutcome},
    },
};

/// How long an agent waits before it polls for the first time, and between polls, in milliseconds.
const FIRST_POLL_AFTER_MS: i64 = 3000;
const POLL_AFTER_MS: i64 = 5000;

/// A request to join that waits for an operator.
#[derive(Debug, Serialize)]
pub struct Pending {
    status: &'static str,
    approval_reference: String,
    server_nonce: String,
    poll_after_ms: i64,
    server_certificate: String,
    signing_key: String,
}

impl From<PendingEnrollment> for Pending {
    fn from(pending: PendingEnrollment) -> Self {
        Self {
            status: "pending",
            approval_reference: pending.approval_reference,
            server_nonce: pending.server_nonce,
            poll_after_ms: FIRST_POLL_AFTER_MS,
            server_certificate: pending.identity.server_certificate,
            signing_key: pending.identity.signing_key,
        }
    }
}

/// What became of a request to join so far.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Polled {
    /// Nobody has decided.
    Pending {
        /// When to ask again, in milliseconds.
        poll_after_ms: i64,
    },
    /// An operator has refused it.
    Denied {
        /// Who did.
        reason: &'static str,
    },
    /// It was too late.
    Expired,
    /// The device is taken in.
    Approved(Joined),
}

/// What a device has been taken in with; only the first poll that proves itself gets it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Joined {
    /// To this poll.
    Now {
        guid: String,
        /// Its first access token.
        access_token: String,
        /// Seconds for which the access token is good.
        expires_in: i64,
        /// What it gets further access tokens with.
        refresh_token: String,
        /// How access tokens are shown.
        token_type: &'static str,
        /// The certificate to trust, PEM.
        server_certificate: String,
        /// The key whose signatures to trust, base64.
        signing_key: String,
    },
    /// To an earlier one.
    Before {
        /// That it was.
        detail: &'static str,
    },
}

impl From<PollOutcome> for Polled {
    fn from(outcome: PollOutcome) -> Self {
        match outcome {
            PollOutcome::Pending => Self::Pending {
                poll_after_ms: POLL_AFTER_MS,
            },
            PollOutcome::Denied => Self::Denied {
                reason: "operator_denied",
            },
            PollOutcome::Expired => Self::Expired,
            PollOutcome::Finalized => Self::Approved(Joined::Before { detail: "finalized" }),
            PollOutcome::Approved(joined) => Self::Approved(Joined::Now {
                guid: joined.guid.to_string(),
                access_token: joined.access_token,
                expires_in: LIFETIME_SECONDS,
                refresh_token: joined.refresh_token,
                token_type: "Bearer",
                server_certificate: joined.identity.server_certificate,
                signing_key: joined.identity.signing_key,
            }),
        }
    }
}

/// `POST /api/agent/enroll/request`
pub async fn request(
    State(app): State<AppState>,
    caller: Caller,
    body: RawBody<body::Enrollment>,
) -> Result<Answer<Pending>, ErrorResponse> {
    app.enrollment.admit_address(caller.limit_key())?;
    let body = body.forced().await?;
    let summary = RequestSummary::of(&body);
    let address = caller.enrollment_address();
    let address = shown(&address);
    tracing::info!("enrollment request received ip={address} {summary}");
    let request = enrollment_request(&body, app.anonymous_bounds.as_ref()).map_err(|error| {
        let (reason, hostname) = (refused_request(error), shown(&summary.hostname));
        tracing::info!(ip = %address, host = %hostname, "enrollment rejected {reason}");
        error.into_response()
    })?;
    let pending = app.enrollment.request(request, &address).await?;
    Ok(Answer::ok(pending.into()))
}

/// What the log calls the field that spoils a request.
fn refused_request(error: EnrollmentFieldError) -> &'static str {
    use EnrollmentFieldError as Field;
    match error {
        Field::HostnameRequired => "missing_hostname",
        Field::LongHostname => "long_hostname",
        Field::LongPubkey => "long_pubkey",
        Field::LongNonce => "long_nonce",
        Field::CodeRequired => "missing_code",
        Field::PubkeyRequired => "missing_pubkey",
        Field::NonceRequired => "missing_nonce",
        Field::InvalidPubkey => "invalid_pubkey",
        Field::ShortPubkey => "short_pubkey",
        Field::InvalidNonce => "invalid_nonce",
        Field::ShortNonce => "short_nonce",
        Field::ReferenceRequired | Field::ProofRequired | Field::InvalidProof => "malformed",
    }
}

/// `POST /api/agent/enroll/poll`
pub async fn poll(
    State(app): State<AppState>,
    body: RawBody<SmallOfAnybody>,
) -> Result<Answer<Polled>, ErrorResponse> {
    let body = body.forced().await?;
    let summary = PollSummary::of(&body);
    tracing::info!("enrollment poll received {summary}");
    let poll = enrollment_poll(&body).map_err(|error| {
        let reference = shown(&summary.reference);
        match error {
            EnrollmentFieldError::InvalidNonce => {
                tracing::info!(r#ref = %reference, "enrollment poll invalid_client_nonce");
            }
            EnrollmentFieldError::InvalidProof => {
                tracing::info!(r#ref = %reference, "enrollment poll invalid_sig");
            }
            missing => tracing::info!("enrollment poll rejected {}", missing_in_poll(missing)),
        }
        error.into_response()
    })?;
    let outcome = app.enrollment.poll(&poll).await?;
    Ok(Answer::ok(outcome.into()))
}

/// What the log calls the field that a poll lacks.
fn missing_in_poll(error: EnrollmentFieldError) -> &'static str {
    match error {
        EnrollmentFieldError::ReferenceRequired => "missing_reference",
        EnrollmentFieldError::ProofRequired => "missing_sig",
        _ => "missing_nonce",
    }
}
