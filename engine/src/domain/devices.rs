//! Devices and the keys they have had, as far as identity goes.

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
