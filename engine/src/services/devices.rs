//! Devices as operators see them, and what operators write about them.

use std::sync::Arc;

use futures_util::{Stream, stream::try_unfold};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{Environment, audit};
use crate::{
    domain::{
        device_document::{DeviceSnapshot, DeviceUpsert},
        devices::{DeviceKind, InventoryEntry, is_online},
        guid::Guid,
    },
    repositories::{Store, StoreError, devices::listing::PageStart},
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

/// Pages of lists that are read at one time. The database has few readers, and whoever calls meanwhile needs one too.
const READ_AT_ONCE: usize = 1;

#[derive(Debug)]
pub struct DeviceService {
    store: Arc<dyn Store>,
    environment: Environment,
    /// Taken for each page, so that lists which are asked for at one time come on equally.
    turns: Arc<Semaphore>,
}

impl DeviceService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self {
            store,
            environment,
            turns: Arc::new(Semaphore::new(READ_AT_ONCE)),
        }
    }

    /// The devices of a kind, in the order in which they were made, page by page. Between two pages nothing of the
    /// database is held, however long the next one is not asked for; each device is as it is when its page is read.
    pub fn list(
        &self,
        kind: DeviceKind,
    ) -> impl Stream<Item = Result<Vec<ListedDevice>, StoreError>> + Send + use<> {
        let (store, turns) = (Arc::clone(&self.store), Arc::clone(&self.turns));
        let now = self.environment.now().time;
        try_unfold(Some(PageStart::First), move |start| {
            let (store, turns) = (Arc::clone(&store), Arc::clone(&turns));
            async move {
                let Some(start) = start else { return Ok(None) };
                // Never closed; a page without a turn would only be less fair.
                let _turn = turns.acquire().await;
                let page = store.view().await?.inventory_page(kind, start).await?;
                let listed = page.entries.into_iter().map(|entry| ListedDevice::of(entry, now));
                Ok(Some((listed.collect(), page.next)))
            }
        })
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
