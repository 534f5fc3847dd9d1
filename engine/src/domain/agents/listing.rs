//! Who is listed, and who counts as online.

use std::{collections::HashMap, sync::Arc};

use super::{AgentRecord, AgentRegistry, KnownAgent, ServiceMode};
use crate::domain::guid::Guid;

/// How long after a collector's last sign of life the listing calls it active, in seconds.
const COLLECTOR_LISTED: f64 = 130.0;

/// How long after a collector's last sign of life its host counts as online, in seconds.
const COLLECTOR_ONLINE: f64 = 300.0;

/// An agent as operators see it.
#[derive(Clone, Debug)]
pub struct AgentSummary {
    pub id: Arc<str>,
    /// Its record in the registry.
    pub record: Arc<AgentRecord>,
    /// Whether its collector was active lately.
    pub is_collecting: bool,
}

/// The listing of a registry's agents at `now` (Unix seconds): one agent a host and mode, the one seen last, of equals the
/// later registered. Agents without a host share one place a mode (RT-6).
pub fn listing(agents: &[KnownAgent], now: f64) -> Vec<AgentSummary> {
    let mut latest: HashMap<(&str, ServiceMode), &KnownAgent> = HashMap::with_capacity(agents.len());
    for agent in agents {
        let (id, record) = agent;
        if record.is_hidden_helper(id) {
            continue;
        }
        let place = latest
            .entry((record.shown_hostname(), record.effective_mode(id)))
            .or_insert(agent);
        if record.last_seen.unwrap_or_default() >= place.1.last_seen.unwrap_or_default() {
            *place = agent;
        }
    }
    let summary = |(id, record): &KnownAgent| AgentSummary {
        id: Arc::clone(id),
        is_collecting: record
            .collector_active_ts
            .is_some_and(|time| now - time < COLLECTOR_LISTED),
        record: Arc::clone(record),
    };
    latest.into_values().map(summary).collect()
}

impl AgentRegistry {
    /// Whether a collector was active on this device within the last 300 s before `now` (Unix seconds), by its id.
    pub fn is_device_collected(&self, device: &Guid, now: f64) -> bool {
        self.records
            .naming(device)
            .any(|(_, record)| is_online(record, now))
    }

    /// Whether one was active on this host.
    pub fn is_host_collected(&self, hostname: &str, now: f64) -> bool {
        self.records
            .of_host(hostname)
            .any(|(_, record)| is_online(record, now))
    }
}

fn is_online(record: &AgentRecord, now: f64) -> bool {
    let last = record.collector_active_ts;
    last.is_some_and(|time| now - time <= COLLECTOR_ONLINE)
}
