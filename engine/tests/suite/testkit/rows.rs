//! Rows that tests find in the database when they begin.

use super::{GUID, OTHER};

/// A device's row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    pub(crate) guid: &'static str,
    pub(crate) hostname: &'static str,
    pub(crate) fingerprint: &'static str,
    pub(crate) token_version: i64,
    pub(crate) status: &'static str,
}

/// Most tests' device.
pub(crate) const WIN_1: Device = Device::new(GUID, "WIN-1", "ab");
/// A second one.
pub(crate) const WIN_2: Device = Device::new(OTHER, "WIN-2", "cd");

impl Device {
    /// An active device whose tokens have version 1.
    pub(crate) const fn new(guid: &'static str, hostname: &'static str, fingerprint: &'static str) -> Self {
        Self {
            guid,
            hostname,
            fingerprint,
            token_version: 1,
            status: "active",
        }
    }

    pub(crate) const fn with_status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    pub(crate) const fn with_token_version(self, token_version: i64) -> Self {
        Self {
            token_version,
            ..self
        }
    }

    /// The id of the agent that runs as the system on it.
    pub(crate) fn agent_id(&self) -> String {
        format!("{}_{}_SYSTEM", self.hostname, self.guid)
    }
}

/// The statement that makes it.
impl From<Device> for String {
    fn from(device: Device) -> Self {
        devices(&[device])
    }
}

/// Makes these devices, last seen long ago.
pub(crate) fn devices(devices: &[Device]) -> String {
    let row = |device: &Device| {
        let Device {
            guid,
            hostname,
            fingerprint,
            token_version,
            status,
        } = device;
        format!("('{guid}', '{hostname}', '{fingerprint}', {token_version}, '{status}', 7, 5)")
    };
    format!(
        "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status, created_at, last_seen) \
         VALUES {};",
        devices.iter().map(row).collect::<Vec<_>>().join(", ")
    )
}

/// Makes an install code that is good for a long time.
pub(crate) fn install_code(id: &str, code: &str, max_uses: u32) -> String {
    format!(
        "INSERT INTO enrollment_install_codes (id, code, expires_at, max_uses, use_count) \
         VALUES ('{id}', '{code}', '2030-01-01T00:00:00+00:00', {max_uses}, 0);"
    )
}

/// Makes a device's refresh token, whose hash this is.
pub(crate) fn refresh_token(guid: &str, hash: &str) -> String {
    format!(
        "INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) VALUES ('t', '{guid}', '{hash}', '', '');"
    )
}
