//! A small Socket.IO 5 client over Engine.IO 4: websocket, polling, or polling upgraded to websocket.
//!
//! It shows everything as it came: events and acknowledgements in one stream in the order of arrival, with exactly the
//! arguments that were sent, and why a connection ended. Every buffer is bounded; what overflows closes the connection
//! and says so. Events are those of the namespace `/` alone; whatever else comes and was not asked for is shown as such.

pub mod binary;
mod client;
pub mod engine_packet;
pub mod packet;
mod transport;

pub use client::Client;

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use crate::target::endpoint::Endpoint;

/// How to carry packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Requests that wait for packets, and requests that carry them.
    Polling,
    WebSocket,
}

/// Everything that a connection begins with.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub server: Endpoint,
    /// Further headers of every request, in order.
    pub headers: Vec<(String, String)>,
    /// Further query parameters, as they are sent: `who=agent&x=1`.
    pub query: String,
    /// One transport to use it alone; polling before websocket to upgrade.
    pub transports: Vec<Transport>,
    /// The object that comes with the connect packet.
    pub auth: Option<Value>,
    pub limits: Limits,
}

impl ConnectOptions {
    /// A plain websocket connection.
    pub fn websocket(address: SocketAddr) -> Self {
        Self {
            server: address.into(),
            headers: Vec::new(),
            query: String::new(),
            transports: vec![Transport::WebSocket],
            auth: None,
            limits: Limits::default(),
        }
    }
}

/// What a client holds at most, and how long it waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets that arrived and were not taken yet.
    pub packets: usize,
    /// Bytes of one incoming packet.
    pub packet_bytes: usize,
    /// Until the namespace is joined.
    pub connect: Duration,
    /// Until the server has taken note of a disconnect.
    pub disconnect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packets: 16_384,
            packet_bytes: 64 << 20,
            connect: Duration::from_secs(10),
            disconnect: Duration::from_secs(2),
        }
    }
}

/// What arrives, in the order of arrival.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Event {
        /// Where the server asks for an acknowledgement, which [`Client::acknowledge`] gives. Nothing gives it unasked.
        id: Option<u64>,
        name: String,
        /// Its arguments; binary ones as [`binary`] writes them.
        arguments: Vec<Value>,
    },
    Ack {
        /// Of the emit with this id.
        id: u64,
        /// What it carries.
        arguments: Vec<Value>,
    },
    /// Another namespace was refused.
    Refused { namespace: String },
    /// A packet that no client asks for.
    Stray {
        kind: Stray,
        /// What the packet says; of a session's id only its length.
        says: Value,
    },
    /// The connection is over; nothing comes after this.
    Closed(CloseReason),
}

/// What is the matter with a packet that no client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Of another namespace, or that joins or refuses one that was joined.
    Packet,
    /// Of a namespace that was not joined yet.
    Early,
    /// Of Engine.IO, and no message.
    Transport,
}

/// What a server said before a connection was there, or was not.
#[derive(Debug, Default)]
pub struct Opening {
    /// The session's open packet: `over` which transport, what it `says` (of the session's id the length) and how it is
    /// `written`.
    pub opened: Option<Value>,
    /// Why the namespace could not be joined aside, all that came. Where it was joined, the client shows it.
    pub early: Vec<Incoming>,
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The client closed it.
    #[error("closed by the client")]
    Client,
    /// The server left the namespace.
    #[error("the server disconnected the namespace")]
    Disconnected,
    /// The server closed the Engine.IO session.
    #[error("the server closed the session")]
    SessionClosed,
    /// The websocket was closed with a code.
    #[error("the websocket was closed with {code} {reason:?}")]
    WebSocket {
        /// The code; 1005 where none was given.
        code: u16,
        reason: String,
    },
    /// Polling was refused.
    #[error("polling was answered with {status}: {body}")]
    Refused {
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// There is no connection: nobody answers, or the certificate does not fit.
    #[error("{0}")]
    Unreachable(String),
    /// The network connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Neither a packet nor a ping came in time.
    #[error("no sign of life from the server")]
    Silent,
    /// Something undecodable came.
    #[error("{0}")]
    Malformed(String),
    /// More arrived or waited to be sent than the bounds allow.
    #[error("a buffer is full")]
    Overflow,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConnectError {
    /// The network or the protocol.
    #[error("{0}")]
    Closed(#[from] CloseReason),
    /// The options or the server's answer cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The server refused the namespace.
    #[error("the namespace was refused: {0}")]
    Namespace(Value),
    /// No answer in time.
    #[error("no answer in time")]
    Late,
}

#[cfg(test)]
mod tests;
