//! `POST /api/agent/heartbeat`.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};

use super::{
    compat::{body::RawBody, reply::JsonReply},
    device_gate::Device,
    state::AppState,
};
use crate::{builders::heartbeat::heartbeat as build_report, domain::json::Json};

/// How long an agent waits before its next heartbeat, in milliseconds.
const POLL_AFTER_MS: i64 = 15_000;

/// `POST /api/agent/heartbeat`
pub async fn heartbeat(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, Response> {
    let body = body.forced().await.map_err(|error| error.into_response())?;
    app.heartbeats
        .report(&device, build_report(&body))
        .await
        .map_err(|error| error.into_response())?;
    Ok(JsonReply::ok(Json::object([
        ("poll_after_ms", POLL_AFTER_MS.into()),
        ("status", "ok".into()),
    ])))
}
