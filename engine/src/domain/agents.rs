//! The agents that the server knows of: what their events and the device routes change, and who is listed. In memory
//! alone; after a restart it is what the `devices` table has.

mod devices;
mod listing;
mod record;
mod records;

use indexmap::IndexMap;

pub use devices::{DetailsNote, HashNote, RegisteredDevice};
pub use listing::{AgentSummary, listing};
pub use record::{AgentRecord, AgentStatus, ServiceMode, is_script_id, is_service_id};
pub use records::KnownAgent;

use self::records::Records;
use crate::domain::{guid::Guid, json::Json, text::python_trim};

/// The host name of an agent that has sent none.
pub const UNKNOWN_HOST: &str = "unknown";

/// Agents remembered at most: whoever may send events may invent ids. Far above any fleet; the legacy has no bound.
pub const MOST_AGENTS: usize = 50_000;

/// Of these, those whose ids name one device: a terminal server has an agent for each of its users. Beyond that a new one
/// takes the place of the device's own oldest, so that no device takes the places of others.
pub const MOST_OF_DEVICE: usize = 256;

/// `connect_agent`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectAgent {
    pub agent_id: String,
    pub mode: ServiceMode,
}

/// The time in a heartbeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastSeen {
    /// None: now.
    Now,
    /// Then, in Unix seconds.
    At(i128),
    /// A value that is no time; the legacy fails in the middle of the event (RT-10).
    Unreadable,
}

/// `agent_heartbeat`.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentHeartbeat {
    pub agent_id: String,
    /// Its host's name, where it sent one.
    pub hostname: Option<String>,
    /// Its operating system, where it sent one.
    pub operating_system: Option<Json>,
    pub last_seen: LastSeen,
    pub mode: ServiceMode,
}

/// `collector_status`.
#[derive(Clone, Debug, PartialEq)]
pub struct CollectorStatus {
    pub agent_id: String,
    /// Its host's name, where it sent one.
    pub hostname: Option<String>,
    /// Whether a user's session is being collected.
    pub active: bool,
    /// Who uses the host, trimmed, where it named somebody.
    pub last_user: Option<String>,
    pub mode: ServiceMode,
}

/// That an agent was seen on its host, to be stored with the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sighting {
    pub hostname: String,
    pub agent_id: String,
    /// Unix seconds.
    pub last_seen: i128,
}

/// What a heartbeat leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeartbeatOutcome {
    /// It is taken; perhaps there is something to store.
    Taken(Option<Sighting>),
    /// It broke off halfway: no acknowledgement, nothing to store.
    Failed,
}

/// Who uses a host, to be stored with the device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UserSighting {
    /// The host; here even `unknown` is one (RT-14).
    pub hostname: String,
    /// The user, trimmed.
    pub last_user: String,
}

/// Records and configurations, by agent id, records in order of registration.
#[derive(Debug, Default)]
pub struct AgentRegistry {
    records: Records,
    configurations: IndexMap<String, Json>,
}

impl AgentRegistry {
    /// What is remembered of an agent.
    pub fn get(&self, agent_id: &str) -> Option<&AgentRecord> {
        self.records.get(agent_id)
    }

    /// All records in order of registration.
    pub fn records(&self) -> impl Iterator<Item = (&str, &AgentRecord)> {
        self.records.iter()
    }

    /// All records with their ids as they are now, in order of registration.
    pub fn snapshot(&self) -> Vec<KnownAgent> {
        self.records.snapshot()
    }

    /// The `roles` that an agent is configured with.
    pub fn configuration(&self, agent_id: &str) -> Option<&Json> {
        self.configurations.get(agent_id)
    }

    /// An agent announces itself at `now` (Unix seconds). Says what is to be stored: nothing until it has sent its host
    /// name.
    pub fn connect(&mut self, event: &ConnectAgent, now: i64) -> Option<Sighting> {
        let status = self.configured_status(&event.agent_id);
        self.record(&event.agent_id, |record| {
            let hostname = record.hostname.get_or_insert_with(|| UNKNOWN_HOST.to_owned());
            let hostname = hostname.clone();
            record.operating_system.get_or_insert_with(|| "-".into());
            record.last_seen = Some(now.into());
            record.status = Some(status.unwrap_or(AgentStatus::Orphaned));
            set_mode(record, &event.agent_id, event.mode);
            sighting(hostname, &event.agent_id, now.into())
        })?
    }

    /// A heartbeat, at `now` (Unix seconds). It takes the place of others of its host and mode; where
    /// its `device` is known, of that device's alone.
    pub fn heartbeat(&mut self, event: &AgentHeartbeat, device: Option<&Guid>, now: i64) -> HeartbeatOutcome {
        let last_seen = match event.last_seen {
            LastSeen::Now => Some(now.into()),
            LastSeen::At(time) => Some(time),
            LastSeen::Unreadable => None,
        };
        if let Some(hostname) = &event.hostname
            && let Some(main_agent) = self.take_place(event, device, hostname)
        {
            // A time that cannot be read is not stored, and here the legacy does not fail over it.
            let sighting = last_seen.and_then(|last_seen| sighting(hostname.clone(), &main_agent, last_seen));
            return HeartbeatOutcome::Taken(sighting);
        }
        let configured = self.configured_status(&event.agent_id);
        let taken = self.record(&event.agent_id, |record| {
            if event.hostname.is_some() {
                record.hostname.clone_from(&event.hostname);
            }
            if event.operating_system.is_some() {
                record.operating_system.clone_from(&event.operating_system);
            }
            let last_seen = last_seen?;
            record.last_seen = Some(last_seen);
            record.status = configured.or(record.status).or(Some(AgentStatus::Orphaned));
            set_mode(record, &event.agent_id, event.mode);
            let hostname = record.hostname.clone();
            Some(hostname.and_then(|name| sighting(name, &event.agent_id, last_seen)))
        });
        taken
            .flatten()
            .map_or(HeartbeatOutcome::Failed, HeartbeatOutcome::Taken)
    }

