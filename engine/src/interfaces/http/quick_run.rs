//! `POST /api/scripts/quick_run`.

use axum::{extract::State, response::ErrorResponse};

use super::{
    compat::{body::RawBody, reply::JsonReply},
    guards::OperatorIfStrict,
    state::AppState,
};
use crate::{builders::quick_run::quick_run, domain::json::Json};

/// `POST /api/scripts/quick_run`
pub async fn run(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    body: RawBody,
) -> Result<JsonReply, ErrorResponse> {
    let body = body.lenient().await?;
    let wish = quick_run(&body)?;
    let started = app.quick_runs.start(wish).await?;
    let results = started.into_iter().map(|run| {
        let started = [("hostname", run.hostname), ("job_id", run.activity_id.into())];
        let became = match run.refused {
            None => vec![("status", Json::from("Running"))],
            Some(reason) => vec![("status", "Failed".into()), ("error", reason.into())],
        };
        Json::Object(
            started
                .into_iter()
                .chain(became)
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    });
    Ok(JsonReply::ok(Json::object([("results", Json::list(results))])))
}
