//! Scheduled jobs.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::json::Json;

/// A job, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledJob {
    /// Row id; never used again.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it runs; `None` where the column holds no JSON.
    pub components: Option<Json>,
    /// The hosts it runs on; `None` where the column holds no JSON.
    pub targets: Option<Json>,
    /// How often; may be empty or unknown.
    pub schedule_type: String,
    /// When it starts, in seconds.
    pub start_ts: Option<i64>,
    /// Shown, without effect (SCH-19).
    pub duration_stop_enabled: bool,
    /// For how long an occurrence may wait or run, such as `30m`.
    pub expiration: Option<String>,
    /// As whom it runs; may be empty or unknown.
    pub execution_context: String,
    /// The credential of remote runs.
    pub credential_id: Option<i64>,
    /// Whether WinRM runs take the agent's own service account.
    pub use_service_account: bool,
    /// Whether it runs at all.
    pub enabled: bool,
    /// When it was made, in seconds.
    pub created_at: Option<i64>,
    /// When it was changed last, in seconds.
    pub updated_at: Option<i64>,
}

/// A job to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Its name, not empty.
    pub name: String,
    /// What it runs, not empty.
    pub components: Json,
    /// The hosts it runs on, not empty.
    pub targets: Json,
    /// How often.
    pub schedule_type: String,
    /// When it starts, in seconds.
    pub start_ts: Option<i64>,
    /// Shown, without effect.
    pub duration_stop_enabled: bool,
    /// For how long an occurrence may wait or run.
    pub expiration: String,
    /// As whom it runs.
    pub execution_context: String,
    /// The credential of remote runs.
    pub credential_id: Option<i64>,
    /// Whether WinRM runs take the agent's own service account.
    pub use_service_account: bool,
    /// Whether it runs at all.
    pub enabled: bool,
}

/// What of a job is replaced; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobChanges {
    /// Its name.
    pub name: Option<String>,
    /// What it runs.
    pub components: Option<Json>,
    /// The hosts it runs on.
    pub targets: Option<Json>,
    /// How often, and the start in seconds: always both together.
    pub schedule: Option<(String, Option<i64>)>,
    /// Shown, without effect.
    pub duration_stop_enabled: Option<bool>,
    /// For how long an occurrence may wait or run.
    pub expiration: Option<String>,
    /// As whom it runs.
    pub execution_context: Option<String>,
    /// The credential of remote runs.
    pub credential_id: Option<Option<i64>>,
    /// Whether WinRM runs take the agent's own service account.
    pub use_service_account: Option<bool>,
    /// Whether it runs at all.
    pub enabled: Option<bool>,
}

/// The table `scheduled_jobs`.
#[async_trait]
pub trait ReadScheduledJobs: Send {
    /// Every job, the youngest first; jobs without a date last.
    async fn list_jobs(&mut self) -> Result<Vec<ScheduledJob>, StoreError>;

    /// The jobs that run, by id.
    async fn enabled_jobs(&mut self) -> Result<Vec<ScheduledJob>, StoreError>;

    /// The job of this id.
    async fn find_job(&mut self, id: i64) -> Result<Option<ScheduledJob>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteScheduledJobs: Send {
    /// Makes a job and says its id.
    async fn insert_job(&mut self, job: &NewJob, now: i64) -> Result<i64, StoreError>;

    /// Changes a job; false where there is none of this id.
    async fn update_job(&mut self, id: i64, changes: &JobChanges, now: i64) -> Result<bool, StoreError>;

    /// Deletes a job; false where there is none of this id. Its runs stay, as in the legacy (SCH-15).
    async fn delete_job(&mut self, id: i64) -> Result<bool, StoreError>;
}
