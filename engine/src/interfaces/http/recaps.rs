//! `/api/ansible/recap` and beside: how far playbooks are.

use axum::{
    extract::{FromRequestParts, Path, RawQuery, State},
    response::{ErrorResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        path::row_id,
        query::first,
        reply::{Answer, Failure},
    },
    errors::database_error,
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{
    builders::recaps::{recap_limit, recap_report},
    domain::{recaps::Recap, text::python_trim},
    interfaces::http::device_access::gate::Device,
    services::{recaps::Reporter, scheduler::playbook_end::RecapView},
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
) -> Result<Answer<RecapView>, ErrorResponse> {
    let body = body.lenient_replacing().await?;
    let report = recap_report(&body)?;
    let recap = app.recaps.report(&reporter, &report).await?;
    Ok(Answer::ok(recap.into()))
}

/// A recap without what it printed.
#[derive(Debug, Serialize)]
struct ListedRecap {
    id: i64,
    run_id: String,
    hostname: String,
    playbook_name: String,
    status: String,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    started_ts: Option<i64>,
    finished_ts: Option<i64>,
}

impl From<Recap> for ListedRecap {
    fn from(recap: Recap) -> Self {
        let reported = recap.reported;
        Self {
            id: recap.id,
            run_id: reported.run_id,
            hostname: reported.hostname.unwrap_or_default(),
            playbook_name: reported.playbook_name.unwrap_or_default(),
            status: reported.status.unwrap_or_default(),
            created_at: recap.created_at,
            updated_at: recap.updated_at,
            started_ts: reported.started_ts,
            finished_ts: reported.finished_ts,
        }
    }
}

/// The recaps that changed last.
#[derive(Debug, Serialize)]
pub struct RecapList {
    recaps: Vec<ListedRecap>,
}

/// The run that an activity stands for.
#[derive(Debug, Serialize)]
pub struct RunOfActivity {
    run_id: String,
    status: String,
}

fn not_found() -> Answer<Failure> {
    Answer::error(StatusCode::NOT_FOUND, "Not found")
}

/// `GET /api/ansible/recaps`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    RawQuery(query): RawQuery,
) -> Result<Answer<RecapList>, ErrorResponse> {
    let hostname = first(query.as_deref(), "hostname").unwrap_or_default();
    let hostname = Some(python_trim(&hostname)).filter(|name| !name.is_empty());
    let limit = recap_limit(first(query.as_deref(), "limit").as_deref());
    let recaps = app.recaps.list(hostname, limit).await.map_err(database_error)?;
    Ok(Answer::ok(RecapList {
        recaps: recaps.into_iter().map(Into::into).collect(),
    }))
}

/// `GET /api/ansible/recap/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<RecapView>, ErrorResponse> {
    let recap = app.recaps.find(row_id(&id)).await.map_err(database_error)?;
    Ok(Answer::ok(recap.ok_or_else(not_found)?.into()))
}

/// `GET /api/ansible/run_for_activity/{id}`
pub async fn of_activity(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<RunOfActivity>, ErrorResponse> {
    let recap = app
        .recaps
        .of_activity(row_id(&id))
        .await
        .map_err(database_error)?;
    let reported = recap.ok_or_else(not_found)?.reported;
    Ok(Answer::ok(RunOfActivity {
        run_id: reported.run_id,
        status: reported.status.unwrap_or_default(),
    }))
}
