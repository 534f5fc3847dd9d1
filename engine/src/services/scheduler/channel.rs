//! What the scheduler needs of the channel to agents and operators. Sockets implement it; tests bring their own.

use std::{collections::HashSet, fmt::Debug, future::Future, pin::Pin};

use crate::domain::json::Json;

/// What became of work that was handed to a host's agents.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Receipt {
    /// It arrived: every connection acknowledged it, or outlived a heartbeat after it was sent.
    Arrived,
    /// The connection ended before that was known.
    Unknown,
    /// No agent of this host is connected: nothing was sent.
    NobodyThere,
}

/// A receipt that comes later.
pub type PendingReceipt = Pin<Box<dyn Future<Output = Receipt> + Send>>;

/// The channel to agents and operators.
pub trait AgentChannel: Debug + Send + Sync + 'static {
    /// The names of the hosts whose agents are there, exact.
    fn online_hosts(&self) -> HashSet<String>;

    /// Sends work to the agents of this host and to nobody else. The event is sent before this returns, so that work
    /// arrives in the order in which it was handed over; the receipt comes later.
    fn hand_over(&self, hostname: &str, event: &'static str, payload: &Json) -> PendingReceipt;

    /// Tells operators. Who misses it sees the state when looking next: nothing is sent again.
    fn tell_operators(&self, event: &'static str, payload: &Json);
}
