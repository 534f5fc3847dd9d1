//! Devices and the keys they have had, as far as identity goes.

pub mod listing;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    agents::RegisteredDevice,
    devices::{DeviceEntry, DeviceIdentity, DeviceReport, KeyRotation, NamedDevice, NewDevice},
    host_name::HostKey,
};

/// The tables `devices` and `device_keys`.
#[async_trait]
pub trait ReadDevices: Send {
    /// The device whose GUID equals `guid` whatever the letter case; an exactly equal one comes first.
    async fn find_device(&mut self, guid: &str) -> Result<Option<DeviceIdentity>, StoreError>;

    /// Every device in the order of the table. A value of another kind than its column's is taken for what it can be.
    async fn list_devices(&mut self) -> Result<Vec<DeviceEntry>, StoreError>;

    /// The same devices as the agent registry needs them.
    async fn registered_devices(&mut self) -> Result<Vec<RegisteredDevice>, StoreError>;

    /// The GUID of the device with exactly this host name: `None` no device, `Some(None)` one without a GUID.
    async fn hostname_owner(&mut self, hostname: &str) -> Result<Option<Option<String>>, StoreError>;

    /// The device with exactly this host name.
    async fn device_named(&mut self, hostname: &str) -> Result<Option<NamedDevice>, StoreError>;

    /// The host name of every device, in order. A look at all of them: only where [`ReadDevices::host_names_with`] does
    /// not know.
    async fn host_names(&mut self) -> Result<Vec<String>, StoreError>;

    /// Those with this key, in order; `None` where no index can be asked, which only a change can.
    async fn host_names_with(&mut self, key: &HostKey) -> Result<Option<Vec<String>>, StoreError>;

    /// The GUIDs of the devices with exactly these host names; a device that has none is left out.
    async fn guids_of_hosts(&mut self, hostnames: &[String]) -> Result<Vec<(String, String)>, StoreError>;
}

/// Heartbeats come by the thousand, and as a rule they repeat the name that is stored: such a one is a single statement.
#[async_trait]
pub trait ReportNotes {
    /// Stores what the device with exactly this GUID reported of itself and that it was seen at `now` (Unix seconds), and
    /// gives the host name that it has. `None`, and nothing is stored, where there is no such device, or where it
    /// reports another name than it has.
    async fn note_report(
        &self,
        guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<Option<Option<String>>, StoreError>;
}

#[async_trait]
pub trait WriteDevices: Send {
    /// The GUIDs of the devices that run the agent with exactly this id; asked within the change that rests on it.
    async fn guids_with_agent_id(&mut self, agent_id: &str) -> Result<Vec<String>, StoreError>;

    /// Gives the device listed with the GUID `stored_guid` another status.
    async fn set_device_status(&mut self, stored_guid: &str, status: &str) -> Result<(), StoreError>;

    async fn insert_device(&mut self, device: &NewDevice<'_>) -> Result<(), StoreError>;

    /// Deletes the device of exactly this host name, and what the host is assigned to; false where there is none.
    async fn delete_device(&mut self, hostname: &str) -> Result<bool, StoreError>;

    /// Gives the device stored as `stored_guid` its first key.
    async fn set_device_key(
        &mut self,
        stored_guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError>;

    /// Gives the device stored as `stored_guid` another key and version; it is active then, and its GUID canonical.
    async fn rotate_device_key(
        &mut self,
        stored_guid: &str,
        rotation: &KeyRotation<'_>,
    ) -> Result<(), StoreError>;

    /// Writes that `fingerprint` is the device's present key, and that its other keys are retired.
    async fn record_device_key(
        &mut self,
        id: &str,
        guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError>;

    /// Stores what the device stored as `stored_guid` reported of itself, and that it was seen at `now` (Unix seconds).
    async fn store_report(
        &mut self,
        stored_guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<(), StoreError>;

    /// Gives the device stored as `stored_guid` the GUID `guid`, which no device has.
    async fn rename_device(&mut self, stored_guid: &str, guid: &str) -> Result<(), StoreError>;

    /// Writes that the device stored as `stored_guid` runs this agent, came in with this key and was seen at `now`
    /// (Unix seconds); whether it ran another agent before, or none.
    async fn note_check_in(
        &mut self,
        stored_guid: &str,
        agent_id: &str,
        fingerprint: &str,
        now: i64,
    ) -> Result<bool, StoreError>;

    /// Writes that the device stored as `stored_guid` came in with this key; a time that is stored already stays.
    async fn confirm_device_key(
        &mut self,
        stored_guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError>;

    /// Writes that `fingerprint` is a key of the device, unless that is written already; whether it was not. Retires no
    /// other.
    async fn add_device_key(
        &mut self,
        id: &str,
        guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<bool, StoreError>;
}
