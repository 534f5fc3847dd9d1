//! The HTTP service as a whole, and the connection settings under it.

use std::{any::Any, sync::Arc};

use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use axum_server::{Address, Server};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument as _, field::Empty};

use super::{
    accept_errors::AcceptErrors,
    browser::{BrowserGuard, guard_browsers},
    compat::{
        body::BodyRules,
        cors::{AllowedOrigins, add_headers},
        error_page::ErrorPage,
        forwarded::Caller,
        limits::enforce,
        reply::Answer,
        wire::{Dates, write_as_the_legacy},
    },
    connections::{Connections, stream::BoundedAcceptor},
    detached::DetachedRequests,
    guards::vary_on_session_use,
    health,
    observed::Observed,
    pages::Pages,
    routing::Routes,
    unread_body::read_the_rest,
};
use crate::{
    config::{
        network::Network,
        secret::SecretStrength,
        settings::{AccessPolicy, Settings},
        timing::Timing,
    },
    domain::{clock::Clock, mask::shown},
};

/// Enough for every head that [`enforce`] lets through.
const HEAD_BUFFER: usize = 96 * 1024;
/// Enough for every client seen; the library's own limit answers what goes beyond.
const MOST_HEADERS: usize = 1024;

/// Sets the limits of the server's connections. A client that sends nothing at all is the listener's business: until
/// the first byte has come the HTTP library does not watch the time.
pub fn with_limits<A: Address, Acceptor>(
    server: Server<A, Acceptor>,
    timing: &Timing,
    errors: AcceptErrors,
    connections: Arc<Connections>,
) -> Server<A, BoundedAcceptor<Acceptor>> {
    let mut server = server
        .map(|inner| BoundedAcceptor::new(inner, connections))
        .first_request_timeout(timing.head_deadline)
        .accept_error_handler(move |_, error| errors.note(error));
    configure(server.http_builder(), timing);
    server
}

/// Sets the connections' limits so that it is the rules of this module that decide.
pub fn configure(builder: &mut Builder<TokioExecutor>, timing: &Timing) {
    builder
        .http1()
        .timer(TokioTimer::new())
        // The library has one deadline for an idle connection and for the head of its next request.
        .header_read_timeout(timing.idle_deadline)
        // Whoever has said all and only listens (`nc -N`, health checks) still gets an answer.
        .half_close(true)
        // As the legacy writes them; names of headers mean the same in any letter case.
        .title_case_headers(true)
        .max_buf_size(HEAD_BUFFER)
        .max_headers(MOST_HEADERS);
}

/// Every route behind the legacy's HTTP rules: what becomes of unread bodies, limits, then cross-origin headers, then
/// what guards browsers where something does, then paths and methods.
pub fn http_service(
    routes: Routes,
    settings: &Settings,
    detached: &DetachedRequests,
    guard: Option<BrowserGuard>,
    clock: Arc<dyn Clock>,
) -> Router {
    let dispatcher = health::routes().merge(routes).into_dispatcher(
        Pages::new(settings.static_root.clone()),
        settings.public_url.clone(),
        detached.clone(),
    );
    let network = CallerRules {
        trusted: settings.trusted_proxies.clone().into(),
        tls: settings.speaks_tls(),
    };
    let forged_by_anybody = settings.access_policy == AccessPolicy::Strict
        && settings.signing_secret_strength() == SecretStrength::Published;
    // The first is the outermost. As one layer: each request clones the layers inside every one of them, and the router
    // puts each of its own layers into a box.
    let rules = ServiceBuilder::new()
        .layer(from_fn_with_state(
            Arc::new(Dates::new(clock)),
            write_as_the_legacy,
        ))
        .layer(from_fn_with_state(
            settings.timing.unread_body_deadline,
            read_the_rest,
        ))
        .layer(from_fn(enforce))
        .layer(Extension(BodyRules::new(settings)))
        .layer(from_fn_with_state(network, identify_caller))
        .layer(from_fn(name_caller_in_logs))
        .layer(from_fn_with_state(AllowedOrigins::new(settings), add_headers))
        .option_layer(guard.map(|guard| from_fn_with_state(guard, guard_browsers)))
        .layer(from_fn(vary_on_session_use))
        .layer(CatchPanicLayer::custom(internal_error))
        .layer(from_fn_with_state(forged_by_anybody, refuse_the_world));
    Router::new()
        .fallback(move |request: Request| dispatcher.clone().dispatch(request))
        .layer(rules)
}

#[derive(Clone)]
struct CallerRules {
    trusted: Arc<[Network]>,
    tls: bool,
}

async fn identify_caller(State(rules): State<CallerRules>, mut request: Request, next: Next) -> Response {
    let caller = Caller::of(&request, &rules.trusted, rules.tls);
    Observed::note_address(request.extensions(), caller.address());
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// A server on a loopback address may have a default signing secret, with which anybody makes the cookie of any
/// operator. A proxy in front of it would let the world in.
async fn refuse_the_world(
    State(forged_by_anybody): State<bool>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    if !(forged_by_anybody && caller.is_forwarded()) {
        return next.run(request).await;
    }
    tracing::warn!(
        "refused a request that a proxy forwards for {}: the signing secret is a default; set \
         BOREALIS_FLASK_SECRET_KEY (or BOREALIS_SECRET) to a secret of your own",
        shown(caller.limit_key())
    );
    Answer::error(StatusCode::SERVICE_UNAVAILABLE, "signing_secret_is_default").into_response()
}

/// Gives everything that is logged for a request the scope that the agent names in its header, and what is changed the
/// address that it comes from; it changes no answer.
async fn name_caller_in_logs(caller: Caller, request: Request, next: Next) -> Response {
    let context = agent_context(request.headers());
    let span = tracing::info_span!(
        "request",
        agent_context = context.as_deref(),
        from = caller.address(),
        by = Empty,
        who = Empty
    );
    next.run(request).instrument(span).await
}

/// Characters of a context that are logged.
const LONGEST_CONTEXT: usize = 64;

/// Letters, digits, `_` and `-` of `X-Borealis-Agent-Context`, upper-cased; `None` where none is left.
fn agent_context(headers: &HeaderMap) -> Option<String> {
    let context: String = headers
        .get_all("x-borealis-agent-context")
        .iter()
        .flat_map(HeaderValue::as_bytes)
        .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .map(|byte| char::from(byte.to_ascii_uppercase()))
        .take(LONGEST_CONTEXT)
        .collect();
    (!context.is_empty()).then_some(context)
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::logging::capture::capture;

    #[tokio::test]
    async fn what_a_request_logs_bears_its_agent_s_context() {
        let log = capture();
        let service = Router::new()
            .fallback(async || tracing::info!("handled"))
            .layer(from_fn(name_caller_in_logs));
        for context in [
            &["s y s-t_e m\u{e9}!1"][..],
            &["current", "user"],
            &["!!!"],
            &[""],
            &[],
        ] {
            let mut request = Request::builder();
            for line in context {
                request = request.header("X-Borealis-Agent-Context", line.as_bytes());
            }
            let request = request.body(Body::empty()).unwrap();
            service.clone().oneshot(request).await.unwrap();
        }
        assert_eq!(
            log.messages(),
            [
                "[CONTEXT-SYS-T_EM1] handled",
                "[CONTEXT-CURRENTUSER] handled",
                "handled",
                "handled",
                "handled"
            ]
        );
    }
}
