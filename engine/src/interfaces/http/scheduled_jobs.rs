//! `/api/scheduled_jobs` and below.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    compat::{
        body::RawBody,
        path::storable_row_id,
        query::first,
        reply::{Answer, Failure, Status},
    },
    errors::database_error,
    guards::{JobCaller, OperatorIfStrict},
    set_apart::shared::SharedAnswer,
    state::AppState,
};
use crate::{
    builders::scheduled_jobs::{days, enabled, job_changes, new_job, occurrence},
    domain::{
        job_runs::{JobRun, RunActivity},
        json::Json,
        scheduled_jobs::{JobChanges, ResultCounts},
    },
    services::scheduled_jobs::{JobOverview, TargetState},
};

/// How many targets have come how far.
#[derive(Debug, Serialize)]
struct Counts {
    pending: i64,
    running: i64,
    success: i64,
    failed: i64,
    expired: i64,
    timed_out: i64,
    total_targets: i64,
}

impl From<ResultCounts> for Counts {
    fn from(counts: ResultCounts) -> Self {
        Self {
            pending: counts.pending,
            running: counts.running,
            success: counts.success,
            failed: counts.failed,
            expired: counts.expired,
            timed_out: counts.timed_out,
            total_targets: counts.total_targets,
        }
    }
}

fn or(text: String, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text }
}

/// A job, and how far its latest occurrence is.
#[derive(Debug, Serialize)]
struct JobView {
    id: i64,
    name: String,
    components: Json,
    targets: Json,
    schedule_type: String,
    start_ts: Option<i64>,
    duration_stop_enabled: bool,
    expiration: String,
    execution_context: String,
    credential_id: Option<i64>,
    use_service_account: bool,
    enabled: bool,
    created_at: i64,
    updated_at: i64,
    last_run_ts: Option<i64>,
    last_status: &'static str,
    latest_occurrence: Option<i64>,
    result_counts: Counts,
    next_run_ts: Option<i64>,
}

