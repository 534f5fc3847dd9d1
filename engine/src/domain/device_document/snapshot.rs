//! A row with every column in its normal form, and the document made of it.

use super::{
    DeviceRow,
    columns::{list, object},
};
use crate::domain::{
    guid::Guid,
    json::{Json, JsonObject},
    text::python_trim,
    timestamp::utc_of_seconds,
};

/// A device as every answer shows it: nothing is absent, texts are trimmed, columns of JSON are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceSnapshot {
    /// Canonical; empty for a device without one.
    pub guid: String,
    /// As stored, untrimmed.
    pub hostname: String,
    /// As stored, untrimmed.
    pub description: String,
    /// Unix seconds; 0 unknown.
    pub created_at: i64,
    /// The hash of its installed build.
    pub agent_hash: String,
    /// Whatever the agent said.
    pub memory: Vec<Json>,
    /// Whatever the agent said.
    pub network: Vec<Json>,
    /// Whatever the agent said.
    pub software: Vec<Json>,
    /// Whatever the agent said.
    pub storage: Vec<Json>,
    /// Whatever the agent said.
    pub cpu: JsonObject,
    pub device_type: String,
    pub domain: String,
    /// Its address as others see it.
    pub external_ip: String,
    /// Its address in its own network.
    pub internal_ip: String,
    /// When it started last, in the agent's own words.
    pub last_reboot: String,
    /// Unix seconds; 0 never.
    pub last_seen: i64,
    /// Who used it last.
    pub last_user: String,
    pub operating_system: String,
    /// Seconds since it started.
    pub uptime: i64,
    /// The id under which its agent speaks on the channel.
    pub agent_id: String,
    /// The version of its ansible environment.
    pub ansible_ee_ver: String,
    /// `ssh` or `winrm` for a remote device.
    pub connection_type: String,
    /// Where a remote device is reached.
    pub connection_endpoint: String,
}

impl From<&DeviceRow> for DeviceSnapshot {
    fn from(row: &DeviceRow) -> Self {
        let as_stored = |text: &Option<String>| text.clone().unwrap_or_default();
        let trimmed = |text: &Option<String>| python_trim(text.as_deref().unwrap_or_default()).to_owned();
        Self {
            guid: row
                .guid
                .as_deref()
                .and_then(Guid::normalize)
                .map(|guid| guid.as_str().to_owned())
                .unwrap_or_default(),
            hostname: as_stored(&row.hostname),
            description: as_stored(&row.description),
            created_at: row.created_at.unwrap_or_default(),
            agent_hash: trimmed(&row.agent_hash),
            memory: list(row.memory.as_deref()),
            network: list(row.network.as_deref()),
            software: list(row.software.as_deref()),
            storage: list(row.storage.as_deref()),
            cpu: object(row.cpu.as_deref()),
            device_type: trimmed(&row.device_type),
            domain: trimmed(&row.domain),
            external_ip: trimmed(&row.external_ip),
            internal_ip: trimmed(&row.internal_ip),
            last_reboot: trimmed(&row.last_reboot),
            last_seen: row.last_seen.unwrap_or_default(),
            last_user: trimmed(&row.last_user),
            operating_system: trimmed(&row.operating_system),
            uptime: row.uptime.unwrap_or_default(),
            agent_id: trimmed(&row.agent_id),
            ansible_ee_ver: trimmed(&row.ansible_ee_ver),
            connection_type: trimmed(&row.connection_type),
            connection_endpoint: trimmed(&row.connection_endpoint),
        }
    }
}

impl DeviceSnapshot {
    /// The document: `summary`, the four lists and `cpu`.
    pub fn document(&self) -> JsonObject {
        JsonObject::from_iter([
            ("summary".to_owned(), self.summary().into()),
            ("memory".to_owned(), self.memory.clone().into()),
            ("network".to_owned(), self.network.clone().into()),
            ("software".to_owned(), self.software.clone().into()),
            ("storage".to_owned(), self.storage.clone().into()),
            ("cpu".to_owned(), self.cpu.clone().into()),
        ])
    }

    /// The document's `summary`, 20 members.
    pub fn summary(&self) -> JsonObject {
        let texts = [
            ("hostname", &self.hostname),
            ("description", &self.description),
            ("agent_hash", &self.agent_hash),
            ("agent_guid", &self.guid),
            ("agent_id", &self.agent_id),
            ("device_type", &self.device_type),
            ("domain", &self.domain),
            ("external_ip", &self.external_ip),
            ("internal_ip", &self.internal_ip),
            ("last_reboot", &self.last_reboot),
            ("last_user", &self.last_user),
            ("operating_system", &self.operating_system),
            ("connection_type", &self.connection_type),
            ("connection_endpoint", &self.connection_endpoint),
            ("ansible_ee_ver", &self.ansible_ee_ver),
        ]
        .map(|(name, text)| (name.to_owned(), Json::from(text.as_str())));
        let numbers = [
            ("last_seen", self.last_seen),
            ("uptime", self.uptime),
            ("uptime_sec", self.uptime),
            ("created_at", self.created_at),
        ]
        .map(|(name, number)| (name.to_owned(), Json::from(number)));
        let created = ("created".to_owned(), self.created().into());
        texts.into_iter().chain(numbers).chain([created]).collect()
    }

    /// When it was made: `YYYY-MM-DD HH:MM:SS` in UTC; empty for 0 and for a moment beyond the calendar.
    pub fn created(&self) -> String {
        utc_of_seconds(self.created_at)
            .map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
            .unwrap_or_default()
    }
}
