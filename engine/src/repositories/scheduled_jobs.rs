//! Scheduled jobs.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::scheduled_jobs::{JobChanges, NewJob, ScheduledJob};

/// The table `scheduled_jobs`.
#[async_trait]
pub trait ReadScheduledJobs: Send {
    /// Every job, the youngest first; jobs without a date last.
    async fn list_jobs(&mut self) -> Result<Vec<ScheduledJob>, StoreError>;

    /// The jobs that run, by id.
    async fn enabled_jobs(&mut self) -> Result<Vec<ScheduledJob>, StoreError>;

    async fn find_job(&mut self, id: i64) -> Result<Option<ScheduledJob>, StoreError>;
}

#[async_trait]
pub trait WriteScheduledJobs: Send {
    /// Makes a job and returns its id.
    async fn insert_job(&mut self, job: &NewJob, now: i64) -> Result<i64, StoreError>;

    /// Changes a job; false where there is none of this id.
    async fn update_job(&mut self, id: i64, changes: &JobChanges, now: i64) -> Result<bool, StoreError>;

    /// Deletes a job; false where there is none of this id. Its runs stay, as in the legacy (SCH-15).
    async fn delete_job(&mut self, id: i64) -> Result<bool, StoreError>;
}