impl From<JobOverview> for JobView {
    fn from(overview: JobOverview) -> Self {
        let job = overview.job;
        Self {
            id: job.id,
            name: job.name,
            components: job.components.unwrap_or_default(),
            targets: job.targets.unwrap_or_default(),
            schedule_type: or(job.schedule_type, "immediately"),
            start_ts: job.start_ts,
            duration_stop_enabled: job.duration_stop_enabled,
            expiration: or(job.expiration.unwrap_or_default(), "no_expire"),
            execution_context: or(job.execution_context, "system"),
            credential_id: job.credential_id,
            use_service_account: job.use_service_account,
            enabled: job.enabled,
            created_at: job.created_at.unwrap_or(0),
            updated_at: job.updated_at.unwrap_or(0),
            last_run_ts: overview.last_run_ts,
            last_status: overview.last_status,
            latest_occurrence: overview.last_run_ts,
            result_counts: overview.result_counts.into(),
            next_run_ts: overview.next_run_ts,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct JobList {
    jobs: Vec<JobView>,
}

impl From<Vec<JobOverview>> for JobList {
    fn from(jobs: Vec<JobOverview>) -> Self {
        Self {
            jobs: jobs.into_iter().map(Into::into).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct OneJob {
    job: JobView,
}

/// A run of a job on a host.
#[derive(Debug, Serialize)]
struct RunView {
    id: i64,
    scheduled_ts: Option<i64>,
    started_ts: Option<i64>,
    finished_ts: Option<i64>,
    status: String,
    error: String,
}

impl From<JobRun> for RunView {
    fn from(run: JobRun) -> Self {
        Self {
            id: run.id,
            scheduled_ts: run.scheduled_ts,
            started_ts: run.started_ts,
            finished_ts: run.finished_ts,
            status: run.status,
            error: run.error,
        }
    }
}

/// The runs of a job.
#[derive(Debug, Serialize)]
pub struct RunList {
    runs: Vec<RunView>,
}

/// What was cleared of the runs of a job.
#[derive(Debug, Serialize)]
pub struct ClearedRuns {
    status: &'static str,
    cleared: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_occurrence: Option<i64>,
}

/// What a run did.
#[derive(Debug, Serialize)]
struct RunActivityView {
    activity_id: i64,
    component_kind: String,
    script_type: String,
    component_path: String,
    component_name: String,
    has_stdout: bool,
    has_stderr: bool,
}

impl From<RunActivity> for RunActivityView {
    fn from(activity: RunActivity) -> Self {
        Self {
            activity_id: activity.activity_id,
            component_kind: activity.component_kind,
            script_type: activity.script_type,
            component_path: activity.component_path,
            component_name: activity.component_name,
            has_stdout: activity.has_stdout,
            has_stderr: activity.has_stderr,
        }
    }
}

/// A host that a job is for, and how far it is there.
#[derive(Debug, Serialize)]
struct TargetView {
    hostname: String,
    online: bool,
    site: String,
    ran_on: Option<i64>,
    job_status: String,
    has_stdout: bool,
    has_stderr: bool,
    activities: Vec<RunActivityView>,
}

impl From<TargetState> for TargetView {
    fn from(state: TargetState) -> Self {
        let ran_on = state
            .run
            .as_ref()
            .and_then(|run| run.started_ts.filter(|started| *started != 0).or(run.finished_ts));
        let status = state.run.map(|run| run.status).unwrap_or_default();
        Self {
            hostname: state.hostname,
            online: state.online,
            site: state.site,
            ran_on,
            job_status: or(status, "Pending"),
            has_stdout: state.activities.iter().any(|activity| activity.has_stdout),
            has_stderr: state.activities.iter().any(|activity| activity.has_stderr),
            activities: state.activities.into_iter().map(Into::into).collect(),
        }
    }
}

/// The hosts that a job is for, in one occurrence.
#[derive(Debug, Serialize)]
pub struct TargetList {
    occurrence: Json,
    devices: Vec<TargetView>,
}

fn not_found() -> Answer<Failure> {
    Answer::error(StatusCode::NOT_FOUND, "not found")
}

fn one(found: Option<JobOverview>) -> Result<Answer<OneJob>, Answer<Failure>> {
    let job = found.ok_or_else(not_found)?.into();
    Ok(Answer::ok(OneJob { job }))
}

/// `GET /api/scheduled_jobs`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
) -> SharedAnswer<Result<Answer<JobList>, ErrorResponse>> {
    let lists = app.shared_lists.clone();
    let making = async move {
        let jobs = app.scheduled_jobs.list().await.map_err(database_error)?;
        Ok(Answer::ok(jobs.into()))
    };
    lists.answer("scheduled_jobs", making).await
}

/// `POST /api/scheduled_jobs`
pub async fn create(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody,
) -> Result<Answer<OneJob>, ErrorResponse> {
    let body = body.lenient().await?;
    let job = new_job(&body, app.scheduled_jobs.zone())?;
    let made = app.scheduled_jobs.create(&author, &job).await;
    Ok(one(made?)?)
}

/// `GET /api/scheduled_jobs/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<OneJob>, ErrorResponse> {
    Ok(one(app.scheduled_jobs.find(storable_row_id(&id)?).await?)?)
}

/// `PUT /api/scheduled_jobs/{id}`
pub async fn update(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<Answer<OneJob>, ErrorResponse> {
    let body = body.lenient().await?;
    let changes = job_changes(&body, app.scheduled_jobs.zone())?;
    let changed = app
        .scheduled_jobs
        .update(&author, storable_row_id(&id)?, &changes)
        .await;
    Ok(one(changed?)?)
}

/// `POST /api/scheduled_jobs/{id}/toggle`
pub async fn toggle(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<Answer<OneJob>, ErrorResponse> {
    let body = body.lenient().await?;
    let changes = JobChanges {
        enabled: Some(enabled(&body)),
        ..JobChanges::default()
    };
    let changed = app
        .scheduled_jobs
        .update(&author, storable_row_id(&id)?, &changes)
        .await;
    Ok(one(changed?)?)
}

/// `DELETE /api/scheduled_jobs/{id}`
pub async fn delete(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    let deleted = app.scheduled_jobs.delete(storable_row_id(&id)?).await;
    if deleted.map_err(database_error)? {
        Ok(Answer::status("ok"))
    } else {
        Err(not_found().into())
    }
}

/// `GET /api/scheduled_jobs/{id}/runs`
pub async fn runs(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<RunList>, ErrorResponse> {
    let days = days(first(query.as_deref(), "days").as_deref())?;
    let runs = app
        .scheduled_jobs
        .runs(storable_row_id(&id)?, days)
        .await
        .map_err(database_error)?;
    Ok(Answer::ok(RunList {
        runs: runs.into_iter().map(Into::into).collect(),
    }))
}

/// `DELETE /api/scheduled_jobs/{id}/runs`
pub async fn clear_runs(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<ClearedRuns>, ErrorResponse> {
    let cleared = app
        .scheduled_jobs
        .clear_runs(storable_row_id(&id)?)
        .await
        .map_err(database_error)?;
    Ok(Answer::ok(ClearedRuns {
        status: "ok",
        cleared: cleared.runs,
        kept_occurrence: cleared.kept_occurrence,
    }))
}

/// `GET /api/scheduled_jobs/{id}/devices`
pub async fn devices(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Answer<TargetList>, ErrorResponse> {
    let wanted = occurrence(first(query.as_deref(), "occurrence").as_deref())?;
    let found = app
        .scheduled_jobs
        .targets(storable_row_id(&id)?, wanted)
        .await
        .map_err(database_error)?;
    let (occurrence, targets) = found.ok_or_else(not_found)?;
    Ok(Answer::ok(TargetList {
        occurrence: occurrence.into(),
        devices: targets.into_iter().map(Into::into).collect(),
    }))
}
