//! The agent registry as the services share it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hosts::HostRules;
use crate::{
    domain::{
        agents::{AgentRecord, AgentRegistry, DetailsNote, HashNote, KnownAgent},
        clock::Clock,
        expiring_map::ExpiringMap,
        guid::Guid,
    },
    repositories::{Store, StoreError},
};

/// How long a host counts as online after a sign of life of its device, in seconds.
const ALIVE: i64 = 300;

/// When devices last reported, Unix seconds: by GUID, and by host for a policy that knows no devices.
#[derive(Debug, Default)]
struct Reports {
    of_devices: ExpiringMap<Guid, i64>,
    of_hosts: ExpiringMap<String, i64>,
}

/// The agents that the server knows of. Every method is short and waits for nothing but its turn.
#[derive(Debug)]
pub struct Agents {
    clock: Arc<dyn Clock>,
    registry: Mutex<AgentRegistry>,
    /// When devices last reported over REST, Unix seconds (RT-7).
    reports: Mutex<Reports>,
}

impl Agents {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            registry: Mutex::default(),
            reports: Mutex::default(),
        }
    }

    /// Begins with one offline agent for each stored device; under rules that check, under its own id alone.
    pub async fn restore(&self, store: &dyn Store, hosts: HostRules) -> Result<(), StoreError> {
        let devices = store.view().await?.registered_devices().await?;
        *self.registry() = AgentRegistry::from_devices(devices, hosts.is_strict());
        Ok(())
    }

    /// What is remembered of an agent.
    pub fn record(&self, agent_id: &str) -> Option<AgentRecord> {
        self.registry().get(agent_id).cloned()
    }

    /// The first agent of this device, in order of registration, with its id.
    pub fn first_with_guid(&self, guid: &Guid) -> Option<(String, AgentRecord)> {
        self.registry()
            .first_with_guid(guid)
            .map(|(id, record)| (id.to_owned(), record.clone()))
    }

    /// All records with their ids, in order of registration.
    pub fn snapshot(&self) -> Vec<KnownAgent> {
        self.registry().snapshot()
    }

    /// A device reported the hash of its agent's build. Gives the first agent that has belonged to it already.
    pub fn note_hash(&self, note: &HashNote<'_>) -> Option<Arc<str>> {
        self.registry().note_hash(note)
    }

    /// A device reported its details.
    pub fn note_details(&self, note: &DetailsNote<'_>) {
        self.registry().note_details(note);
    }

    /// An agent checked in, or had its service account's password changed.
    pub fn note_check_in(&self, agent_id: &str, guid: &Guid) {
        self.registry().note_check_in(agent_id, guid);
    }

    /// A device sent a heartbeat over REST: it is online, and so is its host (RT-7).
    pub fn note_report(&self, guid: &Guid, hostname: Option<&str>) {
        let now = self.clock.now().as_second();
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alive = |time: &i64| now - *time <= ALIVE;
        reports.of_devices.insert(guid.clone(), now, is_alive);
        if let Some(hostname) = hostname {
            reports.of_hosts.insert(hostname.to_owned(), now, is_alive);
        }
    }

    /// Whether this device sent a heartbeat over REST within the last 300 s.
    pub fn has_device_reported(&self, guid: &Guid) -> bool {
        let now = self.clock.now().as_second();
        self.reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of_devices
            .get(guid)
            .is_some_and(|time| now - *time <= ALIVE)
    }

    /// Whether the device of this host sent a heartbeat over REST within the last 300 s.
    pub fn has_reported(&self, hostname: &str) -> bool {
        let now = self.clock.now().as_second();
        self.reports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of_hosts
            .get(hostname)
            .is_some_and(|time| now - *time <= ALIVE)
    }

    /// The registry, for as long as the caller holds on; never over an await.
    pub(crate) fn registry(&self) -> MutexGuard<'_, AgentRegistry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
