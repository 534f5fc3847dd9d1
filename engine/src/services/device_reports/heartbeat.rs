//! Heartbeats: devices report that they are alive, their host name and their inventory.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    domain::{devices::DeviceReport, expiring_map::ExpiringMap, guid::Guid, mask::shown, text::python_trim},
    repositories::{Store, StoreError, UnitOfWork},
    services::{
        Environment,
        agents::Agents,
        audit,
        device_access::authentication::AuthenticatedDevice,
        hosts::{HostRules, InvalidHostname},
    },
};

/// How long a refused name is not looked for again.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Why a heartbeat is not stored.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The device lost its row since it came in.
    #[error("the device is not registered")]
    NotRegistered,
    /// It wants to be called what no device may be called.
    #[error(transparent)]
    InvalidHostname(#[from] InvalidHostname),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A name that a device was refused lately. To find the other device takes a look at all names, and a clone asks for
/// its original's with every heartbeat.
#[derive(Debug)]
struct Collision {
    hostname: String,
    since: Duration,
}

#[derive(Debug)]
pub struct HeartbeatService {
    store: Arc<dyn Store>,
    environment: Environment,
    agents: Arc<Agents>,
    hosts: HostRules,
    collisions: Mutex<ExpiringMap<Guid, Collision>>,
}

impl HeartbeatService {
    /// Over this store; records in `agents` which hosts are alive.
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
            collisions: Mutex::default(),
        }
    }

    /// Stores the report and that the device was seen now. A host name that another device has is left out.
    ///
    /// # Errors
    /// [`HeartbeatError`]; nothing is written then.
    pub async fn report(
        &self,
        device: &AuthenticatedDevice,
        report: DeviceReport,
    ) -> Result<(), HeartbeatError> {
        let now = self.environment.clock.now().as_second();
        let noted = self.store.note_report(device.guid.as_str(), &report, now).await?;
        let hostname = match noted {
            Some(hostname) => hostname,
            None => self.store_with_name(device, report).await?,
        };
        self.agents.note_report(&device.guid, hostname.as_deref());
        Ok(())
    }

    /// Stores a report that may bring another host name, or is of a device whose GUID is stored in another spelling;
    /// gives the name that the device has now.
    async fn store_with_name(
        &self,
        device: &AuthenticatedDevice,
        mut report: DeviceReport,
    ) -> Result<Option<String>, HeartbeatError> {
        let mut work = self.store.begin().await?;
        let row = device
            .stored_identity(&mut *work)
            .await?
            .ok_or(HeartbeatError::NotRegistered)?;
        let stored_guid = row.guid;
        // A name that is stored already is nobody else's.
        report.hostname = report.hostname.filter(|name| row.hostname.as_ref() != Some(name));
        // Nor is it a new one that comes without its blanks: a name that no device may take any more stays as it is.
        let is_its_own = |name: &String| {
            let stored = row.hostname.as_deref().map(python_trim);
            stored == Some(name.as_str()) && self.hosts.check_new(name).is_err()
        };
        report.hostname = report.hostname.filter(|name| !is_its_own(name));
        if let Some(hostname) = &report.hostname {
            self.hosts.check_new(hostname).inspect_err(|_| {
                tracing::warn!(
                    guid = %device.guid,
                    host = %shown(hostname),
                    "heartbeat refused: the device cannot be called so"
                );
            })?;
            if self.is_taken(&mut *work, device, &stored_guid, hostname).await? {
                tracing::warn!(guid = %device.guid, "heartbeat hostname collision ignored for");
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
        if report.hostname.is_some() {
            audit::changed("device.renamed", &device.guid);
        }
        Ok(report.hostname.or(row.hostname))
    }

    async fn is_taken(
        &self,
        work: &mut dyn UnitOfWork,
        device: &AuthenticatedDevice,
        stored_guid: &str,
        hostname: &str,
    ) -> Result<bool, StoreError> {
        let now = self.environment.clock.monotonic();
        let is_remembered = self.collisions().get(&device.guid).is_some_and(|collision| {
            collision.hostname == hostname && now.saturating_sub(collision.since) < REMEMBERED
        });
        if is_remembered {
            return Ok(true);
        }
        let is_taken = self.hosts.is_taken(work, hostname, Some(stored_guid)).await?;
        // Where names are their letters, the index answers.
        if is_taken && self.hosts.is_strict() {
            let collision = Collision {
                hostname: hostname.to_owned(),
                since: now,
            };
            let holds = |collision: &Collision| now.saturating_sub(collision.since) < REMEMBERED;
            self.collisions().insert(device.guid.clone(), collision, holds);
        }
        Ok(is_taken)
    }

    fn collisions(&self) -> MutexGuard<'_, ExpiringMap<Guid, Collision>> {
        self.collisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
