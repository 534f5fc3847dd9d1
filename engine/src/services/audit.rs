//! What operators and devices changed, recorded where it is committed.

use std::fmt::Display;

use tracing::{Span, field::Empty};

use crate::config::audit_log::TARGET;

/// Who does what is recorded within a span.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Actor<'a> {
    /// An operator, by the name of the account.
    Operator(&'a str),
    /// A device, by its GUID.
    Device(&'a str),
    /// A person on the server's machine, by the name of its user.
    Console(&'a str),
    /// The server itself.
    Server,
}

/// A span within which changes come from `from`; who makes them is said by [`acts`], as soon as it is known.
pub fn span(from: &str) -> Span {
    tracing::info_span!("from", from, by = Empty, who = Empty)
}

/// Says who acts in the present span.
pub fn acts(actor: Actor<'_>) {
    let (by, who) = match actor {
        Actor::Operator(name) => ("operator", name),
        Actor::Device(guid) => ("device", guid),
        Actor::Console(user) => ("console", user),
        Actor::Server => ("server", ""),
    };
    let span = Span::current();
    span.record("by", by);
    if !who.is_empty() {
        span.record("who", who);
    }
}

/// Records a change that has been committed: what was done, and to which account, device, job, ... Secrets never.
pub(crate) fn changed(what: &'static str, id: impl Display) {
    let id = id.to_string();
    tracing::info!(target: TARGET, what, id = id.as_str());
}

/// Records what a device changed about who it is: the agent that it runs from now on, and a key that it came in with
/// for the first time.
pub(crate) fn identity_changed(guid: &str, agent_id: Option<&str>, is_new_key: bool) {
    if let Some(agent_id) = agent_id {
        changed("device.agent_changed", format_args!("{guid} {agent_id}"));
    }
    if is_new_key {
        changed("device.key_added", guid);
    }
}
