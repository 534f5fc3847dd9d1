//! Devices that the server reaches over SSH or WinRM.

use std::sync::Arc;

use super::{
    Environment, audit,
    devices::ListedDevice,
    hosts::{HostRules, InvalidHostname},
};
use crate::{
    builders::remote_devices::{NewRemoteDevice, RemoteDeviceChange},
    domain::{
        device_document::{DeviceRow, DeviceSnapshot, DeviceUpsert},
        remote_devices::RemoteKind,
    },
    repositories::{Store, StoreError, UnitOfWork},
};

/// Why a remote device is not made, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum RemoteDeviceError {
    /// The device of this host name is reached in another way, or runs an agent.
    #[error("device already exists with different connection type")]
    OtherConnection,
    /// Another device has this name but for letter case.
    #[error("device already exists")]
    HostnameTaken,
    /// No device may be called so.
    #[error(transparent)]
    InvalidHostname(#[from] InvalidHostname),
    #[error("device not found")]
    NotFound,
    /// Neither the change nor the device says where it is reached.
    #[error("address is required")]
    AddressRequired,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub struct RemoteDeviceService {
    store: Arc<dyn Store>,
    environment: Environment,
    hosts: HostRules,
}

impl RemoteDeviceService {
    pub fn new(store: Arc<dyn Store>, environment: Environment, hosts: HostRules) -> Self {
        Self {
            store,
            environment,
            hosts,
        }
    }

    /// Makes a device, or writes one of its kind again.
    ///
    /// # Errors
    /// [`RemoteDeviceError`]; nothing is written then.
    pub async fn create(
        &self,
        kind: RemoteKind,
        device: &NewRemoteDevice,
    ) -> Result<ListedDevice, RemoteDeviceError> {
        let hostname = device.hostname.as_str();
        let mut work = self.store.begin().await?;
        let row = work.device_row_named(hostname).await?;
        match &row {
            Some(row) if kind.is_barred_by(row) => return Err(RemoteDeviceError::OtherConnection),
            Some(_) => {}
            None => self.check_new(&mut *work, hostname).await?,
        }
        let upsert = self.upsert(
            kind,
            hostname,
            row.as_ref(),
            &device.address,
            &device.operating_system,
            device.description.clone(),
        );
        let what = if row.is_some() {
            "remote_device.changed"
        } else {
            "remote_device.created"
        };
        self.write(work, &upsert, what).await
    }

    /// Changes a device.
    ///
    /// # Errors
    /// [`RemoteDeviceError`]; nothing is written then.
    pub async fn update(
        &self,
        kind: RemoteKind,
        hostname: &str,
        change: RemoteDeviceChange,
    ) -> Result<ListedDevice, RemoteDeviceError> {
        let mut work = self.store.begin().await?;
        let row = of_kind(kind, work.device_row_named(hostname).await?)?;
        let stored = DeviceSnapshot::from(&row);
        let address = change
            .address
            .or(Some(stored.connection_endpoint).filter(|stored| !stored.is_empty()))
            .ok_or(RemoteDeviceError::AddressRequired)?;
        let upsert = self.upsert(
            kind,
            hostname,
            Some(&row),
            &address,
            &change.operating_system.unwrap_or_default(),
            change.description.unwrap_or(stored.description),
        );
        self.write(work, &upsert, "remote_device.changed").await
    }

    /// Deletes a device, and what its host is assigned to.
    ///
    /// # Errors
    /// [`RemoteDeviceError`]; nothing is written then.
    pub async fn delete(&self, kind: RemoteKind, hostname: &str) -> Result<(), RemoteDeviceError> {
        let mut work = self.store.begin().await?;
        of_kind(kind, work.device_row_named(hostname).await?)?;
        if !work.delete_device(hostname).await? {
            return Err(RemoteDeviceError::NotFound);
        }
        work.save().await?;
        audit::changed("remote_device.deleted", hostname);
        Ok(())
    }

    /// Sees to it that a host name which no device has letter by letter may be taken.
    async fn check_new(&self, work: &mut dyn UnitOfWork, hostname: &str) -> Result<(), RemoteDeviceError> {
        if !self.hosts.is_strict() {
            return Ok(());
        }
        self.hosts.check_new(hostname)?;
        if self.hosts.is_taken(work, hostname, None).await? {
            return Err(RemoteDeviceError::HostnameTaken);
        }
        Ok(())
    }

    /// What is written: the inventory is emptied, and what only an agent says stays.
    fn upsert(
        &self,
        kind: RemoteKind,
        hostname: &str,
        row: Option<&DeviceRow>,
        address: &str,
        operating_system: &str,
        description: String,
    ) -> DeviceUpsert {
        let now = self.environment.now().time.as_second();
        let stored = row.map(DeviceSnapshot::from);
        // One that stays goes the way of the others, which trims it.
        let operating_system = match &stored {
            Some(stored) if operating_system.is_empty() => stored.operating_system.as_str(),
            _ => operating_system,
        };
        let document = kind.document(address, operating_system);
        DeviceUpsert {
            description,
            guid: None,
            agent_hash: None,
            ..DeviceUpsert::from_document(hostname, stored.as_ref(), &document, now)
        }
    }

    /// Writes it, and reads the very row again (the legacy may show another one: INV-6).
    async fn write(
        &self,
        mut work: Box<dyn UnitOfWork>,
        upsert: &DeviceUpsert,
        what: &'static str,
    ) -> Result<ListedDevice, RemoteDeviceError> {
        work.upsert_device(upsert).await?;
        let written = work.named_in_inventory(&upsert.hostname).await?;
        let written = written.ok_or(RemoteDeviceError::NotFound)?;
        work.save().await?;
        audit::changed(what, &upsert.hostname);
        Ok(ListedDevice::of(written, self.environment.now().time))
    }
}

fn of_kind(kind: RemoteKind, row: Option<DeviceRow>) -> Result<DeviceRow, RemoteDeviceError> {
    row.filter(|row| kind.is_kind_of(row))
        .ok_or(RemoteDeviceError::NotFound)
}
