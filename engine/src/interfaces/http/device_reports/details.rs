//! The device document: `POST /api/agent/details` and `GET /api/device/details/<hostname>`.

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use serde::Serialize;

use crate::{
    builders::device_reports::details::details_report,
    domain::{
        device_document::DeviceSnapshot,
        json::{Json, JsonObject},
    },
    interfaces::http::{
        compat::{
            body::RawBody,
            reply::{Answer, Status},
        },
        device_access::authentication::Device,
        guards::OperatorIfStrict,
        state::AppState,
    },
};

/// `POST /api/agent/details`
pub async fn report(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    let report = details_report(body)?;
    app.device_reports.store_details(&device, report).await?;
    Ok(Answer::status("ok"))
}

/// A device's document, and its parts at the top level once more; empty for a host without a row.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct DeviceDetails {
    members: Json,
}

impl DeviceDetails {
    fn nothing() -> Self {
        Self {
            members: Json::Object(JsonObject::new()),
        }
    }
}

impl From<DeviceSnapshot> for DeviceDetails {
    fn from(device: DeviceSnapshot) -> Self {
        let document = device.document();
        // What the device calls like a part of the view is in the document alone.
        let mut members = document.clone();
        members.extend(Json::members([
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
        ]));
        Self {
            members: members.into(),
        }
    }
}

/// `GET /api/device/details/<hostname>`: an empty object for a host without a row, and for every failure.
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
) -> Answer<DeviceDetails> {
    let device = app
        .device_reports
        .device_named(&hostname)
        .await
        .unwrap_or_else(|error| {
            tracing::error!(%error, "device details cannot be read");
            None
        });
    Answer::ok(device.map_or_else(DeviceDetails::nothing, DeviceDetails::from))
}
