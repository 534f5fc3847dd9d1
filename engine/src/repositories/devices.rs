//! Devices and the keys they have had, as far as identity goes.

use async_trait::async_trait;

use super::StoreError;

/// Who a device is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceIdentity {
    /// The GUID, as stored.
    pub guid: String,
    /// The host name.
    pub hostname: Option<String>,
    /// SHA-256 of its key, hex; `None` or empty where it has none.
    pub fingerprint: Option<String>,
    /// Raised when its tokens are to die; `None` and 0 count as 1.
    pub token_version: Option<i64>,
    /// `active`, `quarantined`, or another word that revokes; `None` and empty count as active.
    pub status: Option<String>,
}

/// A device as somebody sees it who decides whether it may come in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceEntry {
    /// The GUID, as stored; `None` for one that never enrolled.
    pub guid: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// The id of its agent.
    pub agent_id: Option<String>,
    /// As in [`DeviceIdentity`].
    pub status: Option<String>,
    /// Unix seconds.
    pub last_seen: Option<i64>,
}

/// A device by the name of its host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedDevice {
    /// The GUID, as stored; `None` for one that never enrolled.
    pub guid: Option<String>,
    /// The host name.
    pub hostname: String,
    /// As in [`DeviceIdentity`].
    pub fingerprint: Option<String>,
    /// As in [`DeviceIdentity`].
    pub status: Option<String>,
}

/// A device that enrolls for the first time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewDevice<'a> {
    /// Its GUID, canonical.
    pub guid: &'a str,
    /// Its host name, which nobody else has.
    pub hostname: &'a str,
    /// Its key's fingerprint.
    pub fingerprint: &'a str,
    /// The version its tokens begin with.
    pub token_version: i64,
    /// Unix seconds.
    pub now: i64,
    /// The same moment in the stored form.
    pub now_iso: &'a str,
}

/// Another key for a device that had one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyRotation<'a> {
    /// Its GUID, canonical, whatever the stored form was.
    pub guid: &'a str,
    /// The new key's fingerprint.
    pub fingerprint: &'a str,
    /// The version its tokens have from now on.
    pub token_version: i64,
    /// When, stored form.
    pub now_iso: &'a str,
}

/// What a heartbeat tells of a device; what is `None` stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceReport {
    /// The host name, which no other device may have.
    pub hostname: Option<String>,
    /// JSON text.
    pub memory: Option<String>,
    /// JSON text.
    pub network: Option<String>,
    /// JSON text.
    pub software: Option<String>,
    /// JSON text.
    pub storage: Option<String>,
    /// JSON text.
    pub cpu: Option<String>,
    /// Who used it last.
    pub last_user: Option<String>,
    /// Its operating system.
    pub operating_system: Option<String>,
    /// Seconds since it started.
    pub uptime: Option<i64>,
    /// Its address as others see it.
    pub external_ip: Option<String>,
    /// Its address in its own network.
    pub internal_ip: Option<String>,
    /// Its kind.
    pub device_type: Option<String>,
}

/// The tables `devices` and `device_keys`.
#[async_trait]
pub trait ReadDevices: Send {
    /// The device whose GUID equals `guid` whatever the letter case; an exactly equal one comes first.
    async fn find_device(&mut self, guid: &str) -> Result<Option<DeviceIdentity>, StoreError>;

    /// Every device in the order of the table. A value of another kind than its column's is taken for what it can be.
    async fn list_devices(&mut self) -> Result<Vec<DeviceEntry>, StoreError>;

    /// The GUID of the device with exactly this host name: `None` no device, `Some(None)` one without a GUID.
    async fn hostname_owner(&mut self, hostname: &str) -> Result<Option<Option<String>>, StoreError>;

    /// The device with exactly this host name.
    async fn device_named(&mut self, hostname: &str) -> Result<Option<NamedDevice>, StoreError>;

    /// The host name of every device. A look at all of them: only for names that no device has letter by letter.
    async fn host_names(&mut self) -> Result<Vec<String>, StoreError>;

    /// The GUIDs of the devices that run the agent with exactly this id.
    async fn guids_with_agent_id(&mut self, agent_id: &str) -> Result<Vec<String>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteDevices: Send {
    /// Gives the device listed with the GUID `stored_guid` another status.
    async fn set_device_status(&mut self, stored_guid: &str, status: &str) -> Result<(), StoreError>;

    /// Makes a device.
    async fn insert_device(&mut self, device: &NewDevice<'_>) -> Result<(), StoreError>;

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

    /// Stores what the device stored as `stored_guid` told of itself, and that it was seen at `now` (Unix seconds).
    async fn store_report(
        &mut self,
        stored_guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<(), StoreError>;

    /// Gives the device stored as `stored_guid` the GUID `guid`, which no device has.
    async fn rename_device(&mut self, stored_guid: &str, guid: &str) -> Result<(), StoreError>;

    /// Writes that the device stored as `stored_guid` runs this agent, came in with this key and was seen at `now`
    /// (Unix seconds).
    async fn note_check_in(
        &mut self,
        stored_guid: &str,
        agent_id: &str,
        fingerprint: &str,
        now: i64,
    ) -> Result<(), StoreError>;

    /// Writes that the device stored as `stored_guid` came in with this key; a time that is stored already stays.
    async fn confirm_device_key(
        &mut self,
        stored_guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError>;

    /// Writes that `fingerprint` is a key of the device, unless that is written already. Retires no other.
    async fn add_device_key(
        &mut self,
        id: &str,
        guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> Result<(), StoreError>;
}
