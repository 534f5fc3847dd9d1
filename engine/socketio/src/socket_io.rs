//! Socket.IO 5: namespaces, events, acknowledgements and attachments, over [`engine_io`].
//!
//! An [`Application`] says who may connect and what events do; [`SocketIo`] makes it a handler of Engine.IO:
//!
//! ```
//! # use std::sync::Arc;
//! # use socketio_server::{Settings, engine_io::{Rejection, Server}, environment::{SystemClock, SystemRandom},
//! #     socket_io::{Admission, Application, Arguments, Event, Handled, Request, SocketIo, Socket}};
//! struct Greeter;
//!
//! impl Application for Greeter {
//!     type Peer = ();
//!     type Data = serde_json::Value;
//!
//!     fn admit(&self, _request: &Request<'_>) -> Result<Admission<()>, Rejection> {
//!         Ok(Admission::of(()))
//!     }
//!
//!     async fn event(&self, socket: &Socket<'_, (), Self::Data>, event: Event<Self::Data>) -> Handled<Self::Data> {
//!         socket.emit("greeting", &[format!("hello, {}", event.name()).into()]);
//!         Handled::Done(Arguments::none())
//!     }
//! }
//!
//! let handler = SocketIo::new(Greeter, &Settings::default(), Arc::new(SystemRandom));
//! let server = Server::new(
//!     handler,
//!     Arc::default(),
//!     Settings::default(),
//!     Arc::new(SystemClock::default()),
//!     Arc::new(SystemRandom),
//! );
//! let routes: axum::Router = Arc::new(server).router();
//! ```
//!
//! [`engine_io`]: crate::engine_io

mod client;
mod data;
mod handler;
mod packet;

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, request::Parts};

pub(crate) use self::packet::is_packet;
pub use self::{
    client::{Acknowledged, Client, Delivered},
    data::{Arguments, Data, Emit, Unreadable},
    handler::SocketIo,
    packet::Packets,
};
use crate::{
    Bytes, Limits,
    engine_io::{BodyError, Permit, Rejection, Transport, read_body},
    json_text,
};

/// What an application does with its clients. Everything of one client is called in the order in which it sent it, and
/// nothing of it before the last call has returned.
pub trait Application: Send + Sync + Sized + 'static {
    /// What it knows of a client.
    type Peer: Send + Sync + 'static;
    /// How JSON is read and written.
    type Data: Data;

    /// Somebody wants to connect.
    ///
    /// # Errors
    /// It may not, and gets this answer.
    fn admit(&self, request: &Request<'_>) -> Result<Admission<Self::Peer>, Rejection>;

    /// What an event does.
    fn event(
        &self,
        socket: &Socket<'_, Self::Peer, Self::Data>,
        event: Event<Self::Data>,
    ) -> impl Future<Output = Handled<Self::Data>> + Send;

    /// The client is taken in: whoever keeps lists of clients notes it.
    ///
    /// # Errors
    /// There is no room for it, and it gets this answer.
    fn opened(&self, client: &Arc<Client<Self::Peer, Self::Data>>) -> Result<(), Rejection> {
        let _ = client;
        Ok(())
    }

    /// Whether a client may enter a namespace, for which it shows `auth`. By default only the main one.
    fn may_enter(
        &self,
        client: &Client<Self::Peer, Self::Data>,
        namespace: &str,
        auth: Option<&Self::Data>,
    ) -> impl Future<Output = Result<(), ConnectError>> + Send {
        let _ = (client, auth);
        let answer = match namespace {
            "/" => Ok(()),
            _ => Err(ConnectError::message("Invalid namespace")),
        };
        std::future::ready(answer)
    }

    /// The answer to a client that enters a namespace that it is in already.
    fn is_there_already(&self) -> ConnectError {
        ConnectError::message("Already connected")
    }

    /// A client has entered a namespace.
    fn entered(
        &self,
        socket: &Socket<'_, Self::Peer, Self::Data>,
        auth: Option<Self::Data>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (socket, auth);
        std::future::ready(())
    }

    /// A client has left a namespace, of its own accord or with its connection; its id there is `sid`.
    fn left(&self, client: &Client<Self::Peer, Self::Data>, namespace: &str, sid: &str) {
        let _ = (client, namespace, sid);
    }

    /// A client's connection has ended: nothing can be sent to it, but what it sent may still be handled.
    fn ended(&self, client: &Client<Self::Peer, Self::Data>) {
        let _ = client;
    }

    /// Something of a client was refused by the rules of the protocol or of [`Limits`].
    fn refused(&self, client: &Client<Self::Peer, Self::Data>, refused: Refused<'_, Self::Data>) {
        let _ = (client, refused);
    }

    /// Whether a further request comes from whom the connection was opened by.
    fn is_its_client(&self, client: &Client<Self::Peer, Self::Data>, headers: &HeaderMap) -> bool {
        let _ = (client, headers);
        true
    }

    /// Reads the body of a POST.
    fn read_body(
        &self,
        client: &Client<Self::Peer, Self::Data>,
        request: axum::extract::Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes, BodyError>> + Send {
        read_body(request, client.connection().limits().message, timeout)
    }
}

/// A request that is to open a connection.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The request without its body.
    pub parts: &'a Parts,
    /// How the client connects.
    pub transport: Transport,
    /// What every client may take of the server.
    pub limits: &'a Limits,
}

