//! What devices report of themselves beyond heartbeats: their details and the hash of their agent's build.

mod details;
mod hash;
pub mod heartbeat;

use std::sync::Arc;

pub use details::DetailsError;
pub use hash::{HashAnswer, HashError, StoredHash};

use super::{Environment, agents::Agents, hosts::HostRules};
use crate::{
    domain::device_document::DeviceSnapshot,
    repositories::{Store, StoreError},
};

/// Takes what devices report, and reads it back.
#[derive(Debug)]
pub struct DeviceReportService {
    store: Arc<dyn Store>,
    environment: Environment,
    agents: Arc<Agents>,
    hosts: HostRules,
}

impl DeviceReportService {
    /// Over this store; keeps the registry `agents` up to date.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        agents: Arc<Agents>,
        hosts: HostRules,
    ) -> Self {
        Self {
            store,
            environment,
            agents,
            hosts,
        }
    }

    /// The device of exactly this host name.
    pub async fn device_named(&self, hostname: &str) -> Result<Option<DeviceSnapshot>, StoreError> {
        let row = self.store.view().await?.device_row_named(hostname).await?;
        Ok(row.as_ref().map(DeviceSnapshot::from))
    }
}

#[cfg(test)]
mod tests;
