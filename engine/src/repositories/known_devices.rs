//! The devices that the agent registry begins with.

use std::future::Future;

use super::StoreError;
use crate::domain::agent_registry::KnownDevice;

/// The table `devices`, as the agent registry sees it.
pub trait KnownDevices: Send {
    /// All devices in the order of the table. A value of another kind than its column's is taken for what it can be.
    fn known_devices(&mut self) -> impl Future<Output = Result<Vec<KnownDevice>, StoreError>> + Send;
}
