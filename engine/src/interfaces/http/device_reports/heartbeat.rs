//! `POST /api/agent/heartbeat`.

use axum::{extract::State, response::ErrorResponse};
use serde::Serialize;

use crate::{
    builders::device_reports::heartbeat::heartbeat as build_report,
    interfaces::http::{
        compat::{body::RawBody, reply::Answer},
        device_access::authentication::Device,
        state::AppState,
    },
};

/// How long an agent waits before its next heartbeat, in milliseconds.
const POLL_AFTER_MS: i64 = 15_000;

/// When to send the next one.
#[derive(Debug, Serialize)]
pub struct HeartbeatTaken {
    poll_after_ms: i64,
    status: &'static str,
}

/// `POST /api/agent/heartbeat`
pub async fn heartbeat(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<Answer<HeartbeatTaken>, ErrorResponse> {
    let body = body.forced().await?;
    app.heartbeats.report(&device, build_report(&body)).await?;
    Ok(Answer::ok(HeartbeatTaken {
        poll_after_ms: POLL_AFTER_MS,
        status: "ok",
    }))
}
