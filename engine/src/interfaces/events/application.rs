//! The channel as an application of the crate: who its clients are, and how their events are handled.

use std::{sync::Arc, time::Duration};

use axum::extract::{FromRequest as _, Request as HttpRequest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use socketio_server::{
    Limits,
    engine_io::{BodyError, Budget, Rejection, Senders, Transport},
    socket_io::{Admission, Application, Arguments, ConnectError, Event, Handled, Refused, Request, Socket},
};
use tracing::{Instrument as _, Span};

use super::{
    Hub,
    agents::context,
    dispatch::{asks_without_argument, handle_event, is_named_as_a_connections_own},
    handshake::Handshake,
    hub::Full,
    peer::{Client, Peer, logged_id},
    refusals::Refusals,
};
use crate::{
    config::{bounds::AnonymousBounds, settings::Settings},
    domain::{clock::Clock, guid::Guid, json::Json, payload::Payload, random::random_bytes, text::same_text},
    interfaces::http::{
        browser::ClientBrowser,
        compat::{
            body::{BodyError as HttpBodyError, RawBody},
            forwarded::Caller,
            session::{SessionCodec, socket_key},
        },
    },
    services::{
        Environment,
        audit::{self, Actor},
        container::Container,
        realtime::{Identity, Outcome},
    },
};

/// Characters of an unchecked name that are logged.
const LONGEST_NAME: usize = 64;

/// What the channel's clients can do.
#[derive(Debug)]
pub(super) struct ChannelApplication {
    hub: Arc<Hub>,
    services: Arc<Container>,
    operators: Arc<SessionCodec>,
    environment: Environment,
    /// What those may take who show no identity; `None` where nobody is asked for one.
    anonymous: Option<Anonymous>,
    /// What those share who show one.
    senders: Senders<Sender>,
    refusals: Refusals,
}

/// Who sends, whatever connections it has.
#[derive(Debug, Eq, Hash, PartialEq)]
enum Sender {
    Device(Guid),
    Operator(String),
}

impl Sender {
    /// Who shows this identity; nobody in particular without one.
    fn of(identity: &Identity) -> Option<Self> {
        match identity {
            Identity::Device(device) => Some(Self::Device(device.guid().clone())),
            Identity::Operator(operator) => Some(Self::Operator(operator.username.clone())),
            Identity::Anonymous => None,
        }
    }
}

/// What those may take who show no identity.
#[derive(Debug)]
struct Anonymous {
    bounds: AnonymousBounds,
    limits: Limits,
}

impl Anonymous {
    /// They take short messages of a budget of their own.
    fn new(bounds: AnonymousBounds, namespace_deadline: Duration) -> Self {
        let limits = Limits {
            message: bounds.message,
            waiting_messages: bounds.waiting_messages,
            waiting_bytes: bounds.message,
            unsent_frames: bounds.waiting_frames,
            unsent_bytes: bounds.message,
            json_values: bounds.json_values,
            longest_echo: bounds.echo,
            connect_timeout: Some(namespace_deadline),
            budget: Budget::of_short(bounds.waiting_bytes),
        };
        Self { bounds, limits }
    }
}

impl ChannelApplication {
    /// Clients are in `hub`, and their events go to `services`; those that show an identity share `budget`.
    pub(super) fn new(
        hub: Arc<Hub>,
        services: Arc<Container>,
        operators: Arc<SessionCodec>,
        environment: Environment,
        real_clock: Arc<dyn Clock>,
        settings: &Settings,
        budget: Budget,
    ) -> Self {
        let deadline = settings.timing.namespace_deadline;
        let anonymous = settings.anonymous_bounds();
        Self {
            hub,
            services,
            operators,
            environment,
            anonymous: anonymous.map(|bounds| Anonymous::new(bounds, deadline)),
            senders: Senders::new(budget),
            refusals: Refusals::new(real_clock),
        }
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn services(&self) -> &Container {
        &self.services
    }

    /// What those may have sent who show no identity, and that waits to be handled.
    pub(super) fn anonymous_budget(&self) -> Option<Budget> {
        self.anonymous
            .as_ref()
            .map(|anonymous| anonymous.limits.budget.clone())
    }

    /// An operator by session or token, or a device by its token. A policy that checks nobody does not ask.
    fn identify(&self, headers: &HeaderMap) -> Identity {
        let access = self.hub.access();
        if !access.is_strict() {
            return Identity::Anonymous;
        }
        let now = self.environment.clock.now().as_second();
        if let Some(credential) = self.operators.identify(headers, now) {
            return Identity::Operator(credential);
        }
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .map(str::trim)
            .and_then(|token| access.device(token))
            .unwrap_or(Identity::Anonymous)
    }

    /// A new secret of a connection.
    fn new_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(random_bytes::<16>(&*self.environment.random))
    }
}

impl Application for ChannelApplication {
    type Peer = Peer;
    type Data = Json;

    fn admit(&self, request: &Request<'_>) -> Result<Admission<Peer>, Rejection> {
        let headers = &request.parts.headers;
        let caller = request.parts.extensions.get::<Caller>();
        let caller = caller.cloned().unwrap_or_default();
        let (name, polls) = match request.transport {
            Transport::Websocket => ("websocket", false),
            Transport::Polling => ("polling", true),
        };
        let identity = self.identify(headers);
        let (limits, is_anonymous) = match (&self.anonymous, Sender::of(&identity)) {
            (Some(anonymous), None) => (anonymous.limits.clone(), true),
            (Some(anonymous), Some(sender)) => {
                let limits = Limits {
                    json_values: anonymous.bounds.json_values,
                    budget: self.senders.budget_of(sender),
                    ..request.limits.clone()
                };
                (limits, false)
            }
            (None, _) => (request.limits.clone(), false),
        };
        let mut handshake = Handshake::of(headers, &caller, name);
        if !matches!(identity, Identity::Device(_)) {
            handshake.browser = Some(Box::new(ClientBrowser::of(headers, &caller).browser));
        }
        if polls && identity != Identity::Anonymous {
            handshake.key = Some(self.new_key().into());
        }
        let key = handshake.key.as_deref();
        Ok(Admission {
            limits: Some(limits),
            address: handshake.address.clone(),
            cookie: key.and_then(|key| self.operators.socket(key, caller.arrival())),
            peer: Peer::new(handshake, identity, is_anonymous),
        })
    }

    fn opened(&self, client: &Arc<Client>) -> Result<(), Rejection> {
        self.hub.add(client).map_err(|Full| {
            self.refusals.log(|| {
                tracing::warn!(
                    ip = %client.peer.handshake.address,
                    "socket.io connection refused: there are too many"
                );
            });
            Rejection {
                status: StatusCode::SERVICE_UNAVAILABLE,
                reason: "Too many sessions".to_owned(),
            }
        })
    }

    fn ended(&self, client: &Client) {
        self.hub.remove(client);
    }

    /// Whether a request comes from whom the connection was opened by. The id alone is no credential for one that was
    /// opened with one. Browsers send theirs with every request; other clients send headers of their own when they
    /// connect alone, but keep cookies, so they are given one.
    fn is_its_client(&self, client: &Client, headers: &HeaderMap) -> bool {
        let opened_by = client.peer.principal.identity();
        if *opened_by == Identity::Anonymous {
            return true;
        }
        let is_same = match (opened_by, self.identify(headers)) {
            (Identity::Operator(one), Identity::Operator(other)) => {
                one.username.eq_ignore_ascii_case(&other.username)
            }
            (Identity::Device(one), Identity::Device(other)) => one.guid() == other.guid(),
            _ => false,
        };
        let has_key = || {
            let keys = (client.peer.handshake.key.as_deref(), socket_key(headers));
            matches!(keys, (Some(own), Some(shown)) if same_text(own, &shown))
        };
        let is_same = is_same || has_key();
        if !is_same {
            self.refusals.log(|| {
                tracing::warn!(
                    sid = %logged_id(client),
                    ip = %client.peer.handshake.address,
                    "socket.io request refused, it lacks the credential that the connection was opened with"
                );
            });
        }
        is_same
    }

    async fn read_body(
        &self,
        client: &Client,
        request: HttpRequest,
        _timeout: Duration,
    ) -> Result<Bytes, BodyError> {
        let body = match <RawBody>::from_request(request, &()).await {
            Ok(body) => body.limit(client.connection().limits().message).counted(),
            Err(never) => match never {},
        };
        let body = if client.peer.is_anonymous {
            body.of_anybody(|bounds| bounds.message)
        } else {
            body
        };
        body.bytes().await.map_err(|error| match error {
            HttpBodyError::TooLarge => BodyError::TooLarge,
            _ => BodyError::Broken,
        })
    }

    async fn may_enter(
        &self,
        _client: &Client,
        namespace: &str,
        _auth: Option<&Json>,
    ) -> Result<(), ConnectError> {
        match namespace {
            "/" => Ok(()),
            _ => Err(unable_to_connect()),
        }
    }

    fn is_there_already(&self) -> ConnectError {
        unable_to_connect()
    }

    async fn entered(&self, socket: &Socket<'_, Peer, Json>, _auth: Option<Json>) {
        let sid = socket.client.sid(socket.namespace).unwrap_or_default();
        log_connect(&socket.client.peer.handshake, &sid);
    }

    fn left(&self, client: &Client, _namespace: &str, sid: &str) {
        client.peer.leave();
        tracing::info!(%sid, ip = %client.peer.handshake.address, "socket.io disconnect");
    }

    async fn event(&self, socket: &Socket<'_, Peer, Json>, mut event: Event<Json>) -> Handled<Json> {
        let Arguments { values, attachments } = std::mem::replace(&mut event.arguments, Arguments::none());
        if !self.hub.access().is_strict() && is_named_as_a_connections_own(event.name(), values.len()) {
            return Handled::Done(Arguments::none());
        }
        let value = match <[Json; 1]>::try_from(values) {
            Ok([value]) => value,
            Err(values) if values.is_empty() && asks_without_argument(event.name()) => Json::Null,
            // The legacy's handlers take exactly one argument and fail otherwise, without acknowledgement.
            Err(_) => return Handled::Unacknowledged,
        };
        let payload = Payload { value, attachments };
        let handling = handle_event(self, socket.client, event.name(), payload);
        match handling.instrument(actor(socket.client)).await {
            Some(Outcome::Done) => Handled::Done(Arguments::none()),
            Some(Outcome::Refused) => {
                self.refusals.log_event(socket.client, event.name());
                Handled::Unacknowledged
            }
            Some(Outcome::Failed) | None => Handled::Unacknowledged,
        }
    }

    fn refused(&self, client: &Client, refused: Refused<'_, Json>) {
        match refused {
            Refused::TooManyValues => self.refusals.log_event(client, "with_too_many_values"),
            Refused::LongNamespace => self.refusals.log_event(client, "of_another_namespace"),
            Refused::TooManyAttachments { namespace, data } => {
                let name = data.and_then(Json::as_list).and_then(<[Json]>::first);
                if let Some(name) = name.and_then(Json::as_text)
                    && client.is_in(namespace)
                {
                    // It may be called anything.
                    let name: String = name
                        .chars()
                        .filter(|character| character.is_ascii_alphanumeric() || *character == '_')
                        .take(LONGEST_NAME)
                        .collect();
                    self.refusals.log_event(client, &name);
                }
            }
            Refused::NoRoomForAttachments => tracing::info!(
                sid = %client.connection().id(),
                "socket.io connection closed, there is no room for the attachments that it has sent"
            ),
            Refused::Malformed => tracing::info!(
                sid = %logged_id(client),
                "socket.io connection closed, it sent a malformed binary event"
            ),
        }
    }
}

/// The legacy's words.
fn unable_to_connect() -> ConnectError {
    ConnectError::json("\"Unable to connect\"")
}

/// Who and from where whatever an event changes is changed.
fn actor(client: &Client) -> Span {
    let span = audit::span(&client.peer.handshake.address);
    span.in_scope(|| match client.peer.principal.identity() {
        Identity::Operator(shown) => audit::acts(Actor::Operator(&shown.username)),
        Identity::Device(claims) => audit::acts(Actor::Device(claims.guid().as_str())),
        Identity::Anonymous => {}
    });
    span
}

/// The legacy also writes the query and every header in clear (RT-17).
fn log_connect(handshake: &Handshake, sid: &str) {
    let context = context(&handshake.scope);
    let authorization = handshake.authorization.as_str();
    tracing::info!(
        %sid,
        ip = %handshake.address,
        transport = %format_args!("'{}'", handshake.transport),
        authorization = (!authorization.is_empty()).then_some(authorization),
        "{context}socket.io connect"
    );
}
