//! `POST /api/agent/enroll/request` and `POST /api/agent/enroll/poll`.

use axum::{
    extract::State,
    response::{ErrorResponse, IntoResponse as _},
};

use super::{
    compat::{body, body::RawBody, forwarded::Caller, reply::JsonReply},
    state::AppState,
};
use crate::{
    builders::enrollment::{
        EnrollmentFieldError, PollSummary, RequestSummary, enrollment_poll, enrollment_request,
    },
    domain::{json::Json, mask::shown},
    services::{
        device_access::tokens::LIFETIME_SECONDS,
        enrollment::{JoinedDevice, PendingEnrollment, PollOutcome},
    },
};

/// How long an agent waits before it polls for the first time, and between polls, in milliseconds.
const FIRST_POLL_AFTER_MS: i64 = 3000;
const POLL_AFTER_MS: i64 = 5000;

/// `POST /api/agent/enroll/request`
pub async fn request(
    State(app): State<AppState>,
    caller: Caller,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    app.enrollment.admit_address(caller.limit_key())?;
    let body = body
        .limit(body::SMALL)
        .of_anybody(|bounds| bounds.enrollment_body)
        .forced()
        .await?;
    let summary = RequestSummary::of(&body);
    let address = caller.enrollment_address();
    let address = shown(&address);
    tracing::info!("enrollment request received ip={address} {summary}");
    let request = enrollment_request(&body, app.anonymous_bounds.as_ref()).map_err(|error| {
        let (reason, hostname) = (refused_request(error), shown(&summary.hostname));
        tracing::info!("enrollment rejected {reason} ip={address} host={hostname}");
        error.into_response()
    })?;
    let pending = app.enrollment.request(request, &address).await?;
    Ok(render_pending(pending))
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

fn render_pending(pending: PendingEnrollment) -> JsonReply {
    JsonReply::ok(Json::object([
        ("status", "pending".into()),
        ("approval_reference", pending.approval_reference.into()),
        ("server_nonce", pending.server_nonce.into()),
        ("poll_after_ms", FIRST_POLL_AFTER_MS.into()),
        ("server_certificate", pending.identity.server_certificate.into()),
        ("signing_key", pending.identity.signing_key.into()),
    ]))
}

/// `POST /api/agent/enroll/poll`
pub async fn poll(State(app): State<AppState>, body: RawBody) -> Result<JsonReply, ErrorResponse> {
    let body = body
        .limit(body::SMALL)
        .of_anybody(|bounds| bounds.body)
        .forced()
        .await?;
    let summary = PollSummary::of(&body);
    tracing::info!("enrollment poll received {summary}");
    let poll = enrollment_poll(&body).map_err(|error| {
        let reference = shown(&summary.reference);
        match error {
            EnrollmentFieldError::InvalidNonce => {
                tracing::info!("enrollment poll invalid_client_nonce ref={reference}");
            }
            EnrollmentFieldError::InvalidProof => {
                tracing::info!("enrollment poll invalid_sig ref={reference}");
            }
            missing => tracing::info!("enrollment poll rejected {}", missing_in_poll(missing)),
        }
        error.into_response()
    })?;
    let outcome = app.enrollment.poll(&poll).await?;
    Ok(render_outcome(outcome))
}

/// What the log calls the field that a poll lacks.
fn missing_in_poll(error: EnrollmentFieldError) -> &'static str {
    match error {
        EnrollmentFieldError::ReferenceRequired => "missing_reference",
        EnrollmentFieldError::ProofRequired => "missing_sig",
        _ => "missing_nonce",
    }
}

fn render_outcome(outcome: PollOutcome) -> JsonReply {
    JsonReply::ok(match outcome {
        PollOutcome::Pending => Json::object([
            ("status", "pending".into()),
            ("poll_after_ms", POLL_AFTER_MS.into()),
        ]),
        PollOutcome::Denied => {
            Json::object([("status", "denied".into()), ("reason", "operator_denied".into())])
        }
        PollOutcome::Expired => Json::object([("status", "expired".into())]),
        PollOutcome::Finalized => {
            Json::object([("status", "approved".into()), ("detail", "finalized".into())])
        }
        PollOutcome::Approved(joined) => render_joined(*joined),
    })
}

fn render_joined(joined: JoinedDevice) -> Json {
    Json::object([
        ("status", "approved".into()),
        ("guid", joined.guid.to_string().into()),
        ("access_token", joined.access_token.into()),
        ("expires_in", LIFETIME_SECONDS.into()),
        ("refresh_token", joined.refresh_token.into()),
        ("token_type", "Bearer".into()),
        ("server_certificate", joined.identity.server_certificate.into()),
        ("signing_key", joined.identity.signing_key.into()),
    ])
}
