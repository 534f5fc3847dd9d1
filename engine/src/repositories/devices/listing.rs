//! Devices as operators list them.

use std::ops::ControlFlow;

use async_trait::async_trait;

use crate::{
    domain::{
        devices::{DeviceKind, InventoryEntry},
        guid::Guid,
        search::SearchedDevice,
    },
    repositories::StoreError,
};

/// Is shown each record in turn, until it has seen enough.
pub type Visitor<'a, T> = dyn FnMut(T) -> ControlFlow<()> + Send + 'a;

/// The table `devices` beside `device_sites` and `sites`. A site that is gone counts as none.
#[async_trait]
pub trait ReadInventory: Send {
    /// The devices of a kind, in the order in which they were made.
    async fn list_inventory(&mut self, kind: DeviceKind) -> Result<Vec<InventoryEntry>, StoreError>;

    /// The device whose stored GUID is this one but for ASCII letter case; one that equals it comes first.
    async fn find_in_inventory(&mut self, guid: &Guid) -> Result<Option<InventoryEntry>, StoreError>;

    /// The device of exactly this host name.
    async fn named_in_inventory(&mut self, hostname: &str) -> Result<Option<InventoryEntry>, StoreError>;

    /// Shows every device as the search sees it, in the order in which they were made.
    async fn search_devices(&mut self, visitor: &mut Visitor<'_, SearchedDevice>) -> Result<(), StoreError>;
}
