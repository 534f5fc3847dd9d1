//! One client of the channel: how it connected, who it is, and the agents that it announced.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::handshake::Handshake;
use crate::{
    domain::json::Json,
    services::realtime::{Identity, Principal},
};

/// Agents that one connection may announce.
const MOST_AGENTS: usize = 1000;

/// A client of the channel.
pub(super) type Client = socketio_server::socket_io::Client<Peer, Json>;

/// The id of a client in log lines: the one that it has in the channel, so that its lines belong together; before it
/// entered and after it left, that of its connection.
pub(super) fn logged_id(client: &Client) -> Box<str> {
    client.sid("/").unwrap_or_else(|| client.connection().id().into())
}

/// What is known of it.
#[derive(Debug)]
pub(super) struct Peer {
    /// What it showed when it came.
    pub(super) handshake: Handshake,
    /// What it may do.
    pub(super) principal: Principal,
    /// Whether it showed no identity where one is asked for.
    pub(super) is_anonymous: bool,
    /// The agents that it has announced itself as.
    agents: Mutex<HashSet<String>>,
}

impl Peer {
    /// Whoever showed this.
    pub(super) fn new(handshake: Handshake, identity: Identity, is_anonymous: bool) -> Self {
        Self {
            handshake,
            principal: Principal::new(identity),
            is_anonymous,
            agents: Mutex::default(),
        }
    }

    /// Records an agent that it has announced itself as; false where it has announced too many.
    pub(super) fn announce(&self, agent_id: &str) -> bool {
        let mut agents = self.agents();
        if agents.len() >= MOST_AGENTS && !agents.contains(agent_id) {
            return false;
        }
        agents.insert(agent_id.to_owned());
        true
    }

    /// It has left the channel, and is no agent any more.
    pub(super) fn leave(&self) {
        *self.agents() = HashSet::new();
    }

    /// The agents that it has announced itself as, for as long as the caller holds on; never over an await.
    pub(super) fn agents(&self) -> MutexGuard<'_, HashSet<String>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
