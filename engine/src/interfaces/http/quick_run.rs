//! `POST /api/scripts/quick_run` and `POST /api/ansible/quick_run`.

use axum::{extract::State, response::ErrorResponse};
use serde::Serialize;

use super::{
    compat::{body::RawBody, reply::Answer},
    guards::{JobCaller, OperatorIfStrict},
    state::AppState,
};
use crate::{
    builders::quick_run::{quick_playbook, quick_run},
    domain::json::Json,
    services::quick_run::{Execution, StartedPlaybook, StartedRun},
};

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

/// What became of a playbook on each host.
#[derive(Debug, Serialize)]
pub struct QuickPlaybookResults {
    results: Vec<QuickPlaybookResult>,
}

#[derive(Debug, Serialize)]
struct QuickPlaybookResult {
    hostname: Json,
    run_id: String,
    status: &'static str,
    activity_job_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<StartedPlaybook> for QuickPlaybookResult {
    fn from(run: StartedPlaybook) -> Self {
        let execution = match run.execution {
            Execution::Agent => "agent",
            Execution::Server => "server",
        };
        let failed = run.refused.is_some();
        Self {
            hostname: run.hostname,
            run_id: run.run_id,
            status: if failed { "Failed" } else { "Queued" },
            activity_job_id: run.activity_id,
            execution: (!failed).then_some(execution),
            error: run.refused,
        }
    }
}

/// `POST /api/ansible/quick_run`
pub async fn run_playbook(
    State(app): State<AppState>,
    JobCaller(author): JobCaller,
    body: RawBody,
) -> Result<Answer<QuickPlaybookResults>, ErrorResponse> {
    let body = body.lenient().await?;
    let run = quick_playbook(&body)?;
    let started = app.quick_runs.start_playbook(&author, run).await?;
    Ok(Answer::ok(QuickPlaybookResults {
        results: started.into_iter().map(Into::into).collect(),
    }))
}
