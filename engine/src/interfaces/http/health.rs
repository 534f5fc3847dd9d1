//! `GET /health`: the process answers. `GET /ready`: it can also do its work.

use axum::extract::State;
use http::StatusCode;

use super::{compat::reply::JsonReply, routing::Routes, state::AppState};
use crate::domain::json::Json;

/// The route that needs no services.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Routes<S> {
    Routes::new().get("/health", async || {
        JsonReply::ok(Json::object([("status", "ok".into())]))
    })
}

/// `GET /ready`
pub async fn ready(State(app): State<AppState>) -> JsonReply {
    if app.readiness.store_is_ready().await {
        return JsonReply::ok(Json::object([("status", "ready".into())]));
    }
    let failed = Json::list(["store"]);
    JsonReply::new(
        StatusCode::SERVICE_UNAVAILABLE,
        Json::object([("failed", failed), ("status", "not_ready".into())]),
    )
}
