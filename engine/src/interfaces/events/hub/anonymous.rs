//! The clients that showed no identity, and which of them makes room for the next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::super::peer::Client;
use crate::config::bounds::AnonymousBounds;

/// The clients that showed no identity where one is asked for, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct AnonymousClients {
    next: u64,
    clients: BTreeMap<u64, Arc<Client>>,
    numbers: HashMap<String, u64>,
    by_address: HashMap<String, BTreeSet<u64>>,
}

impl AnonymousClients {
    pub(super) fn add(&mut self, client: &Arc<Client>) {
        let number = self.next;
        self.next += 1;
        self.clients.insert(number, Arc::clone(client));
        self.numbers.insert(client.connection().id().to_owned(), number);
        let address = client.peer.handshake.limit_key.clone();
        self.by_address.entry(address).or_default().insert(number);
    }

    /// False where it is none of them, or none any more.
    pub(super) fn remove(&mut self, client: &Client) -> bool {
        let Some(number) = self.numbers.remove(client.connection().id()) else {
            return false;
        };
        self.clients.remove(&number);
        let address = &client.peer.handshake.limit_key;
        if let Some(numbers) = self.by_address.get_mut(address) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_address.remove(address);
            }
        }
        true
    }

    /// Which one has to end before one more from this address is taken in.
    pub(super) fn to_evict(&self, address: &str, bounds: &AnonymousBounds) -> Option<&Arc<Client>> {
        let of_address = self
            .by_address
            .get(address)
            .filter(|numbers| numbers.len() >= bounds.sockets_per_address)
            .and_then(BTreeSet::first);
        match of_address {
            Some(number) => self.clients.get(number),
            None if self.clients.len() >= bounds.sockets => self.clients.values().next(),
            None => None,
        }
    }
}
