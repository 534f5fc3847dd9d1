//! `GET /health`: the process answers.

use super::{compat::reply::JsonReply, routing::Routes};
use crate::domain::json::Json;

/// The route.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Routes<S> {
    Routes::new().get("/health", async || {
        JsonReply::ok(Json::object([("status", "ok".into())]))
    })
}
