//! Engine.IO 4: messages both ways between clients and a [`Handler`], over polling or a websocket.
//!
//! The way of a message: `server` (then `polling` or `websocket`) → `connection` → [`Inbox`] (bounded queue) → handler.
//! The way back: [`Connection::send`] → `outbox` (bounded queue) → `polling` or `websocket`. Beside both ways `heartbeat`
//! decides who is gone, by pongs and by the bytes that `metered` counts.

mod answer;
mod budget;
mod connection;
mod connections;
mod fragments;
mod frame;
mod heartbeat;
mod inbox;
mod metered;
mod outbox;
mod payload;
mod polling;
mod receipts;
mod server;
mod websocket;

use std::{sync::Arc, time::Duration};

use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;

pub use self::{
    answer::BeforeOrigin,
    budget::{Budget, Permit, Reading, Senders},
    connection::Connection,
    connections::Connections,
    frame::Frame,
    inbox::{Content, Inbox, Message},
    polling::read_body,
    receipts::{Receipt, Unconfirmed},
    server::{Opening, Server, Transport},
};
pub(crate) use self::{
    budget::Parked, connection::without_transport, payload::count_packets, server::new_id,
};

/// What an application does with connections.
pub trait Handler: Send + Sync + Sized + 'static {
    /// One client, as the application knows it.
    type Client: Client;

    /// A client wants to connect.
    ///
    /// # Errors
    /// It may not, and gets this answer.
    fn admit(&self, opening: &mut Opening<'_>) -> Result<Arc<Self::Client>, Rejection>;

    /// Works for a client until it is gone or is to be: the connection ends when this does.
    fn run(&self, client: Arc<Self::Client>, inbox: Inbox) -> impl Future<Output = ()> + Send;

    /// Whether a further request comes from whom the connection was opened by. Its id alone stands in every address,
    /// and so in the logs of proxies.
    fn is_its_client(&self, client: &Self::Client, headers: &HeaderMap) -> bool {
        let _ = (client, headers);
        true
    }

    /// Reads the body of a POST.
    fn read_body(
        &self,
        client: &Self::Client,
        request: Request,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes, BodyError>> + Send {
        read_body(request, client.connection().limits().message, timeout)
    }

    /// A connection has ended: nothing can be sent any more, but what was received may still be handled.
    fn ended(&self, client: &Self::Client) {
        let _ = client;
    }
}

/// One client.
pub trait Client: Send + Sync + 'static {
    /// Its connection.
    fn connection(&self) -> &Arc<Connection>;
}

impl Client for Arc<Connection> {
    fn connection(&self) -> &Arc<Connection> {
        self
    }
}

/// A client may not connect.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// What it is answered with.
    pub status: http::StatusCode,
    /// Why, for whoever reads the answer.
    pub reason: String,
}

/// Why a body cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyError {
    /// It is longer than the client's messages may be.
    TooLarge,
    /// It did not come whole.
    Broken,
}
