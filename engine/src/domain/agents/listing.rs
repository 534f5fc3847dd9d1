//! Who is listed, and who counts as online.

use std::collections::{HashMap, HashSet};

use super::{AgentRecord, AgentRegistry, ServiceMode};
use crate::domain::{
    agent_id::{NamedDevice, named_device},
    guid::Guid,
};

/// How long after a collector's last sign of life the listing calls it active, in seconds.
const COLLECTOR_LISTED: f64 = 130.0;

/// How long after a collector's last sign of life its host counts as online, in seconds.
const COLLECTOR_ONLINE: f64 = 300.0;

/// An agent as operators see it.
#[derive(Clone, Debug)]
pub struct AgentSummary {
    pub id: String,
    /// Its record in the registry.
    pub record: AgentRecord,
    /// Whether its collector was active lately.
    pub is_collecting: bool,
}

impl AgentRegistry {
    /// The listing at `now` (Unix seconds): one agent a host and mode, the one seen last, of equals the later
    /// registered. Agents without a host share one place a mode (RT-6).
    pub fn listing(&self, now: f64) -> Vec<AgentSummary> {
        let mut latest: HashMap<(&str, ServiceMode), (&str, &AgentRecord)> = HashMap::new();
        for (id, record) in self.records() {
            if record.is_hidden_helper(id) {
                continue;
            }
            let place = latest
                .entry((record.shown_hostname(), record.effective_mode(id)))
                .or_insert((id, record));
            if record.last_seen.unwrap_or_default() >= place.1.last_seen.unwrap_or_default() {
                *place = (id, record);
            }
        }
        let summary = |(id, record): (&str, &AgentRecord)| AgentSummary {
            id: id.to_owned(),
            is_collecting: record
                .collector_active_ts
                .is_some_and(|time| now - time < COLLECTOR_LISTED),
            record: record.clone(),
        };
        latest.into_values().map(summary).collect()
    }

    /// The devices on which a collector was active within the last 300 s before `now` (Unix seconds), by its id.
    pub fn collected_devices(&self, now: f64) -> HashSet<Guid> {
        let is_active = |time: f64| now - time <= COLLECTOR_ONLINE;
        self.records
            .iter()
            .filter(|(_, record)| record.collector_active_ts.is_some_and(is_active))
            .filter_map(|(id, _)| match named_device(id) {
                NamedDevice::One(guid) => Some(guid),
                NamedDevice::None | NamedDevice::Several => None,
            })
            .collect()
    }

    /// The hosts on which a collector was active within the last 300 s before `now` (Unix seconds).
    pub fn collected_hosts(&self, now: f64) -> HashSet<&str> {
        let is_active = |time: f64| now - time <= COLLECTOR_ONLINE;
        self.records
            .values()
            .filter(|record| record.collector_active_ts.is_some_and(is_active))
            .filter_map(|record| record.hostname.as_deref())
            .collect()
    }
}
