//! Devices report that they are alive, and what they look like.

use std::sync::Arc;

use super::{Environment, agents::Agents, device_gate::AuthenticatedDevice, own_row::own_identity};
use crate::repositories::{
    Store, StoreError, UnitOfWork as _,
    devices::{DeviceReport, Devices as _},
};

/// Why a heartbeat is not stored.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The device lost its row since it came in.
    #[error("the device is not registered")]
    NotRegistered,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes heartbeats.
#[derive(Debug)]
pub struct HeartbeatService<S> {
    store: S,
    environment: Environment,
    agents: Arc<Agents>,
}

impl<S: Store> HeartbeatService<S> {
    /// Over this store; tells `agents` which hosts are alive.
    pub fn new(store: S, environment: Environment, agents: Arc<Agents>) -> Self {
        Self {
            store,
            environment,
            agents,
        }
    }

    /// Stores the report and that the device was seen now. A host name that another device has is left out.
    ///
    /// # Errors
    /// [`HeartbeatError`]; nothing is written then.
    pub async fn report(
        &self,
        device: &AuthenticatedDevice,
        mut report: DeviceReport,
    ) -> Result<(), HeartbeatError> {
        let mut work = self.store.begin().await?;
        let row = own_identity(&mut work, device)
            .await?
            .ok_or(HeartbeatError::NotRegistered)?;
        let stored_guid = row.guid;
        if let Some(hostname) = &report.hostname
            && let Some(owner) = work.hostname_owner(hostname).await?
            && owner.as_deref() != Some(stored_guid.as_str())
        {
            tracing::warn!("heartbeat hostname collision ignored for guid={}", device.guid);
            report.hostname = None;
        }
        let now = self.environment.clock.now().as_second();
        work.store_report(&stored_guid, &report, now).await?;
        // A row with exactly the canonical GUID would have been found first: here it is free.
        if stored_guid != device.guid.as_str() {
            work.rename_device(&stored_guid, device.guid.as_str()).await?;
        }
        work.save().await?;
        if report.hostname.is_some() && report.hostname != row.hostname {
            crate::services::audit::changed("device.renamed", &device.guid);
        }
        if let Some(hostname) = report.hostname.or(row.hostname) {
            self.agents.note_report(&hostname);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
