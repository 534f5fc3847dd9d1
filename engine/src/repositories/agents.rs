//! The devices that the agent registry begins with.

use async_trait::async_trait;

use crate::{domain::agents::KnownDevice, repositories::StoreError};

/// The table `devices`, as the agent registry sees it.
#[async_trait]
pub trait ReadKnownDevices: Send {
    /// All devices in the order of the table. A value of another kind than its column's is taken for what it can be.
    async fn known_devices(&mut self) -> Result<Vec<KnownDevice>, StoreError>;
}
