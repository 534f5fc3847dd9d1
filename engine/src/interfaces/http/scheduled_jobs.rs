//! `/api/scheduled_jobs` and below.

use axum::{
    extract::{Path, RawQuery, State},
    response::ErrorResponse,
};
use http::StatusCode;

use super::{
    compat::{body::RawBody, path::row_id, query::first, reply::JsonReply},
    errors::database_error,
    guards::{JobCaller, OperatorIfStrict},
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

fn counts(counts: &ResultCounts) -> Json {
    Json::object([
        ("pending", counts.pending.into()),
        ("running", counts.running.into()),
        ("success", counts.success.into()),
        ("failed", counts.failed.into()),
        ("expired", counts.expired.into()),
        ("timed_out", counts.timed_out.into()),
        ("total_targets", counts.total_targets.into()),
    ])
}

fn or(text: String, default: &str) -> Json {
    if text.is_empty() {
        default.into()
    } else {
        text.into()
    }
}

fn job(overview: JobOverview) -> Json {
    let job = overview.job;
    Json::object([
        ("id", job.id.into()),
        ("name", job.name.into()),
        ("components", job.components.unwrap_or_default()),
        ("targets", job.targets.unwrap_or_default()),
        ("schedule_type", or(job.schedule_type, "immediately")),
        ("start_ts", job.start_ts.into()),
        ("duration_stop_enabled", job.duration_stop_enabled.into()),
        ("expiration", or(job.expiration.unwrap_or_default(), "no_expire")),
        ("execution_context", or(job.execution_context, "system")),
        ("credential_id", job.credential_id.into()),
        ("use_service_account", job.use_service_account.into()),
        ("enabled", job.enabled.into()),
        ("created_at", job.created_at.unwrap_or(0).into()),
        ("updated_at", job.updated_at.unwrap_or(0).into()),
        ("last_run_ts", overview.last_run_ts.into()),
        ("last_status", overview.last_status.into()),
        ("latest_occurrence", overview.last_run_ts.into()),
        ("result_counts", counts(&overview.result_counts)),
        ("next_run_ts", overview.next_run_ts.into()),
    ])
}

fn not_found() -> JsonReply {
    JsonReply::error(StatusCode::NOT_FOUND, "not found")
}

fn one(found: Option<JobOverview>) -> JsonReply {
    found.map_or_else(not_found, |overview| {
        JsonReply::ok(Json::object([("job", job(overview))]))
    })
}

/// `GET /api/scheduled_jobs`
pub async fn list(State(app): State<AppState>, _: OperatorIfStrict) -> Result<JsonReply, ErrorResponse> {
    let jobs = app.scheduled_jobs.list().await.map_err(database_error)?;
    Ok(JsonReply::ok(Json::object([(
        "jobs",
        Json::list(jobs.into_iter().map(job)),
    )])))
}

/// `POST /api/scheduled_jobs`
pub async fn create(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let wish = new_job(&body, app.scheduled_jobs.zone())?;
    let made = app.scheduled_jobs.create(&author, &wish).await;
    Ok(one(made?))
}

/// `GET /api/scheduled_jobs/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    Ok(one(app.scheduled_jobs.find(row_id(&id)).await?))
}

/// `PUT /api/scheduled_jobs/{id}`
pub async fn update(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let changes = job_changes(&body, app.scheduled_jobs.zone())?;
    let changed = app.scheduled_jobs.update(&author, row_id(&id), &changes).await;
    Ok(one(changed?))
}

/// `POST /api/scheduled_jobs/{id}/toggle`
pub async fn toggle(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let changes = JobChanges {
        enabled: Some(enabled(&body)),
        ..JobChanges::default()
    };
    let changed = app.scheduled_jobs.update(&author, row_id(&id), &changes).await;
    Ok(one(changed?))
}

/// `DELETE /api/scheduled_jobs/{id}`
pub async fn delete(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    Ok(
        if app
            .scheduled_jobs
            .delete(row_id(&id))
            .await
            .map_err(database_error)?
        {
            JsonReply::ok(Json::object([("status", "ok".into())]))
        } else {
            not_found()
        },
    )
}

fn run(run: JobRun) -> Json {
    Json::object([
        ("id", run.id.into()),
        ("scheduled_ts", run.scheduled_ts.into()),
        ("started_ts", run.started_ts.into()),
        ("finished_ts", run.finished_ts.into()),
        ("status", run.status.into()),
        ("error", run.error.into()),
    ])
}

/// `GET /api/scheduled_jobs/{id}/runs`
pub async fn runs(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<JsonReply, ErrorResponse> {
    let days = days(first(query.as_deref(), "days").as_deref());
    let runs = app
        .scheduled_jobs
        .runs(row_id(&id), days)
        .await
        .map_err(database_error)?;
    Ok(JsonReply::ok(Json::object([(
        "runs",
        Json::list(runs.into_iter().map(run)),
    )])))
}

/// `DELETE /api/scheduled_jobs/{id}/runs`
pub async fn clear_runs(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    let cleared = app
        .scheduled_jobs
        .clear_runs(row_id(&id))
        .await
        .map_err(database_error)?;
    let runs = i64::try_from(cleared.runs).unwrap_or(i64::MAX);
    Ok(JsonReply::ok(match cleared.kept_occurrence {
        None => Json::object([("status", "ok".into()), ("cleared", runs.into())]),
        Some(kept) => Json::object([
            ("status", "ok".into()),
            ("cleared", runs.into()),
            ("kept_occurrence", kept.into()),
        ]),
    }))
}

fn activity(activity: RunActivity) -> Json {
    Json::object([
        ("activity_id", activity.activity_id.into()),
        ("component_kind", activity.component_kind.into()),
        ("script_type", activity.script_type.into()),
        ("component_path", activity.component_path.into()),
        ("component_name", activity.component_name.into()),
        ("has_stdout", activity.has_stdout.into()),
        ("has_stderr", activity.has_stderr.into()),
    ])
}

fn target(state: TargetState) -> Json {
    let ran_on = state
        .run
        .as_ref()
        .and_then(|run| run.started_ts.filter(|started| *started != 0).or(run.finished_ts));
    let status = state.run.map(|run| run.status).unwrap_or_default();
    let has = |pick: fn(&RunActivity) -> bool| Json::from(state.activities.iter().any(pick));
    Json::object([
        ("hostname", state.hostname.into()),
        ("online", state.online.into()),
        ("site", state.site.into()),
        ("ran_on", ran_on.into()),
        ("job_status", or(status, "Pending")),
        ("has_stdout", has(|activity| activity.has_stdout)),
        ("has_stderr", has(|activity| activity.has_stderr)),
        (
            "activities",
            Json::list(state.activities.into_iter().map(activity)),
        ),
    ])
}

/// `GET /api/scheduled_jobs/{id}/devices`
pub async fn devices(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<JsonReply, ErrorResponse> {
    let wanted = occurrence(first(query.as_deref(), "occurrence").as_deref())?;
    let found = app
        .scheduled_jobs
        .targets(row_id(&id), wanted)
        .await
        .map_err(database_error)?;
    let Some((occurrence, targets)) = found else {
        return Ok(not_found());
    };
    Ok(JsonReply::ok(Json::object([
        ("occurrence", occurrence.into()),
        ("devices", Json::list(targets.into_iter().map(target))),
    ])))
}
