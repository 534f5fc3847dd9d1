//! The realtime channel: what its events do, and who may send and get them. Sockets are reached through [`Channel`],
//! which the interface implements, so nothing here needs one.

mod access;
pub(super) mod agents;
mod online;
mod relays;
mod results;

use std::{collections::HashSet, fmt, sync::Arc};

pub use access::{ChannelAccess, Identity, Principal, Rights};
use tokio::sync::Semaphore;

use super::{
    Environment,
    agents::Agents,
    hosts::HostRules,
    scheduler::channel::{Eventual, PendingReceipt},
};
use crate::{
    domain::{
        agents::{AgentSummary, listing},
        browser::Browser,
        clock::BoxFuture,
        guid::Guid,
        json::Json,
        operator_session::OperatorCredential,
        payload::Payload,
    },
    repositories::Store,
    services::audit,
};

/// Who gets an event. What the words mean for one connection depends on the access policy: `legacy` gives everybody
/// everything that is not for one agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience<'a> {
    /// Commands: all agents and operators.
    Everyone,
    /// Screenshots, reports and activity: operators, and no agents.
    Operators,
    /// Jobs: the agents of this device, unless it is quarantined, and nobody else.
    Device(&'a Guid),
    /// The connections that have announced themselves as this agent.
    Agent(&'a str),
    /// One connection, by its id.
    Connection(&'a str),
}

/// Whose connections are meant.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// Those of this browser; devices are none.
    Browser(&'a Browser),
    /// Those that showed one of these sessions, in whatever form.
    Sessions(&'a [OperatorCredential]),
}

/// The sockets, as services see them.
pub trait Channel: fmt::Debug + Send + Sync + 'static {
    /// Hands an event to every connection of the audience, in the order of calls. A connection that does not take what
    /// it is sent is closed and logged, so whoever stays connected has lost nothing.
    fn emit<'a>(&'a self, audience: Audience<'a>, event: &'a str, payload: &'a Payload) -> BoxFuture<'a>;

    /// Sends work to the agents of a device, as [`AgentChannel::hand_over`] does. It has arrived when it has at those
    /// whose id ends with `meant` (upper case), or at any where no such agent is connected or nothing is said.
    ///
    /// [`AgentChannel::hand_over`]: super::scheduler::channel::AgentChannel::hand_over
    fn hand_over<'a>(
        &'a self,
        device: Option<&'a Guid>,
        meant: Option<&'static str>,
        event: &'a str,
        payload: &'a Payload,
        before: Eventual<'a, bool>,
    ) -> Eventual<'a, PendingReceipt>;

    /// The ids that living connections have announced, in no order.
    fn live_agents(&self) -> Vec<String>;

    /// Those of these devices whose tokens such connections showed.
    fn live_among(&self, devices: &[&Guid]) -> HashSet<Guid>;

    /// Ends these connections, so that their clients make new ones.
    fn end(&self, whose: Whose<'_>);
}

/// What became of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is handled, and acknowledged where that was asked for.
    Done,
    /// It could not be handled: no acknowledgement.
    Failed,
    /// Its sender may not do this: no effect, no acknowledgement, one log line.
    Refused,
}

/// Handles the channel's events, and what HTTP asks of agents.
pub struct RealtimeService {
    store: Arc<dyn Store>,
    environment: Environment,
    agents: Arc<Agents>,
    hosts: HostRules,
    channel: Arc<dyn Channel>,
    /// Turns of agents whose reports are stored. A fleet that comes back would otherwise fill the line for the database,
    /// in which everybody else waits too.
    storing: Semaphore,
}

/// Reports of agents that are stored at a time.
const STORED_AT_A_TIME: usize = 16;

impl fmt::Debug for RealtimeService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RealtimeService").finish_non_exhaustive()
    }
}

impl RealtimeService {
    /// Over this store, these agents and these sockets.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        agents: Arc<Agents>,
        hosts: HostRules,
        channel: Arc<dyn Channel>,
    ) -> Self {
        Self {
            store,
            environment,
            agents,
            hosts,
            channel,
            storing: Semaphore::new(STORED_AT_A_TIME),
        }
    }

    /// The agents as operators see them.
    pub fn listing(&self) -> Vec<AgentSummary> {
        listing(&self.agents.snapshot(), self.seconds())
    }

    /// Removes an agent from the registry; whether it was there.
    pub fn remove(&self, agent_id: &str) -> bool {
        let removed = self.agents.registry().remove(agent_id);
        if removed {
            audit::changed("agent.removed", agent_id);
        }
        removed
    }

    /// Gives an agent its configuration, and sends it to the agent if it is connected. False where there are too
    /// many agents already.
    pub async fn provision(&self, agent_id: &str, roles: Vec<Json>) -> bool {
        let roles = Json::List(roles);
        if !self.agents.registry().provision(agent_id, roles.clone()) {
            return false;
        }
        audit::changed("agent.provisioned", agent_id);
        let config = Payload::from(Json::object([("roles", roles), ("agent_id", agent_id.into())]));
        self.channel
            .emit(Audience::Agent(agent_id), "agent_config", &config)
            .await;
        true
    }

    /// Who uses this browser has changed. Web clients open their connection before the login and keep it through the
    /// logout; a new one shows the new cookies.
    pub fn browser_changed(&self, browser: &Browser) {
        self.channel.end(Whose::Browser(browser));
    }

    /// These sessions have been logged out.
    pub fn sessions_ended(&self, sessions: &[OperatorCredential]) {
        self.channel.end(Whose::Sessions(sessions));
    }

    /// Now in Unix seconds with fraction, as collectors' times are kept.
    fn seconds(&self) -> f64 {
        self.environment.clock.now().as_microsecond() as f64 / 1e6
    }
}

#[cfg(test)]
mod tests;
