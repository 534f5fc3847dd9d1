//! Devices report that they are alive, and what they look like.

use std::sync::Arc;

use super::{
    Environment,
    agents::Agents,
    device_gate::AuthenticatedDevice,
    hosts::{HostRules, InvalidHostname},
    own_row::own_identity,
};
use crate::{
    domain::mask::shown,
    repositories::{
        Store, StoreError, UnitOfWork as _,
        devices::{DeviceReport, Devices as _},
    },
};

/// Why a heartbeat is not stored.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The device lost its row since it came in.
    #[error("the device is not registered")]
    NotRegistered,
    /// It wants to be called what no device may be called.
    #[error(transparent)]
    InvalidHostname(#[from] InvalidHostname),
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
    hosts: HostRules,
}

impl<S: Store> HeartbeatService<S> {
    /// Over this store; tells `agents` which hosts are alive.
    pub fn new(store: S, environment: Environment, agents: Arc<Agents>, hosts: HostRules) -> Self {
        Self {
            store,
            environment,
            agents,
            hosts,
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
        // Heartbeats repeat the stored name as a rule: nobody else is looked for then.
        report.hostname = report.hostname.filter(|name| row.hostname.as_ref() != Some(name));
        if let Some(hostname) = &report.hostname {
            self.hosts.check_new(hostname).inspect_err(|_| {
                tracing::warn!(
                    "heartbeat refused: guid={} cannot be called {}",
                    device.guid,
                    shown(hostname)
                );
            })?;
            if self
                .hosts
                .is_taken(&mut work, hostname, Some(&stored_guid))
                .await?
            {
                tracing::warn!("heartbeat hostname collision ignored for guid={}", device.guid);
                report.hostname = None;
            }
        }
        let now = self.environment.clock.now().as_second();
        work.store_report(&stored_guid, &report, now).await?;
        // A row with exactly the canonical GUID would have been found first: here it is free.
        if stored_guid != device.guid.as_str() {
            work.rename_device(&stored_guid, device.guid.as_str()).await?;
        }
        work.save().await?;
        let hostname = report.hostname.or(row.hostname);
        self.agents.note_report(&device.guid, hostname.as_deref());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
