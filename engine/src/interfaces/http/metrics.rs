//! `GET /metrics`, on a listener of its own: for those who collect figures, and for nobody else.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, header};

use crate::{domain::measures, interfaces::events::SocketEndpoint, services::container::Container};

/// The text form of Prometheus.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Where the figures come from.
#[derive(Clone)]
pub struct Figures {
    pub services: Arc<Container>,
    pub sockets: Arc<SocketEndpoint>,
    /// Writes down what was measured.
    pub render: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Figures").finish_non_exhaustive()
    }
}

/// The listener's only route.
pub fn router(figures: Figures) -> Router {
    Router::new().route("/metrics", get(read)).with_state(figures)
}

/// Most is counted where it happens; what is a state of this moment is looked at now.
async fn read(State(figures): State<Figures>) -> Response {
    measures::sockets(figures.sockets.counts());
    figures.services.measure().await;
    ([(header::CONTENT_TYPE, TEXT)], (figures.render)()).into_response()
}
