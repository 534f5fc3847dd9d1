//! Devices: who they are, the keys they have had, and how they are listed.

use jiff::Timestamp;

use super::{device_document::DeviceRow, remote_devices::RemoteKind, sites::HostSite};

/// Who a device is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceIdentity {
    /// The GUID, as stored.
    pub guid: String,
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
    pub hostname: Option<String>,
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

/// What a heartbeat reports of a device; what is `None` stays as it is.
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
    pub operating_system: Option<String>,
    /// Seconds since it started.
    pub uptime: Option<i64>,
    /// Its address as others see it.
    pub external_ip: Option<String>,
    /// Its address in its own network.
    pub internal_ip: Option<String>,
    pub device_type: Option<String>,
}

/// A device as it is stored, and the site of its host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InventoryEntry {
    pub row: DeviceRow,
    pub site: Option<HostSite>,
}

/// Which devices are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceKind {
    Any,
    /// Those that are not reached from the server.
    Agent,
    Remote(RemoteKind),
}

/// Seconds after its last sign of life for which a device counts as online.
const ONLINE_SECONDS: i64 = 300;

/// Whether a device that was seen at `last_seen` (Unix seconds, 0 never) counts as online.
pub fn is_online(last_seen: i64, now: Timestamp) -> bool {
    let end = i128::from(last_seen) + i128::from(ONLINE_SECONDS);
    last_seen != 0 && now.as_nanosecond() <= end * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_online_for_five_minutes_to_the_nanosecond() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let later = |nanoseconds| now + jiff::SignedDuration::from_nanos(nanoseconds);
        for (last_seen, now, online) in [
            (1_800_000_000, now, true),
            (1_799_999_700, now, true),
            (1_799_999_700, later(1), false),
            (1_799_999_699, now, false),
            (1_900_000_000, now, true),
            (i64::MAX, now, true),
            (0, Timestamp::from_second(10).unwrap(), false),
            (-5, now, false),
        ] {
            assert_eq!(is_online(last_seen, now), online, "{last_seen} {now}");
        }
    }
}
