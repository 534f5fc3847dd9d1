//! Devices as operators see them, and what operators write about them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Environment, audit};
use crate::{
    domain::{
        device_document::{DeviceSnapshot, DeviceUpsert},
        devices::{DeviceKind, InventoryEntry, is_online},
        guid::Guid,
    },
    repositories::{Store, StoreError},
};

/// Why a device is not described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// No device has exactly this host name (INV-4).
    #[error("device not found")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A device in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedDevice {
    pub entry: InventoryEntry,
    /// Whether it was seen lately.
    pub is_online: bool,
}

impl ListedDevice {
    pub(super) fn of(entry: InventoryEntry, now: Timestamp) -> Self {
        let last_seen = entry.row.last_seen.unwrap_or_default();
        Self {
            is_online: is_online(last_seen, now),
            entry,
        }
    }
}

#[derive(Debug)]
pub struct DeviceService {
    store: Arc<dyn Store>,
    environment: Environment,
}

impl DeviceService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self { store, environment }
    }

    /// The devices of a kind, in the order in which they were made.
    pub async fn list(&self, kind: DeviceKind) -> Result<Vec<ListedDevice>, StoreError> {
        let entries = self.store.view().await?.list_inventory(kind).await?;
        let now = self.environment.now().time;
        let listed = entries.into_iter().map(|entry| ListedDevice::of(entry, now));
        Ok(listed.collect())
    }

    /// The device of this GUID. Only what is asked for is normalised: one that is stored in an odd spelling is listed,
    /// and not found (INV-17).
    pub async fn find(&self, guid: &str) -> Result<Option<ListedDevice>, StoreError> {
        let Some(guid) = Guid::normalize(guid) else {
            return Ok(None);
        };
        let entry = self.store.view().await?.find_in_inventory(&guid).await?;
        Ok(entry.map(|entry| ListedDevice::of(entry, self.environment.now().time)))
    }

    /// Writes what an operator says about the device of exactly this host name; an empty text changes nothing of it
    /// (INV-3). The row is written whole, as reports write it.
    ///
    /// # Errors
    /// [`DescribeError`]; nothing is written then.
    pub async fn describe(&self, hostname: &str, description: String) -> Result<(), DescribeError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        let row = work
            .device_row_named(hostname)
            .await?
            .ok_or(DescribeError::NotFound)?;
        let mut device = DeviceUpsert::rewrite(hostname, Some(&DeviceSnapshot::from(&row)), now);
        if !description.is_empty() {
            device.description = description;
        }
        work.upsert_device(&device).await?;
        work.save().await?;
        audit::changed("device.described", hostname);
        Ok(())
    }
}
