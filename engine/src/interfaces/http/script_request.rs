//! `POST /api/agent/script/request`.

use axum::extract::State;

use super::{compat::reply::JsonReply, state::AppState};
use crate::{
    domain::json::Json, interfaces::http::device_access::gate::Device,
    services::device_access::gate::DeviceStatus,
};

/// `POST /api/agent/script/request`: agents ask here for work, but work comes to them over the channel. The answer
/// tells them when to ask again and whose signatures to trust. The body is not read.
pub async fn request(State(app): State<AppState>, Device(device): Device) -> JsonReply {
    let (status, poll_after_ms) = match device.status {
        DeviceStatus::Active => ("idle", 30_000),
        DeviceStatus::Quarantined => ("quarantined", 60_000),
    };
    JsonReply::ok(Json::object([
        ("status", status.into()),
        ("poll_after_ms", poll_after_ms.into()),
        ("sig_alg", "ed25519".into()),
        ("signing_key", app.publisher.signing_key().into()),
    ]))
}
