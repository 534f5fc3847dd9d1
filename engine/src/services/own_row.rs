//! The row of the device that came in, in whatever spelling its GUID is stored (DEV-7).

use crate::{
    domain::{device_document::DeviceRow, devices::DeviceIdentity},
    repositories::{ReadTables, StoreError},
    services::device_access::gate::AuthenticatedDevice,
};

/// Who the device is by its row; a row with the canonical GUID comes first.
pub(super) async fn own_identity(
    devices: &mut dyn ReadTables,
    device: &AuthenticatedDevice,
) -> Result<Option<DeviceIdentity>, StoreError> {
    match devices.find_device(device.guid.as_str()).await? {
        Some(row) => Ok(Some(row)),
        None => devices.find_device(&device.stored_guid).await,
    }
}

/// The whole row; a row with the canonical GUID comes first.
pub(super) async fn own_row(
    devices: &mut dyn ReadTables,
    device: &AuthenticatedDevice,
) -> Result<Option<DeviceRow>, StoreError> {
    match devices.device_row(device.guid.as_str()).await? {
        Some(row) => Ok(Some(row)),
        None => devices.device_row(&device.stored_guid).await,
    }
}
