//! Views of the device list, which all operators share.

use std::sync::Arc;

use super::{Environment, audit};
use crate::{
    domain::device_views::{DeviceView, DeviceViewChange, NewDeviceView},
    repositories::{Store, StoreError},
};

/// Why a view is not read, made or changed.
#[derive(Debug, thiserror::Error)]
pub enum DeviceViewError {
    /// Another view has this name.
    #[error("name already exists")]
    NameTaken,
    #[error("not found")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub struct DeviceViewService {
    store: Arc<dyn Store>,
    environment: Environment,
}

impl DeviceViewService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self { store, environment }
    }

    /// All views, by name without letter case.
    pub async fn list(&self) -> Result<Vec<DeviceView>, StoreError> {
        self.store.view().await?.list_device_views().await
    }

    /// One view.
    ///
    /// # Errors
    /// There is none of this number, or the store fails.
    pub async fn read(&self, id: i64) -> Result<DeviceView, DeviceViewError> {
        let view = self.store.view().await?.find_device_view(id).await?;
        view.ok_or(DeviceViewError::NotFound)
    }

    /// Makes a view.
    ///
    /// # Errors
    /// [`DeviceViewError`]; nothing is written then.
    pub async fn create(&self, view: &NewDeviceView) -> Result<DeviceView, DeviceViewError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        if work.find_device_view_id(&view.name).await?.is_some() {
            return Err(DeviceViewError::NameTaken);
        }
        let id = work.insert_device_view(view, now).await?;
        let made = work.find_device_view(id).await?;
        work.save().await?;
        audit::changed("device_view.created", id);
        made.ok_or(DeviceViewError::NotFound)
    }

    /// Changes a view.
    ///
    /// # Errors
    /// [`DeviceViewError`]; nothing is written then.
    pub async fn update(&self, id: i64, change: &DeviceViewChange) -> Result<DeviceView, DeviceViewError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        if work.find_device_view(id).await?.is_none() {
            return Err(DeviceViewError::NotFound);
        }
        if let Some(name) = &change.name
            && work
                .find_device_view_id(name)
                .await?
                .is_some_and(|taken| taken != id)
        {
            return Err(DeviceViewError::NameTaken);
        }
        work.update_device_view(id, change, now).await?;
        let changed = work.find_device_view(id).await?;
        work.save().await?;
        audit::changed("device_view.changed", id);
        changed.ok_or(DeviceViewError::NotFound)
    }

    /// Deletes a view.
    ///
    /// # Errors
    /// [`DeviceViewError`]; nothing is written then.
    pub async fn delete(&self, id: i64) -> Result<(), DeviceViewError> {
        let mut work = self.store.begin().await?;
        if !work.delete_device_view(id).await? {
            return Err(DeviceViewError::NotFound);
        }
        work.save().await?;
        audit::changed("device_view.deleted", id);
        Ok(())
    }
}
