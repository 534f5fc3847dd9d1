//! `/api/ansible/recap` and beside: playbook runs, and how far they are.

use axum::{
    extract::{FromRequestParts, Path, RawQuery, State},
    response::{ErrorResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        path::{beyond_integers, storable_row_id},
        query::first,
        reply::{Answer, Failure},
    },
    errors::database_error,
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{
    builders::playbooks::{NumberTooLarge, list_limit, playbook_report},
    domain::{playbooks::PlaybookRun, text::python_trim},
    interfaces::http::device_access::authentication::Device,
    services::{playbooks::Reporter, scheduler::playbook_end::PlaybookRunView},
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
) -> Result<Answer<PlaybookRunView>, ErrorResponse> {
    let body = body.lenient_replacing().await?;
    let report = playbook_report(&body)?;
    let playbook = app.playbooks.report(&reporter, &report).await?;
    Ok(Answer::ok(playbook.into()))
}

/// A playbook run without what it printed.
#[derive(Debug, Serialize)]
struct ListedPlaybookRun {
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

impl From<PlaybookRun> for ListedPlaybookRun {
    fn from(playbook: PlaybookRun) -> Self {
        let reported = playbook.reported;
        Self {
            id: playbook.id,
            run_id: reported.run_id,
            hostname: reported.hostname.unwrap_or_default(),
            playbook_name: reported.playbook_name.unwrap_or_default(),
            status: reported.status.unwrap_or_default(),
            created_at: playbook.created_at,
            updated_at: playbook.updated_at,
            started_ts: reported.started_ts,
            finished_ts: reported.finished_ts,
        }
    }
}

/// The playbook runs that changed last.
#[derive(Debug, Serialize)]
pub struct PlaybookRunList {
    recaps: Vec<ListedPlaybookRun>,
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
) -> Result<Answer<PlaybookRunList>, ErrorResponse> {
    let hostname = first(query.as_deref(), "hostname").unwrap_or_default();
    let hostname = Some(python_trim(&hostname)).filter(|name| !name.is_empty());
    let limit = first(query.as_deref(), "limit");
    let limit = list_limit(limit.as_deref()).map_err(|NumberTooLarge| beyond_integers())?;
    let playbooks = app
        .playbooks
        .list(hostname, limit)
        .await
        .map_err(database_error)?;
    Ok(Answer::ok(PlaybookRunList {
        recaps: playbooks.into_iter().map(Into::into).collect(),
    }))
}

/// `GET /api/ansible/recap/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<PlaybookRunView>, ErrorResponse> {
    let playbook = app
        .playbooks
        .find(storable_row_id(&id)?)
        .await
        .map_err(database_error)?;
    Ok(Answer::ok(playbook.ok_or_else(not_found)?.into()))
}

/// `GET /api/ansible/run_for_activity/{id}`
pub async fn of_activity(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<RunOfActivity>, ErrorResponse> {
    let playbook = app
        .playbooks
        .of_activity(storable_row_id(&id)?)
        .await
        .map_err(database_error)?;
    let reported = playbook.ok_or_else(not_found)?.reported;
    Ok(Answer::ok(RunOfActivity {
        run_id: reported.run_id,
        status: reported.status.unwrap_or_default(),
    }))
}
