//! Devices as documents: whole rows, read and written again.

use async_trait::async_trait;

use crate::{
    domain::device_document::{DeviceRow, DeviceUpsert},
    repositories::StoreError,
};

/// The table `devices`, all columns but those of key, version and status.
#[async_trait]
pub trait ReadDeviceDocuments: Send {
    /// The row with exactly this host name.
    async fn device_row_named(&mut self, hostname: &str) -> Result<Option<DeviceRow>, StoreError>;

    /// The row whose GUID equals `guid` whatever the letter case; an exactly equal one comes first.
    async fn device_row(&mut self, guid: &str) -> Result<Option<DeviceRow>, StoreError>;
}

#[async_trait]
pub trait WriteDeviceDocuments: Send {
    /// Writes the row of this host name, or makes it. In a row that is there, description and inventory are replaced,
    /// `created_at` is filled in where it is NULL, and every other column keeps its value where the new one is NULL,
    /// an empty text, or 0 (`last_seen`, `uptime`).
    ///
    /// Fails when the GUID belongs to a row of another host name.
    async fn upsert_device(&mut self, device: &DeviceUpsert) -> Result<(), StoreError>;
}
