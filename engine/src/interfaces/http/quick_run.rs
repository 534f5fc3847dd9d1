//! `POST /api/scripts/quick_run`.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};

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
) -> Result<JsonReply, Response> {
    let body = body.lenient().await.map_err(|error| error.into_response())?;
    let wish = quick_run(&body).map_err(|error| error.into_response())?;
    let started = app
        .quick_runs
        .start(wish)
        .await
        .map_err(|error| error.into_response())?;
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
