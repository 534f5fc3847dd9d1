//! What devices report of themselves beyond heartbeats: their details and the hash of their agent's build.

mod details;
mod hash;

use std::sync::Arc;

pub use details::{DetailsError, DetailsReport};
pub use hash::{HashAnswer, HashError, HashReport, StoredHash};

use super::{Environment, agents::Agents, device_gate::AuthenticatedDevice};
use crate::{
    domain::device::{DeviceRow, DeviceSnapshot},
    repositories::{Store, StoreError, device_documents::DeviceDocuments},
};

/// Takes what devices report, and reads it back.
#[derive(Debug)]
pub struct DeviceReportService<S> {
    store: S,
    environment: Environment,
    agents: Arc<Agents>,
}

impl<S: Store> DeviceReportService<S> {
    /// Over this store; tells `agents` what changes.
    pub fn new(store: S, environment: Environment, agents: Arc<Agents>) -> Self {
        Self {
            store,
            environment,
            agents,
        }
    }

    /// The device of exactly this host name.
    ///
    /// # Errors
    /// The store failed.
    pub async fn device_named(&self, hostname: &str) -> Result<Option<DeviceSnapshot>, StoreError> {
        let row = self.store.view().await?.device_row_named(hostname).await?;
        Ok(row.as_ref().map(DeviceSnapshot::from))
    }
}

/// The row of the device that came in, in whatever spelling its GUID is stored.
async fn own_row<D: DeviceDocuments>(
    devices: &mut D,
    device: &AuthenticatedDevice,
) -> Result<Option<DeviceRow>, StoreError> {
    match devices.device_row(device.guid.as_str()).await? {
        Some(row) => Ok(Some(row)),
        None => devices.device_row(&device.stored_guid).await,
    }
}
