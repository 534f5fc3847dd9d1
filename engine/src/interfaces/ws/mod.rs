//! The Socket.IO endpoint: Engine.IO 4 over polling and websockets, Socket.IO 5 in its namespace `/`.
//!
//! It is its own, on a websocket crate, for three reasons. A client that floods must be made to wait, and one that
//! reads nothing must be found and let go, both in bounded memory: crates that own the queues do neither. The order of
//! one client's events must hold. And malformed packets, refusals and acknowledgements are part of what agents were
//! built against.
//!
//! The way of an event: `transport` (then `polling` or `websocket`) → `session` (bounded queue) → `client` (packets) → `events` (names) →
//! builders → [`RealtimeService`]. The way back: services → [`Hub`] (who) → `session` (bounded queue) → transport.
//! Beside both ways `heartbeat` decides who is gone, by pongs and by the bytes that `moving` counts.

mod client;
mod events;
mod fragments;
mod handshake;
mod heartbeat;
mod hub;
mod moving;
mod outbox;
mod packet;
mod payload;
mod polling;
mod receipts;
mod room;
mod session;
mod transport;
mod websocket;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{extract::Request, response::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::sync::mpsc;

pub use events::EVENTS;
pub use hub::Hub;

use self::{
    client::{Client, Next, log_disconnect},
    room::Shares,
    session::{Inbound, Session},
};
use super::http::compat::{cors::AllowedOrigins, session::SessionCodec};
use crate::{
    config::{bounds::AnonymousBounds, settings::Settings, timing::Timing},
    domain::{clock::Clock, mask::shown, random::random_bytes},
    services::{
        Environment,
        realtime::{Identity, RealtimeService},
    },
};

/// Log lines about refused events and connections within [`REFUSAL_WINDOW`]; further ones are counted only.
const REFUSALS_LOGGED: u32 = 60;
const REFUSAL_WINDOW: Duration = Duration::from_secs(60);

/// What the endpoint needs.
#[derive(Debug)]
pub struct SocketServer {
    hub: Arc<Hub>,
    service: Arc<RealtimeService>,
    operators: Arc<SessionCodec>,
    origins: AllowedOrigins,
    environment: Environment,
    /// Real time, for heartbeats and patience.
    real_clock: Arc<dyn Clock>,
    timing: Timing,
    /// What those may take who show no identity; `None` where nobody is asked for one.
    anonymous: Option<AnonymousBounds>,
    shares: Shares,
    refusals: Mutex<Refusals>,
}

/// How many refusals were logged in the present window.
#[derive(Debug, Default)]
struct Refusals {
    since: Duration,
    count: u32,
}

impl SocketServer {
    /// An endpoint whose sessions are in `hub` and whose events go to `service`.
    pub fn new(
        hub: Arc<Hub>,
        service: Arc<RealtimeService>,
        operators: Arc<SessionCodec>,
        environment: Environment,
        real_clock: Arc<dyn Clock>,
        settings: &Settings,
    ) -> Self {
        Self {
            hub,
            service,
            operators,
            origins: AllowedOrigins::new(settings),
            environment,
            real_clock,
            timing: settings.timing,
            anonymous: settings.anonymous_bounds(),
            shares: Shares::new(&settings.bounds),
            refusals: Mutex::default(),
        }
    }

    /// Answers a request to the endpoint.
    pub async fn answer(self: Arc<Self>, request: Request) -> Response {
        transport::answer(&self, request).await
    }

    /// A new id in the legacy's form: 20 characters.
    fn new_sid(&self) -> String {
        URL_SAFE_NO_PAD.encode(random_bytes::<15>(&*self.environment.random))
    }

    /// A new secret of a session.
    fn new_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(random_bytes::<16>(&*self.environment.random))
    }

    /// Works for a session until it ends. However long an event takes, the heartbeat goes on; and however the session
    /// ends, what was received is handled, from the event under way to the last one that waits.
    async fn run(self: Arc<Self>, session: Arc<Session>, inbox: mpsc::Receiver<Inbound>) {
        let watching = async {
            tokio::select! {
                () = session.heartbeat.watch(&session) => session.end(),
                () = self.missed_entry(&session) => session.end(),
                () = session.ended.cancelled() => {}
            }
            self.hub.remove(&session.id);
        };
        tokio::join!(watching, self.handle_all(&session, inbox));
        log_disconnect(&session);
    }

    /// Completes where a session without identity has not entered its namespace in time.
    async fn missed_entry(&self, session: &Session) {
        if session.bounds.is_anonymous {
            let deadline = self.real_clock.monotonic() + self.timing.namespace_deadline;
            let _ = self.real_clock.sleep_until(deadline).await;
            if !session.is_member() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Handles what the client sends, in its order.
    async fn handle_all(self: &Arc<Self>, session: &Arc<Session>, mut inbox: mpsc::Receiver<Inbound>) {
        let mut client = Client::new(Arc::clone(self), Arc::clone(session));
        loop {
            let received = tokio::select! {
                biased;
                () = session.ended.cancelled() => {
                    inbox.close();
                    inbox.recv().await
                }
                received = inbox.recv() => received,
            };
            let Some(inbound) = received else { break };
            if client.handle(inbound).await == Next::End {
                break;
            }
        }
        session.end();
    }

    /// Writes that an event was refused, unless many were.
    fn log_refusal(&self, session: &Session, event: &str) {
        self.log_one_of_many(|| {
            let identity = session.standing.identity();
            let why = match identity {
                Identity::Operator(_) if event == "ansible_playbook_run" => {
                    ": playbooks are run over HTTP, where they are signed and recorded"
                }
                _ => "",
            };
            tracing::warn!(
                "socket.io event refused event={event} by={} sid={} ip={}{why}",
                shown(&who(identity)),
                session.id,
                session.handshake.address
            );
        });
    }

    /// Writes that something was refused, unless much was.
    fn log_one_of_many(&self, log: impl FnOnce()) {
        let now = self.real_clock.monotonic();
        let number = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if now.saturating_sub(refusals.since) >= REFUSAL_WINDOW {
                *refusals = Refusals { since: now, count: 0 };
            }
            refusals.count = refusals.count.saturating_add(1);
            refusals.count
        };
        if number <= REFUSALS_LOGGED {
            log();
        }
        if number == REFUSALS_LOGGED {
            tracing::warn!("socket.io further refusals are not logged for a while");
        }
    }
}

/// Whom a connection belongs to, for the log.
fn who(identity: &Identity) -> String {
    match identity {
        Identity::Nobody => "nobody".to_owned(),
        Identity::Operator(credential) => format!("operator {}", credential.username),
        Identity::Device(claims) => format!("device {}", claims.guid()),
    }
}
