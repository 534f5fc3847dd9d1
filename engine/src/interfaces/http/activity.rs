//! `/api/device/activity` and below: what ran on a host, and what came of it.

use axum::{
    extract::{Path, State},
    response::ErrorResponse,
};
use http::StatusCode;
use serde::Serialize;

use crate::{
    domain::{
        activity::{Activity, ActivityLine},
        json_text::compact_text_of,
    },
    interfaces::http::{
        compat::{
            long_list::LongList,
            path::storable_row_id,
            reply::{Answer, Status},
        },
        errors::database_error,
        guards::OperatorIfStrict,
        state::AppState,
    },
};

/// What ran on a host.
#[derive(Debug, Serialize)]
struct ActivityView {
    id: i64,
    ran_at: Option<i64>,
    script_name: Option<String>,
    script_path: Option<String>,
    script_type: Option<String>,
    status: Option<String>,
}

/// The same, and whether it printed anything.
#[derive(Debug, Serialize)]
pub struct ListedActivity {
    #[serde(flatten)]
    activity: ActivityView,
    has_stdout: bool,
    has_stderr: bool,
}

/// The same, and what it printed.
#[derive(Debug, Serialize)]
pub struct WholeActivity {
    #[serde(flatten)]
    activity: ActivityView,
    hostname: Option<String>,
    stdout: String,
    stderr: String,
}

impl From<Activity> for ActivityView {
    fn from(activity: Activity) -> Self {
        Self {
            id: activity.id,
            ran_at: activity.ran_at,
            script_name: activity.script_name,
            script_path: activity.script_path,
            script_type: activity.script_type,
            status: activity.status,
        }
    }
}

impl From<ActivityLine> for ListedActivity {
    fn from(line: ActivityLine) -> Self {
        Self {
            activity: line.activity.into(),
            has_stdout: line.has_stdout,
            has_stderr: line.has_stderr,
        }
    }
}

impl From<Activity> for WholeActivity {
    fn from(mut activity: Activity) -> Self {
        Self {
            hostname: activity.hostname.take(),
            stdout: activity.stdout.take().unwrap_or_default(),
            stderr: activity.stderr.take().unwrap_or_default(),
            activity: activity.into(),
        }
    }
}

/// `GET /api/device/activity/{hostname}`, the latest first. Nothing ever ends a history but an operator.
pub async fn list(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
) -> Result<LongList<ListedActivity>, ErrorResponse> {
    let history = app.activity.of_host(&hostname).await.map_err(database_error)?;
    LongList::of_all("history", history, |text, line| {
        text.push_str(&compact_text_of(&ListedActivity::from(line)));
    })
    .await
}

/// `DELETE /api/device/activity/{hostname}`
pub async fn clear(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(hostname): Path<String>,
) -> Result<Answer<Status>, ErrorResponse> {
    app.activity.clear(&hostname).await.map_err(database_error)?;
    Ok(Answer::status("ok"))
}

/// `GET /api/device/activity/job/{id}`
pub async fn read(
    State(app): State<AppState>,
    _: OperatorIfStrict,
    Path(id): Path<String>,
) -> Result<Answer<WholeActivity>, ErrorResponse> {
    let found = app
        .activity
        .find(storable_row_id(&id)?)
        .await
        .map_err(database_error)?;
    let activity = found.ok_or_else(|| Answer::error(StatusCode::NOT_FOUND, "Not found"))?;
    Ok(Answer::ok(activity.into()))
}
