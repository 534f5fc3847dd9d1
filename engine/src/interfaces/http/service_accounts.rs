//! `POST /api/agent/checkin` and `POST /api/agent/service-account/rotate`.

use axum::{extract::State, response::ErrorResponse};

use super::{
    compat::{body::RawBody, reply::JsonReply},
    state::AppState,
};
use crate::{
    builders::service_accounts::{account_request, check_in as build_check_in},
    domain::json::{Json, JsonObject},
    interfaces::http::device_access::gate::Device,
    services::service_accounts::Credentials,
};

/// How often an agent should have its password changed: 30 days. Advice, nothing more.
const FORCE_ROTATION_MINUTES: i64 = 43_200;

/// `POST /api/agent/checkin`
pub async fn check_in(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let request = build_check_in(&body)?;
    let credentials = app.service_accounts.check_in(&device, &request).await?;
    let mut members = told(credentials);
    members.insert("agent_guid".to_owned(), device.guid.as_str().into());
    Ok(JsonReply::ok(members))
}

/// `POST /api/agent/service-account/rotate`
pub async fn rotate(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let request = account_request(&body)?;
    let credentials = app.service_accounts.rotate(&device, &request).await?;
    Ok(JsonReply::ok(told(credentials)))
}

fn told(credentials: Credentials) -> JsonObject {
    let policy = Json::object([("force_rotation_minutes", FORCE_ROTATION_MINUTES.into())]);
    JsonObject::from_iter([
        ("username".to_owned(), credentials.username.into()),
        ("password".to_owned(), credentials.password.into()),
        ("policy".to_owned(), policy),
    ])
}