/// A client that may connect.
#[derive(Clone, Debug)]
pub struct Admission<P> {
    /// What the application knows of it.
    pub peer: P,
    /// What it may take of the server, if that is not what every client may: made out of [`Request::limits`], whose
    /// budget all share.
    pub limits: Option<Limits>,
    /// Where it is, for the log.
    pub address: String,
    /// The value of a `Set-Cookie` header for a client that polls.
    pub cookie: Option<HeaderValue>,
}

impl<P> Admission<P> {
    /// A client like every other.
    pub fn of(peer: P) -> Self {
        Self {
            peer,
            limits: None,
            address: String::new(),
            cookie: None,
        }
    }
}

/// A client in one of its namespaces.
pub struct Socket<'a, P, D> {
    /// The client.
    pub client: &'a Arc<Client<P, D>>,
    /// The namespace.
    pub namespace: &'a str,
}

impl<P, D> fmt::Debug for Socket<'_, P, D> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Socket")
            .field("connection", &self.client.connection().id())
            .field("namespace", &self.namespace)
            .finish()
    }
}

impl<P, D: Data> Socket<'_, P, D> {
    /// Sends an event without attachments.
    pub fn emit(&self, event: &str, arguments: &[D]) {
        self.client.emit(&Emit::new(self.namespace, event, arguments));
    }
}

/// An event of a client: a name, and arguments with attachments. It counts against what the client may take of the
/// server until it is dropped.
#[derive(Debug)]
pub struct Event<D> {
    pub(crate) name: String,
    /// What it carries.
    pub arguments: Arguments<D>,
    pub(crate) _permit: Option<Arc<Permit>>,
}

impl<D> Event<D> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What became of an event.
#[derive(Clone, Debug)]
pub enum Handled<D> {
    /// It is acknowledged with this, if the client asked for that.
    Done(Arguments<D>),
    /// It is not acknowledged.
    Unacknowledged,
}

/// Why a client may not enter a namespace: the JSON of a `CONNECT_ERROR` packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectError(pub(crate) String);

impl ConnectError {
    /// An object with this message, as the protocol has it.
    pub fn message(message: &str) -> Self {
        Self(format!("{{\"message\":{}}}", json_text::string(message)))
    }

    /// Any JSON.
    pub fn json(json: impl Into<String>) -> Self {
        Self(json.into())
    }
}

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refused<'a, D> {
    /// A packet that holds too many values.
    TooManyValues,
    /// A namespace whose name is too long to be repeated in an answer.
    LongNamespace,
    /// An event with too many attachments.
    TooManyAttachments {
        /// The namespace.
        namespace: &'a str,
        /// Name and arguments.
        data: Option<&'a D>,
    },
    /// A packet whose attachments take more than there is while they wait for each other; the connection is closed.
    NoRoomForAttachments,
    /// A packet that the protocol does not allow; the connection is closed.
    Malformed,
}
