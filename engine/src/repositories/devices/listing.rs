//! Devices as operators list them.

use std::ops::ControlFlow;

use async_trait::async_trait;

use crate::{
    domain::{
        devices::{DeviceKind, InventoryEntry},
        guid::Guid,
    },
    repositories::StoreError,
};

/// Is shown each record in turn, until it has seen enough.
pub type Visitor<'a, T> = dyn FnMut(T) -> ControlFlow<()> + Send + 'a;

/// Where a page of devices begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageStart {
    First,
    /// Behind the device in this row.
    Behind(i64),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InventoryPage {
    pub entries: Vec<InventoryEntry>,
    /// The next page; `None` behind the last.
    pub next: Option<PageStart>,
}

/// The table `devices` beside `device_sites` and `sites`. A site that is gone counts as none.
#[async_trait]
pub trait ReadInventory: Send {
    /// Some devices of a kind, in the order in which they were made: about a megabyte, or one that is longer. A page may
    /// be empty before the last.
    async fn inventory_page(
        &mut self,
        kind: DeviceKind,
        start: PageStart,
    ) -> Result<InventoryPage, StoreError>;

    /// The device whose stored GUID is this one but for ASCII letter case; one that equals it comes first.
    async fn find_in_inventory(&mut self, guid: &Guid) -> Result<Option<InventoryEntry>, StoreError>;

    /// The device of exactly this host name.
    async fn named_in_inventory(&mut self, hostname: &str) -> Result<Option<InventoryEntry>, StoreError>;
}
