//! The HTTP requests of clients: which are refused, in which order and words.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, atomic::Ordering},
};

use axum::{Router, extract::Request, response::Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};

use super::{
    Client as _, Connection, Connections, Handler, Inbox, Rejection,
    answer::{Answer, Dress, early_refusal, refusal},
    connection::State,
    heartbeat::Heartbeat,
    polling, websocket,
};
use crate::{
    environment::{Clock, Random},
    settings::{Limits, Settings},
};

const BAD_VERSION: &str =
    "The client is using an unsupported version of the Socket.IO or Engine.IO protocols";

/// How a client connects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// By requests that wait.
    Polling,
    /// By a websocket at once.
    Websocket,
}

/// A server: the connections of one handler.
pub struct Server<H: Handler> {
    pub(super) handler: H,
    pub(super) settings: Settings,
    pub(super) connections: Arc<Connections<H::Client>>,
    pub(super) clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl<H: Handler> fmt::Debug for Server<H> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Server")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// A client that wants to connect.
#[derive(Debug)]
pub struct Opening<'a> {
    request: &'a Parts,
    transport: Transport,
    settings: &'a Settings,
    clock: &'a Arc<dyn Clock>,
    random: &'a dyn Random,
    inbox: Option<Inbox>,
    cookie: Option<HeaderValue>,
}

impl<'a> Opening<'a> {
    /// Its request.
    pub fn request(&self) -> &'a Parts {
        self.request
    }

    /// How it connects.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Makes its connection. `address` is for the log.
    pub fn accept(&mut self, limits: Limits, address: String) -> Arc<Connection> {
        let state = match self.transport {
            Transport::Polling => State::Polling,
            Transport::Websocket => State::Websocket,
        };
        let heartbeat = Heartbeat::new(Arc::clone(self.clock), self.settings);
        let id = new_id(self.random);
        let (connection, inbox) = Connection::new(id, address, limits, state, heartbeat);
        self.inbox = Some(inbox);
        connection
    }

    /// Has a client that polls keep this cookie (the value of a `Set-Cookie` header).
    pub fn set_cookie(&mut self, cookie: HeaderValue) {
        self.cookie = Some(cookie);
    }

    /// What every client may take of the server.
    pub fn limits(&self) -> &'a Limits {
        &self.settings.limits
    }
}

/// What python-engineio says of a connection that has ended; the quotes are Python's.
fn disconnected(sid: &str) -> String {
    format!("'Session is disconnected' {sid}")
}

