//! Devices and the keys they have had, as far as identity goes.

use std::future::Future;

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

/// The tables `devices` and `device_keys`.
pub trait Devices: Send {
    /// The device whose GUID equals `guid` whatever the letter case; an exactly equal one comes first.
    fn find_device(
        &mut self,
        guid: &str,
    ) -> impl Future<Output = Result<Option<DeviceIdentity>, StoreError>> + Send;

    /// The GUID of the device with exactly this host name: `None` no device, `Some(None)` one without a GUID.
    fn hostname_owner(
        &mut self,
        hostname: &str,
    ) -> impl Future<Output = Result<Option<Option<String>>, StoreError>> + Send;

    /// Makes a device.
    fn insert_device(
        &mut self,
        device: &NewDevice<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the device stored as `stored_guid` its first key.
    fn set_device_key(
        &mut self,
        stored_guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the device stored as `stored_guid` another key and version; it is active then, and its GUID canonical.
    fn rotate_device_key(
        &mut self,
        stored_guid: &str,
        device: &NewDevice<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes that `fingerprint` is the device's present key, and that its other keys are retired.
    fn record_device_key(
        &mut self,
        id: &str,
        guid: &str,
        fingerprint: &str,
        now_iso: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
