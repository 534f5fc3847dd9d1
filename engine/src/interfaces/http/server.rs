//! The HTTP service as a whole, and the connection settings under it.

use std::{
    any::Any,
    convert::Infallible,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    BoxError, ServiceExt,
    body::{Body, HttpBody},
    extract::{Request, connect_info::IntoMakeServiceWithConnectInfo},
    response::{IntoResponse, Response},
};
use axum_server::{Address, Server};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use tower::Service;
use tracing::{Instrument as _, Span, field::Empty};

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
    observed::{Observed, Observer, observe},
    pages::Pages,
    routing::{Dispatcher, Routes},
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
        // How many headers there may be is left alone: the library's own limit is the one of [`enforce`], and a higher one
        // takes room on the heap for as many with every request.
        .max_buf_size(HEAD_BUFFER);
}

/// Every route behind the legacy's HTTP rules; `observer` watches each request from outside of them, where somebody wants
/// to know.
pub fn http_service(
    routes: Routes,
    settings: &Settings,
    detached: &DetachedRequests,
    guard: Option<BrowserGuard>,
    observer: Option<Observer>,
    clock: Arc<dyn Clock>,
) -> HttpService {
    HttpService(Arc::new(Rules {
        observer,
        dates: Dates::new(clock),
        unread_body_deadline: settings.timing.unread_body_deadline,
        bodies: Arc::new(BodyRules::new(settings)),
        trusted_proxies: settings.trusted_proxies.clone(),
        speaks_tls: settings.speaks_tls(),
        origins: AllowedOrigins::new(settings),
        guard,
        forged_by_anybody: settings.access_policy == AccessPolicy::Strict
            && settings.signing_secret_strength() == SecretStrength::Published,
        dispatcher: health::routes().merge(routes).into_dispatcher(
            Pages::new(settings.static_root.clone()),
            settings.public_url.clone(),
            detached.clone(),
        ),
    }))
}

/// What answers every request. It is no router of axum's: what that does for a request is done by the dispatcher.
#[derive(Clone)]
pub struct HttpService(Arc<Rules>);

impl HttpService {
    /// Each request then knows where its connection comes from.
    pub fn for_connections(self) -> IntoMakeServiceWithConnectInfo<Self, SocketAddr> {
        ServiceExt::<Request>::into_make_service_with_connect_info(self)
    }
}

impl<B> Service<Request<B>> for HttpService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rules = Arc::clone(&self.0);
        let request = request.map(Body::new);
        Box::pin(async move { Ok(rules.answer(request).await) })
    }
}

/// What each request goes through on its way to its route, and the answer on its way back. Each rule is a function that
/// is given the rest of the way. They are no layers of a router: with every request a layer clones all that is inside it
/// and puts it into a box.
struct Rules {
    observer: Option<Observer>,
    dates: Dates,
    unread_body_deadline: Duration,
    bodies: Arc<BodyRules>,
    trusted_proxies: Vec<Network>,
    speaks_tls: bool,
    origins: AllowedOrigins,
    guard: Option<BrowserGuard>,
    /// The signing secret is a default one, and operators are asked for.
    forged_by_anybody: bool,
    dispatcher: Dispatcher,
}

impl Rules {
    async fn answer(&self, request: Request) -> Response {
        match &self.observer {
            Some(observer) => observe(observer, request, async |request| self.write(request).await).await,
            None => self.write(request).await,
        }
    }

    /// How the answer is written, what becomes of a body that nobody read, and limits.
    async fn write(&self, request: Request) -> Response {
        write_as_the_legacy(&self.dates, request, async |request| {
            read_the_rest(self.unread_body_deadline, request, async |request| {
                enforce(request, async |request| self.know_the_caller(request).await).await
            })
            .await
        })
        .await
    }

    /// Who calls; then cross-origin headers, and what guards browsers where something does.
    async fn know_the_caller(&self, mut request: Request) -> Response {
        let caller = Caller::of(&request, &self.trusted_proxies, self.speaks_tls);
        Observed::note_address(request.extensions(), caller.address());
        let span = caller_in_logs(&caller, request.headers());
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(Arc::clone(&self.bodies));
        let guarded = async |request| match &self.guard {
            Some(guard) => guard_browsers(guard, request, async |request| self.route(request).await).await,
            None => self.route(request).await,
        };
        add_headers(&self.origins, request, guarded)
            .instrument(span)
            .await
    }

    /// Paths and methods.
    async fn route(&self, request: Request) -> Response {
        vary_on_session_use(request, async |request| {
            let answering = async {
                match self.refuse_the_world(&request) {
                    Some(refused) => refused,
                    None => self.dispatcher.dispatch(request).await,
                }
            };
            match AssertUnwindSafe(answering).catch_unwind().await {
                Ok(response) => response,
                Err(panic) => internal_error(&*panic),
            }
        })
        .await
    }

    /// A server on a loopback address may have a default signing secret, with which anybody makes the cookie of any
    /// operator. A proxy in front of it would let the world in.
    fn refuse_the_world(&self, request: &Request) -> Option<Response> {
        let caller: &Caller = request.extensions().get()?;
        if !(self.forged_by_anybody && caller.is_forwarded()) {
            return None;
        }
        tracing::warn!(
            "refused a request that a proxy forwards for {}: the signing secret is a default; set \
             BOREALIS_FLASK_SECRET_KEY (or BOREALIS_SECRET) to a secret of your own",
            shown(caller.limit_key())
        );
        Some(Answer::error(StatusCode::SERVICE_UNAVAILABLE, "signing_secret_is_default").into_response())
    }
}

/// Gives everything that is logged for a request the scope that the agent names in its header, and what is changed the
/// address that it comes from; it changes no answer.
fn caller_in_logs(caller: &Caller, headers: &HeaderMap) -> Span {
    let context = agent_context(headers);
    tracing::info_span!(
        "request",
        agent_context = context.as_deref(),
        from = caller.address(),
        by = Empty,
        who = Empty
    )
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

fn internal_error(panic: &(dyn Any + Send)) -> Response {
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
    use super::*;
    use crate::config::logging::capture::capture;

    #[test]
    fn what_a_request_logs_bears_its_agent_s_context() {
        let log = capture();
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
            caller_in_logs(&Caller::default(), request.headers()).in_scope(|| tracing::info!("handled"));
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
