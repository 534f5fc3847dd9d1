//! `POST /api/agent/checkin` and `POST /api/agent/service-account/rotate`.

use axum::{extract::State, response::ErrorResponse};
use serde::Serialize;

use super::{
    compat::{body::RawBody, reply::Answer},
    state::AppState,
};
use crate::{
    builders::service_accounts::{check_in as build_check_in, rotation_request},
    interfaces::http::device_access::authentication::Device,
    services::service_accounts::Credentials,
};

/// How often an agent should have its password changed: 30 days. Advice, nothing more.
const FORCE_ROTATION_MINUTES: i64 = 43_200;

/// The account that an agent runs under.
#[derive(Serialize)]
pub struct Account {
    username: String,
    password: String,
    policy: Policy,
}

#[derive(Serialize)]
struct Policy {
    force_rotation_minutes: i64,
}

impl From<Credentials> for Account {
    fn from(credentials: Credentials) -> Self {
        Self {
            username: credentials.username,
            password: credentials.password,
            policy: Policy {
                force_rotation_minutes: FORCE_ROTATION_MINUTES,
            },
        }
    }
}

/// The account, and the device that it is for.
#[derive(Serialize)]
pub struct DeviceAccount {
    #[serde(flatten)]
    account: Account,
    agent_guid: String,
}

/// `POST /api/agent/checkin`
pub async fn check_in(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<Answer<DeviceAccount>, ErrorResponse> {
    let body = body.lenient().await?;
    let request = build_check_in(&body)?;
    let credentials = app.service_accounts.check_in(&device, &request).await?;
    Ok(Answer::ok(DeviceAccount {
        account: credentials.into(),
        agent_guid: device.guid.as_str().to_owned(),
    }))
}

/// `POST /api/agent/service-account/rotate`
pub async fn rotate(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<Answer<Account>, ErrorResponse> {
    let body = body.lenient().await?;
    let request = rotation_request(&body)?;
    let credentials = app.service_accounts.rotate(&device, request).await?;
    Ok(Answer::ok(credentials.into()))
}
