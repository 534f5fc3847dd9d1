//! `POST /api/agent/script/request`.

use axum::extract::State;
use serde::Serialize;

use super::{compat::reply::Answer, state::AppState};
use crate::{
    interfaces::http::device_access::authentication::Device,
    services::device_access::authentication::DeviceStatus,
};

/// When to ask again, and whose signatures to trust.
#[derive(Debug, Serialize)]
pub struct NoWork {
    status: &'static str,
    poll_after_ms: i64,
    sig_alg: &'static str,
    signing_key: String,
}

/// `POST /api/agent/script/request`: agents ask here for work, but work comes to them over the channel. The answer
/// tells them when to ask again and whose signatures to trust. The body is not read.
pub async fn request(State(app): State<AppState>, Device(device): Device) -> Answer<NoWork> {
    let (status, poll_after_ms) = match device.status {
        DeviceStatus::Active => ("idle", 30_000),
        DeviceStatus::Quarantined => ("quarantined", 60_000),
    };
    Answer::ok(NoWork {
        status,
        poll_after_ms,
        sig_alg: "ed25519",
        signing_key: app.publisher.signing_key().to_owned(),
    })
}
