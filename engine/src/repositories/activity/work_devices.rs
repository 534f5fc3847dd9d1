//! Which device work was begun for.
//!
//! Short because each table of the engine's own has a file beside those of the legacy's tables.

use async_trait::async_trait;

use crate::{domain::work_devices::BoundTo, repositories::StoreError};

/// The engine's own table `engine_activity_devices`. Rows are made with their activities.
#[async_trait]
pub trait ReadWorkDevices: Send {
    /// For whom an activity is; `None` where the engine did not begin it.
    async fn device_of_activity(&mut self, activity_id: i64) -> Result<Option<BoundTo>, StoreError>;

    /// For whom the activities of a run are; `None` for those that the engine did not begin.
    async fn devices_of_run(&mut self, run_id: i64) -> Result<Vec<Option<BoundTo>>, StoreError>;
}

#[async_trait]
pub trait WriteWorkDevices: Send {
    /// Deletes the rows of activities that were deleted, and of which no run is left either. Scans the whole table.
    async fn forget_orphaned_devices(&mut self) -> Result<(), StoreError>;
}
