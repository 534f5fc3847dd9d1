//! The HTTP service as a whole, and the connection settings under it.

use std::{any::Any, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    compat::{
        cors::{AllowedOrigins, add_headers},
        error_page::ErrorPage,
        forwarded::Caller,
        limits::enforce,
    },
    guards::vary_on_session_use,
    health,
    pages::Pages,
    routing::Routes,
};
use crate::config::settings::{Settings, TrustedNetwork};

/// How long a client may take for the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// Enough for every head that [`enforce`] lets through.
const HEAD_BUFFER: usize = 256 * 1024;
/// Enough for every client seen; the library's own limit answers what goes beyond.
const MOST_HEADERS: usize = 1024;

/// Sets the connections' limits so that it is the rules of this module that decide.
pub fn configure(builder: &mut Builder<TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BUFFER)
        .max_headers(MOST_HEADERS);
}

/// Every route behind the legacy's HTTP rules: limits, then cross-origin headers, then paths and methods.
pub fn http_service(routes: Routes, settings: &Settings) -> Router {
    let dispatcher = health::routes()
        .merge(routes)
        .into_dispatcher(Pages::new(settings.static_root.clone()));
    let network = Network {
        trusted: settings.trusted_proxies.clone().into(),
        tls: settings.speaks_tls(),
    };
    Router::new()
        .fallback(move |request: Request| dispatcher.clone().dispatch(request))
        .layer(CatchPanicLayer::custom(internal_error))
        .layer(from_fn(vary_on_session_use))
        .layer(from_fn_with_state(
            AllowedOrigins::new(&settings.cors_allowed_origins),
            add_headers,
        ))
        .layer(from_fn_with_state(network, identify_caller))
        .layer(from_fn(enforce))
}

#[derive(Clone)]
struct Network {
    trusted: Arc<[TrustedNetwork]>,
    tls: bool,
}

async fn identify_caller(State(network): State<Network>, mut request: Request, next: Next) -> Response {
    let caller = Caller::of(&request, &network.trusted, network.tls);
    request.extensions_mut().insert(caller);
    next.run(request).await
}

#[allow(clippy::needless_pass_by_value, reason = "the layer hands the value over")]
fn internal_error(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a handler failed");
    ErrorPage::Internal.into_response()
}
