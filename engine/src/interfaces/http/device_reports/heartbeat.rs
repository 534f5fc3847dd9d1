//! `POST /api/agent/heartbeat`.

use axum::{extract::State, response::ErrorResponse};

use crate::{
    builders::device_reports::heartbeat::heartbeat as build_report,
    domain::json::Json,
    interfaces::http::{
        compat::{body::RawBody, reply::JsonReply},
        device_access::gate::Device,
        state::AppState,
    },
};

/// How long an agent waits before its next heartbeat, in milliseconds.
const POLL_AFTER_MS: i64 = 15_000;

/// `POST /api/agent/heartbeat`
pub async fn heartbeat(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.forced().await?;
    app.heartbeats.report(&device, build_report(&body)).await?;
    Ok(JsonReply::ok(Json::object([
        ("poll_after_ms", POLL_AFTER_MS.into()),
        ("status", "ok".into()),
    ])))
}