    /// Removes the other agents of this host and mode, whose configuration passes on. A script helper yields to a main
    /// agent instead: the id of that one is the answer then.
    fn take_place(
        &mut self,
        event: &AgentHeartbeat,
        device: Option<&Guid>,
        hostname: &str,
    ) -> Option<String> {
        let is_helper = is_script_id(&event.agent_id);
        let mut displaced = Vec::new();
        let mut main_agent = None;
        for (id, record) in self.records.of_host(hostname) {
            if id == event.agent_id
                || record.effective_mode(id) != event.mode
                || device.is_some_and(|device| record.is_of_another(id, device))
            {
                continue;
            }
            if is_helper && record.is_script_agent != Some(true) {
                main_agent = Some(id.to_owned());
                break;
            }
            displaced.push(id.to_owned());
        }
        for id in displaced {
            self.records.remove(&id);
            if let Some(roles) = self.configurations.shift_remove(&id) {
                // Also says that nothing more is inherited.
                self.configurations.entry(event.agent_id.clone()).or_insert(roles);
            }
        }
        main_agent
    }

    /// A collector reports at `now` (Unix seconds with fraction). Says what is to be stored; `None` as outer value
    /// where there are too many agents already.
    pub fn collector(&mut self, event: &CollectorStatus, now: f64) -> Option<Option<UserSighting>> {
        self.record(&event.agent_id, |record| {
            if event.hostname.is_some() {
                record.hostname.clone_from(&event.hostname);
            }
            if event.active {
                record.collector_active_ts = Some(now);
            }
            record.mode = Some(event.mode);
            let is_helper = is_script_id(&event.agent_id) || record.is_script_agent == Some(true);
            let hostname = record.hostname.clone().filter(|name| !name.is_empty());
            let last_user = event
                .last_user
                .clone()
                .filter(|user| is_interactive(user) && (is_helper || !is_service_id(&event.agent_id)));
            hostname
                .zip(last_user)
                .map(|(hostname, last_user)| UserSighting { hostname, last_user })
        })
    }

    /// Gives an agent its configuration; it need not be registered yet. False where there are too many agents already.
    pub fn provision(&mut self, agent_id: &str, roles: Json) -> bool {
        if self.configurations.len() >= MOST_AGENTS && !self.configurations.contains_key(agent_id) {
            return false;
        }
        self.configurations.insert(agent_id.to_owned(), roles);
        self.records.change(agent_id, |record| {
            record.status = Some(AgentStatus::Provisioned);
        });
        true
    }

    /// Removes an agent and its configuration; whether there was a record.
    pub fn remove(&mut self, agent_id: &str) -> bool {
        self.configurations.shift_remove(agent_id);
        self.records.remove(agent_id).is_some()
    }

    fn configured_status(&self, agent_id: &str) -> Option<AgentStatus> {
        self.configurations
            .contains_key(agent_id)
            .then_some(AgentStatus::Provisioned)
    }

    /// Changes the record that an event of the channel is about, which is made while there are few enough.
    fn record<T>(&mut self, agent_id: &str, change: impl FnOnce(&mut AgentRecord) -> T) -> Option<T> {
        self.change_or_insert(agent_id, |record| {
            record.announced = true;
            change(record)
        })
    }

    fn change_or_insert<T>(
        &mut self,
        agent_id: &str,
        change: impl FnOnce(&mut AgentRecord) -> T,
    ) -> Option<T> {
        if !self.records.contains(agent_id) {
            if let Some(oldest) = self.records.oldest_of_full(agent_id, MOST_OF_DEVICE) {
                self.remove(&oldest);
            }
            if self.records.len() >= MOST_AGENTS {
                return None;
            }
        }
        self.records.change_or_insert(agent_id, change)
    }
}

fn set_mode(record: &mut AgentRecord, agent_id: &str, mode: ServiceMode) {
    record.mode = Some(mode);
    record.is_script_agent = is_script_id(agent_id).then_some(mode != ServiceMode::CurrentUser);
}

/// What is stored of a sighting: nothing where the agent has sent no host name.
fn sighting(hostname: String, agent_id: &str, last_seen: i128) -> Option<Sighting> {
    let is_named = !hostname.is_empty() && python_trim(&hostname).to_lowercase() != UNKNOWN_HOST;
    is_named.then(|| Sighting {
        hostname,
        agent_id: agent_id.to_owned(),
        last_seen,
    })
}

/// Whether this is a person's account and not one of the system's own.
fn is_interactive(user: &str) -> bool {
    let upper = python_trim(user).to_uppercase();
    !(upper.is_empty()
        || upper == "ANONYMOUS LOGON"
        || upper.ends_with('$')
        || ["NT AUTHORITY\\", "NT SERVICE\\"]
            .iter()
            .any(|part| upper.contains(part))
        || ["\\SYSTEM", "\\LOCAL SERVICE", "\\NETWORK SERVICE"]
            .iter()
            .any(|end| upper.ends_with(end)))
}

#[cfg(test)]
mod tests;
