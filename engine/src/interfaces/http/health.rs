//! `GET /health`: the process answers. `GET /ready`: it can also do its work.

use axum::extract::State;
use http::StatusCode;

use serde::Serialize;

use super::{compat::reply::Answer, routing::Routes, state::AppState};

/// The route that needs no services.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Routes<S> {
    Routes::new().get("/health", async || Answer::status("ok"))
}

/// Whether the server can do its work, and what keeps it from that.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failed: &'static [&'static str],
}

/// `GET /ready`
pub async fn ready(State(app): State<AppState>) -> Answer<Readiness> {
    if app.readiness.store_is_ready().await {
        Answer::ok(Readiness {
            status: "ready",
            failed: &[],
        })
    } else {
        let failed = Readiness {
            status: "not_ready",
            failed: &["store"],
        };
        Answer::new(StatusCode::SERVICE_UNAVAILABLE, failed)
    }
}
