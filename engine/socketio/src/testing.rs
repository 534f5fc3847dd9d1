//! Clients without a socket, for applications' tests of who gets what, and the two readers of what clients send, without
//! a client.

use std::sync::Arc;

use futures_util::FutureExt as _;

use crate::{
    Bytes, Limits, Settings,
    engine_io::{Connections, Frame, Inbox, count_packets, without_transport},
    environment::SystemClock,
    socket_io::{Client, Data, is_packet},
};

/// Reads the body of a POST as a server does; how many packets stand in it. `None` where it is refused.
pub fn read_payload(body: Bytes) -> Option<usize> {
    count_packets(body)
}

/// Reads a Socket.IO packet as a server does; whether it is one.
pub fn read_packet<D: Data>(text: &str, most_values: usize) -> bool {
    is_packet::<D>(text, most_values)
}

/// A client without a socket.
#[derive(Debug)]
pub struct TestClient<P, D> {
    /// The client.
    pub client: Arc<Client<P, D>>,
    _inbox: Inbox,
}

impl<P: Send + Sync + 'static, D: Data> TestClient<P, D> {
    /// One whose connection has this id, in no namespace.
    pub fn new(id: &str, limits: Limits, peer: P) -> Self {
        let clock = Arc::new(SystemClock::default());
        let (connection, inbox) = without_transport(id, limits, clock, &Settings::default());
        Self {
            client: Arc::new(Client::new(connection, peer)),
            _inbox: inbox,
        }
    }

    /// Has it enter a namespace, as `40` does.
    pub fn enter(&self, namespace: &str) {
        self.client.enter(namespace, "sid", usize::MAX);
    }

    /// Has it leave a namespace, as `41` does.
    pub fn leave(&self, namespace: &str) {
        self.client.leave(namespace);
    }

    /// Makes it one of these.
    pub fn connect(&self, connections: &Connections<Client<P, D>>) {
        connections.add(Arc::clone(&self.client));
    }

    /// What it was sent and has not been taken yet.
    pub fn sent(&self) -> Vec<Frame> {
        let outbox = &self.client.connection().outbox;
        let mut sent = Vec::new();
        while let Some(Ok(portion)) = outbox.reader().take(usize::MAX, usize::MAX).now_or_never() {
            sent.extend(portion.frames);
        }
        sent
    }
}
