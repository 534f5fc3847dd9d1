//! What the scheduler needs of the channel to agents and operators. Sockets implement it; tests bring their own.

use std::{collections::HashSet, fmt::Debug, future::Future, pin::Pin};

use crate::domain::{clock::BoxFuture, guid::Guid, json::Json};

/// What became of work that was handed to a host's agents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Receipt {
    /// It arrived: the agent acknowledged it, or answered the ping that followed it.
    Delivered,
    /// It was sent, and the connection ended before it was acknowledged.
    Unknown,
    /// No agent of this device is connected: nothing was sent.
    NotConnected,
    /// Its sender cancelled it: nothing was sent.
    Cancelled,
}

/// A future with a result that any task may own.
pub type Eventual<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A receipt that comes later.
pub struct PendingReceipt(Eventual<'static, Receipt>);

impl PendingReceipt {
    /// One that comes when `receipt` does.
    pub fn new(receipt: impl Future<Output = Receipt> + Send + 'static) -> Self {
        Self(Box::pin(receipt))
    }

    /// One that is there already.
    pub fn ready(receipt: Receipt) -> Self {
        Self::new(std::future::ready(receipt))
    }

    pub async fn wait(self) -> Receipt {
        self.0.await
    }
}

impl Debug for PendingReceipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PendingReceipt")
    }
}

/// Whom work is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recipient<'a> {
    /// The host, as it was named.
    pub hostname: &'a str,
    /// The device that had this name when the work began; without one, nobody gets it.
    pub device: Option<&'a Guid>,
}

/// The channel to agents and operators.
pub trait AgentChannel: Debug + Send + Sync + 'static {
    /// Those of these hosts whose agents are online, by exact name.
    fn online_among<'a>(&'a self, hosts: &'a [String]) -> Eventual<'a, HashSet<String>>;

    /// Sends work to the agents of the device that it is for and to nobody else. It is sent when the outer future ends,
    /// so that work arrives in the order in which it was handed over; the receipt comes later.
    ///
    /// Where an agent is connected, `before` is awaited ahead of the first byte: it stores that the work is being sent, or
    /// cancels it by returning false.
    fn hand_over<'a>(
        &'a self,
        recipient: Recipient<'a>,
        event: &'static str,
        payload: &'a Json,
        before: Eventual<'a, bool>,
    ) -> Eventual<'a, PendingReceipt>;

    /// Notifies operators. Who misses it sees the state when looking next: nothing is sent again.
    fn notify_operators<'a>(&'a self, event: &'static str, payload: &'a Json) -> BoxFuture<'a>;
}
