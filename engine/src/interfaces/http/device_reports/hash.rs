//! `/api/agent/hash` and `/api/agent/hash_list`.

use axum::{
    extract::{RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;

use crate::{
    builders::device_reports::hash::{HashQuestion, hash_question, hash_question_in_body, hash_report},
    domain::{
        hash_list::HashEntry,
        json::{Json, JsonObject},
        mask::shown,
    },
    interfaces::http::{
        compat::{body::RawBody, forwarded::Caller, query::first, reply::JsonReply},
        device_access::gate::Device,
        errors::json_failure,
        state::AppState,
    },
};

/// `GET /api/agent/hash`
pub async fn get(
    State(app): State<AppState>,
    Device(device): Device,
    RawQuery(query): RawQuery,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let claimed = match hash_question(|name| first(query.as_deref(), name)) {
        HashQuestion::Asked(guid) => guid,
        HashQuestion::InBody => {
            let body = body.lenient().await?;
            hash_question_in_body(&body)?
        }
    };
    let answer = app.device_reports.hash_of(&device, claimed.as_ref()).await?;
    let mut members = JsonObject::from_iter([
        ("agent_guid".to_owned(), device.guid.as_str().into()),
        ("agent_hash".to_owned(), answer.agent_hash.into()),
        ("source".to_owned(), answer.source.as_str().into()),
    ]);
    add(&mut members, "hostname", answer.hostname);
    add(&mut members, "agent_id", answer.agent_id);
    Ok(JsonReply::ok(members))
}

/// `POST /api/agent/hash`
pub async fn post(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let report = hash_report(&body)?;
    let stored = app.device_reports.store_hash(&device, report).await?;
    let status = if stored.hostname.is_some() {
        "ok"
    } else {
        "ignored"
    };
    let mut members = JsonObject::from_iter([
        ("agent_guid".to_owned(), device.guid.as_str().into()),
        ("agent_hash".to_owned(), stored.agent_hash.into()),
        ("status".to_owned(), status.into()),
    ]);
    add(&mut members, "hostname", stored.hostname);
    add(&mut members, "agent_id", stored.agent_id);
    Ok(JsonReply::ok(members))
}

/// `GET /api/agent/hash_list`: no login, but only for callers on this machine.
pub async fn list(State(app): State<AppState>, caller: Caller) -> Result<JsonReply, ErrorResponse> {
    if !caller.is_local() {
        tracing::warn!(
            "/api/agent/hash_list denied non-local request from {}",
            shown(&caller.last_forwarded())
        );
        return Err(JsonReply::error(StatusCode::FORBIDDEN, "forbidden").into());
    }
    let entries = app
        .device_reports
        .hashes()
        .await
        .map_err(|error| json_failure(&error))?;
    let agents = Json::list(entries.into_iter().map(listed));
    Ok(JsonReply::ok(Json::object([("agents", agents)])))
}

fn listed(entry: HashEntry) -> Json {
    Json::object([
        ("agent_guid", entry.agent_guid.into()),
        ("agent_hash", entry.agent_hash.into()),
        ("agent_id", entry.agent_id.into()),
        ("hostname", entry.hostname.into()),
        ("source", entry.source.as_str().into()),
    ])
}

fn add(members: &mut JsonObject, name: &str, value: Option<String>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.into());
    }
}
