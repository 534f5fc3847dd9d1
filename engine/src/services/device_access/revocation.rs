//! Revocation of devices. Authentication and the refresh of tokens refuse what is revoked here.

use std::sync::Arc;

use crate::{
    domain::{devices::DeviceEntry, guid::Guid, mask::shown},
    repositories::{Store, StoreError},
    services::{Environment, audit},
};

/// What authentication and the refresh of tokens both refuse.
const REVOKED: &str = "revoked";

/// A device that may do nothing any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RevokedDevice {
    /// Its GUID, canonical.
    pub guid: Guid,
    /// The host names of its rows: one, but where a lost row was made again in another spelling (DEV-7).
    pub hostnames: Vec<String>,
    /// Whether it was refused before.
    pub was_revoked: bool,
}

/// Why a device is not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// No device has this GUID or host name.
    #[error("unknown device")]
    Unknown,
    /// Several devices could be meant.
    #[error("several devices could be meant")]
    Ambiguous(Vec<DeviceEntry>),
    /// The device has no GUID: it never enrolled, so it has no tokens.
    #[error("the device never enrolled")]
    NeverEnrolled,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows devices and shuts them out.
#[derive(Debug)]
pub struct RevocationService {
    store: Arc<dyn Store>,
    environment: Environment,
}

impl RevocationService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self { store, environment }
    }

    /// Every device in the order of the table.
    pub async fn list(&self) -> Result<Vec<DeviceEntry>, StoreError> {
        self.store.view().await?.list_devices().await
    }

    /// Revokes a device and ends its refresh tokens. `name` is its GUID in any spelling, or its host name; letter case
    /// counts only between host names that differ in nothing else. `by` is who did it, for the log.
    ///
    /// # Errors
    /// [`RevocationError`]; nothing is written then.
    pub async fn revoke(&self, name: &str, by: &str) -> Result<RevokedDevice, RevocationError> {
        let now = self.environment.now();
        let mut work = self.store.begin().await?;
        let devices = work.list_devices().await?;
        let guid = device_named(&devices, name)?;
        let rows: Vec<_> = devices
            .iter()
            .filter(|device| canonical(device).as_ref() == Some(&guid))
            .collect();
        let was_revoked = rows.iter().all(|device| is_refused(device));
        for device in &rows {
            let stored_guid = device.guid.as_deref().unwrap_or_default();
            if !is_refused(device) {
                work.set_device_status(stored_guid, REVOKED).await?;
            }
            work.revoke_refresh_tokens(stored_guid, &now.iso).await?;
        }
        work.revoke_refresh_tokens(guid.as_str(), &now.iso).await?;
        work.save().await?;
        audit::changed("device.revoked", &guid);
        tracing::info!(guid = %shown(guid.as_str()), by = %shown(by), "device revoked");
        Ok(RevokedDevice {
            guid,
            hostnames: rows.iter().filter_map(|device| device.hostname.clone()).collect(),
            was_revoked,
        })
    }
}

fn canonical(device: &DeviceEntry) -> Option<Guid> {
    Guid::normalize(device.guid.as_deref()?)
}

/// Whether both authentication and the refresh refuse it already.
fn is_refused(device: &DeviceEntry) -> bool {
    let status = device.status.as_deref().unwrap_or_default().trim().to_lowercase();
    matches!(status.as_str(), REVOKED | "decommissioned")
}

/// The GUID of the one device that is meant.
fn device_named(devices: &[DeviceEntry], name: &str) -> Result<Guid, RevocationError> {
    let name = name.trim();
    let named = Guid::normalize(name);
    let by_guid = |guid: &Guid| {
        devices
            .iter()
            .any(|device| canonical(device).as_ref() == Some(guid))
    };
    // The server gives GUIDs, but agents choose host names: none can hide a device by taking its GUID for a name.
    if let Some(guid) = named.as_ref().filter(|guid| guid.is_uuid() && by_guid(guid)) {
        return Ok(guid.clone());
    }
    let hosts = |same: &dyn Fn(&str) -> bool| -> Vec<&DeviceEntry> {
        devices
            .iter()
            .filter(|device| device.hostname.as_deref().is_some_and(same))
            .collect()
    };
    let mut meant = hosts(&|hostname| hostname == name);
    if meant.is_empty() {
        meant = hosts(&|hostname| hostname.trim().to_lowercase() == name.to_lowercase());
    }
    for device in devices {
        if named.is_some() && canonical(device) == named && !meant.contains(&device) {
            meant.push(device);
        }
    }
    let first = meant.first().ok_or(RevocationError::Unknown)?;
    let guid = canonical(first);
    if meant.iter().any(|device| canonical(device) != guid) {
        return Err(RevocationError::Ambiguous(meant.into_iter().cloned().collect()));
    }
    guid.ok_or(RevocationError::NeverEnrolled)
}

#[cfg(test)]
mod tests;
