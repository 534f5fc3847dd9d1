//! Views of the device list.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::device_views::{DeviceView, DeviceViewChange, NewDeviceView};

/// The table `device_list_views`.
#[async_trait]
pub trait ReadDeviceViews: Send {
    /// All of them, ordered by their names without ASCII letter case.
    async fn list_device_views(&mut self) -> Result<Vec<DeviceView>, StoreError>;

    async fn find_device_view(&mut self, id: i64) -> Result<Option<DeviceView>, StoreError>;

    /// The number of the view of exactly this name.
    async fn find_device_view_id(&mut self, name: &str) -> Result<Option<i64>, StoreError>;
}

#[async_trait]
pub trait WriteDeviceViews: Send {
    /// Makes a view at `now` (Unix seconds) and returns its number.
    async fn insert_device_view(&mut self, view: &NewDeviceView, now: i64) -> Result<i64, StoreError>;

    /// Changes a view at `now`.
    async fn update_device_view(
        &mut self,
        id: i64,
        change: &DeviceViewChange,
        now: i64,
    ) -> Result<(), StoreError>;

    /// False where there is none.
    async fn delete_device_view(&mut self, id: i64) -> Result<bool, StoreError>;
}
