//! What ran on hosts: reading and clearing the history.

use std::sync::Arc;

use crate::{
    domain::activity::{Activity, ActivityLine},
    repositories::{Store, StoreError},
    services::audit,
};

/// Reads and clears the history.
#[derive(Debug)]
pub struct ActivityService {
    store: Arc<dyn Store>,
}

impl ActivityService {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// What ran on exactly this host, the youngest first.
    pub async fn of_host(&self, hostname: &str) -> Result<Vec<ActivityLine>, StoreError> {
        self.store.activities_of_host(hostname).await
    }

    /// One activity with what it printed.
    pub async fn find(&self, id: i64) -> Result<Option<Activity>, StoreError> {
        self.store.view().await?.find_activity(id).await
    }

    /// Deletes what ran on exactly this host. Runs keep their links, as in the legacy (SCH-15).
    ///
    /// # Errors
    /// The store failed; nothing was deleted.
    pub async fn clear(&self, hostname: &str) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        work.clear_activities(hostname).await?;
        work.save().await?;
        audit::changed("activity.cleared", hostname);
        Ok(())
    }
}
