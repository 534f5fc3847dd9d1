//! What the device routes and the `devices` table write into the registry, and read from it.

use std::sync::Arc;

use super::{AgentRecord, AgentRegistry, AgentStatus};
use crate::domain::{
    agent_id::{NamedDevice, named_device, names_device},
    guid::Guid,
    json::Json,
    text::present,
};

/// A row of `devices`, as far as the registry needs it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegisteredDevice {
    /// The agent's id; blank where none was stored, and perhaps with blanks around it.
    pub agent_id: Option<String>,
    pub hostname: Option<String>,
    pub operating_system: Option<String>,
    pub device_type: Option<String>,
    /// Unix seconds.
    pub last_seen: Option<i64>,
    /// The hash of the agent's build.
    pub agent_hash: Option<String>,
    /// The GUID, as stored.
    pub guid: Option<String>,
}

/// A hash that a device reported of its agent's build.
#[derive(Clone, Copy, Debug)]
pub struct HashNote<'a> {
    pub guid: &'a Guid,
    pub agent_hash: &'a str,
    /// The agent's id, where one was given.
    pub agent_id: Option<&'a str>,
    /// The host, where one was given.
    pub hostname: Option<&'a str>,
    /// Whether agents of other devices are left alone, whatever host they name.
    pub own_only: bool,
}

/// What a details report changes in memory.
#[derive(Clone, Copy, Debug)]
pub struct DetailsNote<'a> {
    pub guid: &'a Guid,
    /// The agent's id; an unknown one makes no record.
    pub agent_id: Option<&'a str>,
    pub hostname: &'a str,
    /// Whether agents of other devices are left alone, whatever host they name.
    pub own_only: bool,
    /// The hash of the merged document; absent ones change nothing.
    pub agent_hash: Option<&'a str>,
    /// The operating system of the merged document as it is there, if not falsy.
    pub operating_system: Option<&'a Json>,
    /// The kind of device of the merged document, if not empty.
    pub device_type: Option<&'a str>,
}

impl AgentRegistry {
    /// The registry at start: one offline agent for each device, under its agent's id, else under its host's name, whatever
    /// that is. With `own_only`, ids that name another device are passed over.
    pub fn from_devices(devices: impl IntoIterator<Item = RegisteredDevice>, own_only: bool) -> Self {
        let mut registry = Self::default();
        for mut device in devices {
            device.agent_id = device.agent_id.as_deref().and_then(present);
            if own_only && !is_own_id(&device) {
                device.agent_id = None;
            }
            let id = device.agent_id.as_ref().or(device.hostname.as_ref());
            let id = id.cloned().unwrap_or_default();
            registry
                .records
                .change_or_insert(&id, |record| *record = offline(device));
        }
        registry
    }

    /// The first agent of this device, in order of registration.
    pub fn first_with_guid(&self, guid: &Guid) -> Option<(&str, &AgentRecord)> {
        self.records.of_device(guid).next()
    }

    /// Every agent of this device, with this id or on this host has this hash, and belongs to this device. Gives the
    /// first agent that has belonged to it already.
    pub fn note_hash(&mut self, note: &HashNote<'_>) -> Option<Arc<str>> {
        let mut meant = self.records.ids_of_device(note.guid);
        let first = meant.first().cloned();
        meant.extend(
            note.hostname
                .map(|name| self.records.ids_of_host(name))
                .unwrap_or_default(),
        );
        meant.extend(note.agent_id.map(Arc::from));
        // One that is meant for several reasons changes once as it does twice.
        for id in meant {
            self.records.change(&id, |record| {
                if !(note.own_only && record.is_of_another(&id, note.guid)) {
                    record.agent_hash = Some(note.agent_hash.to_owned());
                    record.agent_guid = Some(note.guid.clone());
                }
            });
        }
        first
    }

    /// A details report came in.
    pub fn note_details(&mut self, note: &DetailsNote<'_>) {
        let sets = |record: &mut AgentRecord| {
            record.agent_guid = Some(note.guid.clone());
            if let Some(hash) = note.agent_hash {
                record.agent_hash = Some(hash.to_owned());
            }
        };
        if let Some(id) = note.agent_id {
            self.records.change(id, |record| {
                if let Some(system) = note.operating_system {
                    record.operating_system = Some(system.clone());
                }
                if let Some(device_type) = note.device_type {
                    record.device_type = Some(device_type.to_owned());
                }
                sets(record);
            });
        }
        for id in self.records.ids_of_host(note.hostname) {
            self.records.change(&id, |record| {
                if !(note.own_only && record.is_of_another(&id, note.guid)) {
                    sets(record);
                }
            });
        }
    }

    /// An agent checked in: it belongs to this device, and gets a record if it has none and there are not too many.
    pub fn note_check_in(&mut self, agent_id: &str, guid: &Guid) {
        self.change_or_insert(agent_id, |record| record.agent_guid = Some(guid.clone()));
    }
}

/// Whether the id of a device's agent is none, or names no other device.
fn is_own_id(device: &RegisteredDevice) -> bool {
    let Some(id) = device.agent_id.as_deref() else {
        return true;
    };
    let guid = device.guid.as_deref().and_then(Guid::normalize);
    named_device(id) == NamedDevice::None || guid.is_some_and(|guid| names_device(id, &guid))
}

fn offline(device: RegisteredDevice) -> AgentRecord {
    AgentRecord {
        announced: true,
        // Empty where the row has none: an agent that announces itself is not of an unknown host then.
        hostname: Some(device.hostname.unwrap_or_default()),
        operating_system: Some(
            device
                .operating_system
                .as_deref()
                .and_then(present)
                .unwrap_or_else(|| "-".to_owned())
                .into(),
        ),
        last_seen: Some(device.last_seen.unwrap_or_default().into()),
        status: Some(AgentStatus::Offline),
        device_type: Some(
            device
                .device_type
                .as_deref()
                .and_then(present)
                .unwrap_or_default(),
        ),
        agent_hash: device.agent_hash.as_deref().and_then(present),
        agent_guid: device.guid.as_deref().and_then(Guid::normalize),
        ..AgentRecord::default()
    }
}
