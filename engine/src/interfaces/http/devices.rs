//! `/api/devices`, `/api/agent_devices`, and what operators write about a device.

mod item_text;

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use self::item_text::push_item;
use super::{
    compat::{
        body::RawBody,
        long_list::LongList,
        reply::{Answer, Status},
    },
    errors::database_error,
    guards::{Admin, OperatorIfStrict},
    state::AppState,
};
use crate::{
    builders::devices::device_description,
    domain::{device_document::DeviceSnapshot, devices::DeviceKind, json::Json, timestamp::iso_of_seconds},
    services::devices::ListedDevice,
};

/// A device as every list and answer shows it.
#[derive(Debug, Serialize)]
pub struct DeviceItem {
    hostname: String,
    description: String,
    details: Json,
    summary: Json,
    created_at: i64,
    created_at_iso: String,
    agent_hash: String,
    agent_guid: String,
    guid: String,
    memory: Json,
    network: Json,
    software: Json,
    storage: Json,
    cpu: Json,
    device_type: String,
    domain: String,
    external_ip: String,
    internal_ip: String,
    last_reboot: String,
    last_seen: i64,
    last_seen_iso: String,
    last_user: String,
    operating_system: String,
    uptime: i64,
    agent_id: String,
    connection_type: String,
    connection_endpoint: String,
    site_id: Option<i64>,
    site_name: String,
    site_description: String,
    status: &'static str,
}

impl From<ListedDevice> for DeviceItem {
    fn from(device: ListedDevice) -> Self {
        let status = status_word(&device);
        let shown = DeviceSnapshot::from(&device.entry.row);
        let site = device.entry.site;
        let site_id = site.as_ref().map(|site| site.id);
        let (site_name, site_description) =
            site.map(|site| (site.name, site.description)).unwrap_or_default();
        Self {
            details: shown.document().into(),
            summary: shown.summary().into(),
            created_at_iso: iso_of_seconds(shown.created_at),
            last_seen_iso: iso_of_seconds(shown.last_seen),
            hostname: shown.hostname,
            description: shown.description,
            created_at: shown.created_at,
            agent_hash: shown.agent_hash,
            agent_guid: shown.guid.clone(),
            guid: shown.guid,
            memory: shown.memory.into(),
            network: shown.network.into(),
            software: shown.software.into(),
            storage: shown.storage.into(),
            cpu: shown.cpu.into(),
            device_type: shown.device_type,
            domain: shown.domain,
            external_ip: shown.external_ip,
            internal_ip: shown.internal_ip,
            last_reboot: shown.last_reboot,
            last_seen: shown.last_seen,
            last_user: shown.last_user,
            operating_system: shown.operating_system,
            uptime: shown.uptime,
            agent_id: shown.agent_id,
            connection_type: shown.connection_type,
            connection_endpoint: shown.connection_endpoint,
            site_id,
            site_name,
            site_description,
            status,
        }
    }
}

fn status_word(device: &ListedDevice) -> &'static str {
    if device.is_online { "Online" } else { "Offline" }
}

/// The devices of a kind.
pub(super) async fn listed(app: &AppState, kind: DeviceKind) -> Result<LongList<DeviceItem>, ErrorResponse> {
    LongList::of("devices", app.devices.list(kind), push_item).await
}

/// `GET /api/devices`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
) -> Result<LongList<DeviceItem>, ErrorResponse> {
    listed(&app, DeviceKind::Any).await
}

/// `GET /api/agent_devices`
pub async fn list_agents(
    State(app): State<AppState>,
    _: Admin,
) -> Result<LongList<DeviceItem>, ErrorResponse> {
    listed(&app, DeviceKind::Agent).await
}

/// `GET /api/devices/{guid}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(guid): Path<String>,
) -> Result<Answer<DeviceItem>, ErrorResponse> {
    match app.devices.find(&guid).await.map_err(database_error)? {
        Some(device) => Ok(Answer::ok(device.into())),
        None => Err(Answer::error(StatusCode::NOT_FOUND, "not found").into()),
    }
}

/// `POST /api/device/description/{hostname}`
pub async fn describe(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
    body: RawBody,
) -> Result<Answer<Status>, ErrorResponse> {
    let body = body.lenient().await?;
    let description = device_description(&body)?;
    app.devices.describe(&hostname, description).await?;
    Ok(Answer::status("ok"))
}
