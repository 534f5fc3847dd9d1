//! What the scheduler needs of the channel to agents and operators. Sockets implement it; tests bring their own.

use std::{collections::HashSet, fmt::Debug, future::Future, pin::Pin};

use crate::domain::{clock::BoxFuture, json::Json};

/// What became of work that was handed to a host's agents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Receipt {
    /// It arrived: acknowledged, or the connection outlived a heartbeat after it was sent.
    Arrived,
    /// The connection ended before that was known.
    Unknown,
    /// No agent of this host is connected: nothing was sent.
    NobodyThere,
}

/// A future with a result that may be held by any task.
pub type Eventual<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A receipt that comes later.
pub struct PendingReceipt(Eventual<'static, Receipt>);

impl PendingReceipt {
    /// One that comes when `receipt` does.
    pub fn new(receipt: impl Future<Output = Receipt> + Send + 'static) -> Self {
        Self(Box::pin(receipt))
    }

    /// Waits for it.
    pub async fn wait(self) -> Receipt {
        self.0.await
    }
}

impl Debug for PendingReceipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PendingReceipt")
    }
}

/// The channel to agents and operators.
pub trait AgentChannel: Debug + Send + Sync + 'static {
    /// Those of these hosts whose agents are there, exact names.
    fn online_among<'a>(&'a self, hosts: &'a [String]) -> Eventual<'a, HashSet<String>>;

    /// Sends work to the agents of this host and to nobody else. It is sent when the outer future ends, so that work
    /// arrives in the order in which it was handed over; the receipt comes later.
    fn hand_over<'a>(
        &'a self,
        hostname: &'a str,
        event: &'static str,
        payload: &'a Json,
    ) -> Eventual<'a, PendingReceipt>;

    /// Tells operators. Who misses it sees the state when looking next: nothing is sent again.
    fn tell_operators<'a>(&'a self, event: &'static str, payload: &'a Json) -> BoxFuture<'a>;
}
