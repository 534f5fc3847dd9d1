//! `/api/device/activity` and below: what ran on a host, and what came of it.

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use http::StatusCode;

use crate::{
    domain::{
        activity::{Activity, ActivityLine},
        json::Json,
    },
    interfaces::http::{
        compat::{path::row_id, reply::JsonReply},
        errors::database_error,
        guards::OperatorIfStrict,
        state::AppState,
    },
};

fn members(activity: &Activity) -> [(&'static str, Json); 6] {
    [
        ("id", activity.id.into()),
        ("ran_at", activity.ran_at.into()),
        ("script_name", activity.script_name.clone().into()),
        ("script_path", activity.script_path.clone().into()),
        ("script_type", activity.script_type.clone().into()),
        ("status", activity.status.clone().into()),
    ]
}

fn with(activity: &Activity, more: impl IntoIterator<Item = (&'static str, Json)>) -> Json {
    Json::Object(
        members(activity)
            .into_iter()
            .chain(more)
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn line(line: &ActivityLine) -> Json {
    with(
        &line.activity,
        [
            ("has_stdout", line.has_stdout.into()),
            ("has_stderr", line.has_stderr.into()),
        ],
    )
}

/// `GET /api/device/activity/{hostname}`
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    let history = app.activity.of_host(&hostname).await.map_err(database_error)?;
    Ok(JsonReply::ok(Json::object([(
        "history",
        Json::list(history.iter().map(line)),
    )])))
}

/// `DELETE /api/device/activity/{hostname}`
pub async fn clear(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    app.activity.clear(&hostname).await.map_err(database_error)?;
    Ok(JsonReply::ok(Json::object([("status", "ok".into())])))
}

/// `GET /api/device/activity/job/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<JsonReply, ErrorResponse> {
    let Some(activity) = app.activity.find(row_id(&id)).await.map_err(database_error)? else {
        return Ok(JsonReply::error(StatusCode::NOT_FOUND, "Not found"));
    };
    Ok(JsonReply::ok(with(
        &activity,
        [
            ("hostname", activity.hostname.clone().into()),
            ("stdout", activity.stdout.clone().unwrap_or_default().into()),
            ("stderr", activity.stderr.clone().unwrap_or_default().into()),
        ],
    )))
}
