//! `/api/ssh_devices`, `/api/winrm_devices` and below.

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        long_list::LongList,
        reply::{Answer, Status},
    },
    devices::{DeviceItem, listed},
    guards::Admin,
    state::AppState,
};
use crate::{
    builders::remote_devices::{new_remote_device, remote_device_change, remote_hostname},
    domain::{devices::DeviceKind, remote_devices::RemoteKind},
};

/// Which of the two sets of routes is meant, by type.
pub trait Remote: 'static {
    const KIND: RemoteKind;
}

/// `/api/ssh_devices`
#[derive(Debug)]
pub struct Ssh;

/// `/api/winrm_devices`
#[derive(Debug)]
pub struct Winrm;

impl Remote for Ssh {
    const KIND: RemoteKind = RemoteKind::Ssh;
}

impl Remote for Winrm {
    const KIND: RemoteKind = RemoteKind::Winrm;
}

/// A device that was made or changed.
#[derive(Debug, Serialize)]
pub struct ChangedDevice {
    device: DeviceItem,
}

/// `GET /api/ssh_devices`
pub async fn list<R: Remote>(
    State(app): State<AppState>,
    _: Admin,
) -> Result<LongList<DeviceItem>, ErrorResponse> {
    listed(&app, DeviceKind::Remote(R::KIND)).await
}

/// `POST /api/ssh_devices`
pub async fn create<R: Remote>(
    State(app): State<AppState>,
    _: Admin,
    body: RawBody,
) -> Result<Answer<ChangedDevice>, ErrorResponse> {
    let body = body.lenient().await?;
    let device = app
        .remote_devices
        .create(R::KIND, &new_remote_device(&body)?)
        .await?;
    let device = device.into();
    Ok(Answer::new(StatusCode::CREATED, ChangedDevice { device }))
}

/// `PUT /api/ssh_devices/{hostname}`
pub async fn update<R: Remote>(
    State(app): State<AppState>,
    _: Admin,
    Path(hostname): Path<String>,
    body: RawBody,
) -> Result<Answer<ChangedDevice>, ErrorResponse> {
    let hostname = remote_hostname(&hostname)?;
    let body = body.lenient().await?;
    let change = remote_device_change(&body)?;
    let device = app.remote_devices.update(R::KIND, hostname, change).await?;
    let device = device.into();
    Ok(Answer::ok(ChangedDevice { device }))
}

/// `DELETE /api/ssh_devices/{hostname}`
pub async fn delete<R: Remote>(
    State(app): State<AppState>,
    _: Admin,
    Path(hostname): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    let hostname = remote_hostname(&hostname)?;
    app.remote_devices.delete(R::KIND, hostname).await?;
    Ok(Answer::status("ok"))
}