/// A new id: 20 characters.
pub(crate) fn new_id(random: &dyn Random) -> String {
    let mut bytes = [0; 15];
    random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the query of a request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Wanted {
    transport: Transport,
    sid: Option<String>,
    /// The index of a JSONP callback.
    jsonp: Option<i128>,
}

impl Wanted {
    /// Reads a query, or answers one that no connection can come of.
    fn read(query: Option<&str>, settings: &Settings) -> Result<Self, Box<Response>> {
        // An empty parameter counts as absent.
        let all = |name: &str| -> Vec<String> {
            form_urlencoded::parse(query.unwrap_or_default().as_bytes())
                .filter(|(key, value)| key == name && !value.is_empty())
                .map(|(_, value)| value.into_owned())
                .collect()
        };
        let first = |name| all(name).into_iter().next();
        let transport = match first("transport").as_deref() {
            None if settings.leniency.assumes_polling => Transport::Polling,
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::Websocket,
            _ => return Err(early_refusal("Invalid transport").into()),
        };
        let sid = first("sid");
        if sid.is_none() && all("EIO") != ["4"] {
            return Err(early_refusal(BAD_VERSION).into());
        }
        let jsonp = match (settings.leniency.jsonp_index, first("j")) {
            (Some(read), Some(index)) => match read(&index) {
                Some(index) => Some(index),
                None => return Err(refusal("Invalid JSONP index number").into()),
            },
            _ => None,
        };
        Ok(Self {
            transport,
            sid,
            jsonp,
        })
    }
}

impl<H: Handler> Server<H> {
    /// A server without connections; they will be in `connections`, which others may hold too.
    pub fn new(
        handler: H,
        connections: Arc<Connections<H::Client>>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            handler,
            settings,
            connections,
            clock,
            random,
        }
    }

    /// All connections.
    pub fn connections(&self) -> &Arc<Connections<H::Client>> {
        &self.connections
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The server as routes, below [`Settings::path`].
    pub fn router(self: Arc<Self>) -> Router {
        let path = self.settings.path.trim_end_matches('/').to_owned();
        let service = tower_service(self);
        Router::new()
            .route_service(&format!("{path}/"), service.clone())
            .route_service(&format!("{path}/{{*rest}}"), service)
    }

    /// Answers a request, wherever it was sent to.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Response {
        let wanted = match Wanted::read(request.uri().query(), &self.settings) {
            Ok(wanted) => wanted,
            Err(refusal) => return *refusal,
        };
        let accepted = request
            .headers()
            .get(header::ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let dress = Dress {
            jsonp: wanted.jsonp,
            accepted,
            settings: &self.settings,
        };
        let answer = match *request.method() {
            Method::GET => self.get(&wanted, request).await,
            Method::POST => self.post(&wanted, request).await,
            Method::OPTIONS if self.settings.leniency.answers_as_python => Answer::Ok,
            _ => Answer::NotAllowed,
        };
        answer.into_response(&dress)
    }

    async fn get(self: &Arc<Self>, wanted: &Wanted, request: Request) -> Answer {
        let upgrades = wants_websocket(request.headers());
        let Some(sid) = &wanted.sid else {
            return match (wanted.transport, upgrades) {
                (Transport::Polling, _) => self.open(request),
                (Transport::Websocket, true) => websocket::open(self, request),
                (Transport::Websocket, false) => Answer::Refused("Invalid websocket upgrade".to_owned()),
            };
        };
        let Some(client) = self.connections.get(sid) else {
            return Answer::Refused(if self.connections.forget_ended(sid) {
                disconnected(sid)
            } else {
                format!("Invalid session {sid}")
            });
        };
        if !self.handler.is_its_client(&client, request.headers()) {
            return Answer::Stranger;
        }
        let connection = client.connection();
        if connection.state() == State::Websocket {
            return Answer::Refused("Unexpected HTTP request".to_owned());
        }
        if self.recalls(connection) && connection.is_ended() && self.connections.remove(sid) {
            // It came before the connection's own task was done.
            return Answer::Refused(disconnected(sid));
        }
        if wanted.transport == Transport::Websocket {
            // Proxies strip what asks for a websocket. Such a request is no poll: it would swallow what the next poll is to get.
            return if upgrades {
                websocket::upgrade(self, Arc::clone(connection), request)
            } else {
                Answer::Refused("Invalid transport".to_owned())
            };
        }
        let answer = polling::poll(self, connection).await;
        // A poll that was there at the end knows of it.
        if self.recalls(connection) && connection.is_ended() && !self.connections.remove(sid) {
            self.connections.forget_ended(sid);
        }
        answer
    }

    async fn post(self: &Arc<Self>, wanted: &Wanted, request: Request) -> Answer {
        let client = wanted.sid.as_ref().and_then(|sid| self.connections.get(sid));
        let Some(client) = client else {
            let sid = wanted.sid.as_deref().unwrap_or("None");
            return Answer::Refused(format!("Invalid session {sid}"));
        };
        if !self.handler.is_its_client(&client, request.headers()) {
            return Answer::Stranger;
        }
        if client.connection().state() == State::Websocket {
            return Answer::Refused("Unexpected HTTP request".to_owned());
        }
        polling::post(self, &client, request).await
    }

    /// Opens a connection over polling.
    fn open(self: &Arc<Self>, request: Request) -> Answer {
        let (parts, _) = request.into_parts();
        match self.admit(&parts, Transport::Polling) {
            Ok((connection, cookie)) => Answer::Opened {
                packets: format!("0{}", self.open_packet(&connection, true)),
                cookie,
            },
            Err(rejection) => Answer::Rejected(rejection),
        }
    }

    /// Takes a client in and begins to work for it.
    pub(super) fn admit(
        self: &Arc<Self>,
        request: &Parts,
        transport: Transport,
    ) -> Result<(Arc<Connection>, Option<HeaderValue>), Rejection> {
        let mut opening = Opening {
            request,
            transport,
            settings: &self.settings,
            clock: &self.clock,
            random: &*self.random,
            inbox: None,
            cookie: None,
        };
        let client = self.handler.admit(&mut opening)?;
        let Opening { inbox, cookie, .. } = opening;
        let connection = Arc::clone(client.connection());
        self.connections.add(Arc::clone(&client));
        // A client that the handler admits without a connection of this opening says nothing.
        let inbox = inbox.unwrap_or_else(|| Inbox::silent(Arc::clone(&connection)));
        self.connections.spawn(Arc::clone(self).run(client, inbox));
        Ok((connection, cookie))
    }

    /// Works for a connection until it ends. However long a message takes, the heartbeat goes on; and however the
    /// connection ends, what was received is handled, from the message under way to the last one that waits.
    async fn run(self: Arc<Self>, client: Arc<H::Client>, inbox: Inbox) {
        let connection = client.connection();
        let watching = async {
            tokio::select! {
                () = connection.heartbeat.watch(connection) => connection.end(),
                () = connection.ended.cancelled() => {}
            }
            self.handler.ended(&client);
            if connection.has_said_goodbye.load(Ordering::Acquire) {
                connection.sleep(self.settings.farewell_timeout).await;
            }
            if self.recalls(connection) {
                self.connections.remove_and_remember(connection.id());
            } else {
                self.connections.remove(connection.id());
            }
        };
        let working = async {
            self.handler.run(Arc::clone(&client), inbox).await;
            connection.end();
        };
        tokio::join!(watching, working);
    }

    /// Whether the first poll after the end of a connection is told so.
    fn recalls(&self, connection: &Connection) -> bool {
        self.settings.leniency.answers_as_python
            && matches!(connection.state(), State::Polling | State::Probing)
    }

    /// The JSON of the open packet, its keys in python-engineio's order.
    pub(super) fn open_packet(&self, connection: &Connection, is_upgradable: bool) -> String {
        let upgrades = if is_upgradable { "[\"websocket\"]" } else { "[]" };
        format!(
            "{{\"sid\":\"{}\",\"upgrades\":{upgrades},\"pingTimeout\":{},\"pingInterval\":{},\"maxPayload\":{}}}",
            connection.id(),
            self.settings.ping_timeout.as_millis(),
            self.settings.ping_interval.as_millis(),
            self.settings.limits.message,
        )
    }
}

fn tower_service<H: Handler>(
    server: Arc<Server<H>>,
) -> impl tower::Service<Request, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    tower::service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok(server.answer(request).await) }
    })
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let names = |name: header::HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    };
    names(header::UPGRADE, "websocket") && names(header::CONNECTION, "upgrade")
}
