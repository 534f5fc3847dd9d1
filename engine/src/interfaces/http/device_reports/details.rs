//! The device document: `POST /api/agent/details` and `GET /api/device/details/<hostname>`.

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};

use crate::{
    builders::device_reports::details::details_report,
    domain::{
        device_document::DeviceSnapshot,
        json::{Json, JsonObject},
    },
    interfaces::http::{
        compat::{body::RawBody, reply::JsonReply},
        device_access::gate::Device,
        guards::OperatorIfStrict,
        state::AppState,
    },
};

/// `POST /api/agent/details`
pub async fn report(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let report = details_report(body)?;
    app.device_reports.store_details(&device, report).await?;
    Ok(JsonReply::ok(Json::object([("status", "ok".into())])))
}

/// `GET /api/device/details/<hostname>`: an empty object for a host that is not known, and for every failure.
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
) -> JsonReply {
    let device = app
        .device_reports
        .device_named(&hostname)
        .await
        .unwrap_or_else(|error| {
            tracing::error!("device details cannot be read: {error}");
            None
        });
    JsonReply::ok(device.map(shown).unwrap_or_default())
}

/// The document, and its parts at the top level once more.
fn shown(device: DeviceSnapshot) -> JsonObject {
    let document = device.document();
    let mut members = document.clone();
    members.extend(
        [
            ("details", document.into()),
            ("description", device.description.into()),
            ("created_at", device.created_at.into()),
            ("agent_hash", device.agent_hash.into()),
            ("agent_guid", device.guid.into()),
            ("device_type", device.device_type.into()),
            ("domain", device.domain.into()),
            ("external_ip", device.external_ip.into()),
            ("internal_ip", device.internal_ip.into()),
            ("last_reboot", device.last_reboot.into()),
            ("last_seen", device.last_seen.into()),
            ("last_user", device.last_user.into()),
            ("operating_system", device.operating_system.into()),
            ("uptime", device.uptime.into()),
            ("agent_id", device.agent_id.into()),
        ]
        .map(|(name, value): (&str, Json)| (name.to_owned(), value)),
    );
    members
}
