//! The Socket.IO channel: who may connect, what its events do, and who gets what is sent.
//!
//! The protocols are the crate `socketio-server`'s. The way of an event: the crate → `application` → `dispatch` (names) →
//! a feature's file → builders → [`RealtimeService`], or the feature's own service. The way back: services → [`Hub`] (who)
//! → the crate.
//!
//! [`RealtimeService`]: crate::services::realtime::RealtimeService

mod agents;
mod application;
mod dispatch;
mod handshake;
mod hub;
mod json;
mod live_view;
mod peer;
mod playbooks;
mod quick_run;
mod refusals;
mod scheduled_jobs;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use socketio_server::{
    Leniency, Limits,
    engine_io::{BeforeOrigin, Budget, Server},
    environment::{BoxFuture, Clock as SocketClock, Random as SocketRandom},
    socket_io::SocketIo,
};

pub use dispatch::EVENTS;
pub use hub::Hub;

use self::application::ChannelApplication;
use super::http::compat::{
    cors::{AllowedOrigins, WithoutCors},
    forwarded::Caller,
    session::SessionCodec,
};
use crate::{
    config::{bounds::Bounds, settings::Settings, timing::Timing},
    domain::{
        clock::Clock, coerce::integer_in, json_text::compact_text, measures::SocketCounts, random::Random,
    },
    services::{Environment, container::Container},
};

/// The largest message, announced to clients (RT-5).
const MAX_PAYLOAD: usize = 100_000_000;

/// Attachments of one event where nobody is checked. The legacy has no bound; their bytes have one of their own.
const MOST_ATTACHMENTS: usize = 1000;

#[derive(Debug)]
pub struct SocketEndpoint {
    server: Arc<Server<SocketIo<ChannelApplication>>>,
    hub: Arc<Hub>,
    /// What connections may have sent that waits to be handled, those of strangers included.
    budgets: Vec<Budget>,
    origins: AllowedOrigins,
}

impl SocketEndpoint {
    /// An endpoint whose connections are in `hub` and whose events go to `services`. Connections live in real time,
    /// whatever the server's clock says.
    pub fn new(
        hub: Arc<Hub>,
        services: Arc<Container>,
        operators: Arc<SessionCodec>,
        environment: Environment,
        real_clock: Arc<dyn Clock>,
        settings: &Settings,
    ) -> Self {
        let usual = server_settings(&settings.timing, &settings.bounds);
        let of_server = socketio_server::Settings {
            long_work: hub.long_work().clone(),
            most_attachments: if hub.access().is_strict() {
                usual.most_attachments
            } else {
                MOST_ATTACHMENTS
            },
            ..usual
        };
        let random = Arc::new(InjectedRandom(Arc::clone(&environment.random)));
        let connections = Arc::clone(hub.connections());
        let for_counts = Arc::clone(&hub);
        let clock = Arc::new(RealTime(Arc::clone(&real_clock)));
        let budget = of_server.limits.budget.clone();
        let channel = ChannelApplication::new(
            hub,
            services,
            operators,
            environment,
            real_clock,
            settings,
            budget.clone(),
        );
        let budgets = [budget].into_iter().chain(channel.anonymous_budget());
        let budgets = budgets.collect();
        let handler = SocketIo::new(channel, &of_server, random.clone());
        Self {
            hub: for_counts,
            budgets,
            server: Arc::new(Server::new(handler, connections, of_server, clock, random)),
            origins: AllowedOrigins::new(settings),
        }
    }

    /// The connections at this moment, and what they have sent that waits to be handled.
    pub fn counts(&self) -> SocketCounts {
        SocketCounts {
            waiting_bytes: Budget::waiting(&self.budgets),
            ..self.hub.counts()
        }
    }

    /// Answers a request to the endpoint.
    pub async fn answer(&self, request: Request) -> Response {
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        if let Some(origin) = request.headers().get(header::ORIGIN)
            && !self.origins.allow_sockets(origin, &caller)
        {
            return foreign(origin);
        }
        let mut response = self.server.answer(request).await;
        if response.extensions().get::<BeforeOrigin>().is_some() {
            response.extensions_mut().insert(WithoutCors);
        }
        response
    }
}

/// How the legacy's library works, with the bounds of this server.
fn server_settings(timing: &Timing, bounds: &Bounds) -> socketio_server::Settings {
    socketio_server::Settings {
        ping_interval: timing.ping_interval,
        ping_timeout: timing.ping_timeout,
        slowest_transfer: timing.slowest_transfer,
        upgrade_timeout: timing.upgrade_deadline,
        farewell_timeout: timing.farewell_deadline,
        body_timeout: timing.body_deadline,
        most_namespaces: 1,
        limits: Limits {
            message: MAX_PAYLOAD,
            json_values: usize::MAX,
            connect_timeout: None,
            budget: Budget::new(bounds.waiting_bytes),
            ..Limits::default()
        },
        leniency: Leniency::python(integer_in),
        ..socketio_server::Settings::default()
    }
}

fn foreign(origin: &HeaderValue) -> Response {
    let origin = String::from_utf8_lossy(origin.as_bytes());
    let reason = format!("{origin} is not an accepted origin.");
    let body = Body::from(compact_text(&reason.into()));
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))];
    let mut response = (StatusCode::BAD_REQUEST, content_type, body).into_response();
    response.extensions_mut().insert(WithoutCors);
    response
}

/// The real clock, as the crate wants it.
#[derive(Debug)]
struct RealTime(Arc<dyn Clock>);

impl SocketClock for RealTime {
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'_> {
        Box::pin(async move { drop(self.0.sleep_until(deadline).await) })
    }
}

/// The injected randomness, as the crate wants it.
#[derive(Debug)]
struct InjectedRandom(Arc<dyn Random>);

impl SocketRandom for InjectedRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
