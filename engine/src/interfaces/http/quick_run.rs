//! `POST /api/scripts/quick_run`.

use axum::{extract::State, response::ErrorResponse};
use serde::Serialize;

use super::{
    compat::{body::RawBody, reply::Answer},
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{builders::quick_run::quick_run, domain::json::Json, services::quick_run::StartedRun};

/// What became of a run on each host.
#[derive(Debug, Serialize)]
pub struct QuickRunResults {
    results: Vec<QuickRunResult>,
}

#[derive(Debug, Serialize)]
struct QuickRunResult {
    hostname: Json,
    job_id: i64,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<StartedRun> for QuickRunResult {
    fn from(run: StartedRun) -> Self {
        Self {
            hostname: run.hostname,
            job_id: run.activity_id,
            status: if run.refused.is_some() {
                "Failed"
            } else {
                "Running"
            },
            error: run.refused,
        }
    }
}

/// `POST /api/scripts/quick_run`
pub async fn run(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<Answer<QuickRunResults>, ErrorResponse> {
    let body = body.lenient().await?;
    let run = quick_run(&body)?;
    let started = app.quick_runs.start(run).await?;
    Ok(Answer::ok(QuickRunResults {
        results: started.into_iter().map(Into::into).collect(),
    }))
}
