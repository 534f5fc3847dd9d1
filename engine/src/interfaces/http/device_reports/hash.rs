//! `/api/agent/hash` and `/api/agent/hash_list`.

use axum::{
    extract::{RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use crate::{
    builders::device_reports::hash::{HashQuestion, hash_question, hash_question_in_body, hash_report},
    domain::{hash_list::HashEntry, mask::shown},
    interfaces::http::{
        compat::{body::RawBody, forwarded::Caller, query::first, reply::Answer},
        device_access::authentication::Device,
        errors::json_failure,
        state::AppState,
    },
};

/// The hash of the build that an agent runs.
#[derive(Debug, Serialize)]
pub struct KnownHash {
    agent_guid: String,
    agent_hash: String,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
}

/// What became of a hash that an agent reported.
#[derive(Debug, Serialize)]
pub struct StoredHash {
    agent_guid: String,
    agent_hash: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
}

/// The hashes of all agents.
#[derive(Debug, Serialize)]
pub struct HashList {
    agents: Vec<ListedHash>,
}

#[derive(Debug, Serialize)]
struct ListedHash {
    agent_guid: Option<String>,
    agent_hash: Option<String>,
    agent_id: Option<String>,
    hostname: Option<String>,
    source: &'static str,
}

impl From<HashEntry> for ListedHash {
    fn from(entry: HashEntry) -> Self {
        Self {
            agent_guid: entry.agent_guid,
            agent_hash: entry.agent_hash,
            agent_id: entry.agent_id,
            hostname: entry.hostname,
            source: entry.source.as_str(),
        }
    }
}

/// `GET /api/agent/hash`
pub async fn get(
    State(app): State<AppState>,
    Device(device): Device,
    RawQuery(query): RawQuery,
    body: RawBody,
) -> Result<Answer<KnownHash>, ErrorResponse> {
    let claimed = match hash_question(|name| first(query.as_deref(), name)) {
        HashQuestion::Asked(guid) => guid,
        HashQuestion::InBody => {
            let body = body.lenient().await?;
            hash_question_in_body(&body)?
        }
    };
    let answer = app.device_reports.hash_of(&device, claimed.as_ref()).await?;
    Ok(Answer::ok(KnownHash {
        agent_guid: device.guid.as_str().to_owned(),
        agent_hash: answer.agent_hash,
        source: answer.source.as_str(),
        hostname: answer.hostname,
        agent_id: answer.agent_id,
    }))
}

/// `POST /api/agent/hash`
pub async fn post(
    State(app): State<AppState>,
    Device(device): Device,
    body: RawBody,
) -> Result<Answer<StoredHash>, ErrorResponse> {
    let body = body.lenient().await?;
    let report = hash_report(&body)?;
    let stored = app.device_reports.store_hash(&device, report).await?;
    let status = if stored.hostname.is_some() {
        "ok"
    } else {
        "ignored"
    };
    Ok(Answer::ok(StoredHash {
        agent_guid: device.guid.as_str().to_owned(),
        agent_hash: stored.agent_hash,
        status,
        hostname: stored.hostname,
        agent_id: stored.agent_id,
    }))
}

/// `GET /api/agent/hash_list`: no login, but only for callers on this machine.
pub async fn list(State(app): State<AppState>, caller: Caller) -> Result<Answer<HashList>, ErrorResponse> {
    if !caller.is_local() {
        tracing::warn!(
            "/api/agent/hash_list denied non-local request from {}",
            shown(&caller.last_forwarded())
        );
        return Err(Answer::error(StatusCode::FORBIDDEN, "forbidden").into());
    }
    let entries = app
        .device_reports
        .hashes()
        .await
        .map_err(|error| json_failure(&error))?;
    Ok(Answer::ok(HashList {
        agents: entries.into_iter().map(Into::into).collect(),
    }))
}
