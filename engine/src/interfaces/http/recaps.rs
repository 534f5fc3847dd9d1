//! `/api/ansible/recap` and beside: how far playbooks are.

use axum::{
    extract::{FromRequestParts, Path, RawQuery, State},
    response::{ErrorResponse, Response},
};
use http::{StatusCode, request::Parts};

use super::{
    compat::{body::RawBody, path::row_id, query::first, reply::JsonReply},
    errors::database_error,
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{
    builders::recaps::{recap_limit, recap_report},
    domain::{json::Json, recaps::Recap, text::python_trim},
    interfaces::http::device_access::gate::Device,
    services::{recaps::Reporter, scheduler::playbook_end::recap_json},
};

/// Who may report: where somebody is checked, an operator or a device; 401 for nobody.
#[derive(Clone, Debug)]
pub struct Reports(Reporter);

impl FromRequestParts<AppState> for Reports {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Response> {
        let refusal = match OperatorIfStrict::from_request_parts(parts, state).await {
            Ok(_) => return Ok(Self(Reporter::Anybody)),
            Err(refusal) => refusal,
        };
        match Device::from_request_parts(parts, state).await {
            Ok(Device(device)) => Ok(Self(Reporter::Device(device.guid))),
            Err(_) => Err(refusal),
        }
    }
}

/// `POST /api/ansible/recap/report`
pub async fn report(
    State(app): State<AppState>,
    Reports(reporter): Reports,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient_replacing().await?;
    let report = recap_report(&body)?;
    let recap = app.recaps.report(&reporter, &report).await?;
    Ok(JsonReply::ok(recap_json(&recap)))
}

fn line(recap: Recap) -> Json {
    Json::object([
        ("id", recap.id.into()),
        ("run_id", recap.reported.run_id.into()),
        ("hostname", recap.reported.hostname.unwrap_or_default().into()),
        (
            "playbook_name",
            recap.reported.playbook_name.unwrap_or_default().into(),
        ),
        ("status", recap.reported.status.unwrap_or_default().into()),
        ("created_at", recap.created_at.into()),
        ("updated_at", recap.updated_at.into()),
        ("started_ts", recap.reported.started_ts.into()),
        ("finished_ts", recap.reported.finished_ts.into()),
    ])
}

fn not_found() -> JsonReply {
    JsonReply::error(StatusCode::NOT_FOUND, "Not found")
}

/// `GET /api/ansible/recaps`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> Result<JsonReply, ErrorResponse> {
    let hostname = first(query.as_deref(), "hostname").unwrap_or_default();
    let hostname = Some(python_trim(&hostname)).filter(|name| !name.is_empty());
    let limit = recap_limit(first(query.as_deref(), "limit").as_deref());
    let recaps = app.recaps.list(hostname, limit).await.map_err(database_error)?;
    Ok(JsonReply::ok(Json::object([(
        "recaps",
        Json::list(recaps.into_iter().map(line)),
    )])))
}

/// `GET /api/ansible/recap/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    let recap = app.recaps.find(row_id(&id)).await.map_err(database_error)?;
    Ok(recap.map_or_else(not_found, |recap| JsonReply::ok(recap_json(&recap))))
}

/// `GET /api/ansible/run_for_activity/{id}`
pub async fn of_activity(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    let recap = app
        .recaps
        .of_activity(row_id(&id))
        .await
        .map_err(database_error)?;
    Ok(recap.map_or_else(not_found, |recap| {
        JsonReply::ok(Json::object([
            ("run_id", recap.reported.run_id.into()),
            ("status", recap.reported.status.unwrap_or_default().into()),
        ]))
    }))
}
