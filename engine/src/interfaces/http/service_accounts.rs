//! `POST /api/agent/checkin` and `POST /api/agent/service-account/rotate`.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};

use super::{
    compat::{body::RawBody, reply::JsonReply},
    device_gate::Device,
    state::AppState,
};
use crate::{
    builders::service_accounts::{account_request, check_in as build_check_in},
    domain::json::{Json, JsonObject},
    services::service_accounts::Credentials,
};

/// How often an agent should have its password changed: 30 days. Advice, nothing more.
const FORCE_ROTATION_MINUTES: i64 = 43_200;

/// `POST /api/agent/checkin`
pub async fn check_in(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, Response> {
    let body = body.lenient().await.map_err(|error| error.into_response())?;
    let request = build_check_in(&body).map_err(|error| error.into_response())?;
    let credentials = app
        .service_accounts
        .check_in(&device, &request)
        .await
        .map_err(|error| error.into_response())?;
    let mut members = told(credentials);
    members.insert("agent_guid".to_owned(), device.guid.as_str().into());
    Ok(JsonReply::ok(members))
}

/// `POST /api/agent/service-account/rotate`
pub async fn rotate(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, Response> {
    let body = body.lenient().await.map_err(|error| error.into_response())?;
    let request = account_request(&body).map_err(|error| error.into_response())?;
    let credentials = app
        .service_accounts
        .rotate(&device, &request)
        .await
        .map_err(|error| error.into_response())?;
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
