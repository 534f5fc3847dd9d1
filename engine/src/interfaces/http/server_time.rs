//! `GET /api/server/time`

use axum::extract::State;
use serde::Serialize;

use super::{compat::reply::Answer, guards::OperatorIfStrict, state::AppState};
use crate::domain::server_time::ServerTime;

/// The time that the server's clock shows.
#[derive(Debug, Serialize)]
pub struct ServerTimeView {
    display: String,
    epoch: i64,
    iso: String,
    offset_seconds: i32,
    timezone: String,
    utc_iso: String,
}

/// `GET /api/server/time`
pub async fn read(State(app): State<AppState>, _: OperatorIfStrict) -> Answer<ServerTimeView> {
    let ServerTime {
        epoch,
        iso,
        utc_iso,
        timezone,
        offset_seconds,
        display,
    } = app.server_time.now();
    Answer::ok(ServerTimeView {
        display,
        epoch,
        iso,
        offset_seconds,
        timezone,
        utc_iso,
    })
}
