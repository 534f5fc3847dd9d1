//! Work that was begun and whose arrival at its agent is not known.

use async_trait::async_trait;

use super::{StoreError, job_runs::JobRun};

/// Work that is to reach an agent. It is noted in the transaction that begins it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewUndelivered<'a> {
    /// The row in the activity history.
    pub activity_id: i64,
    /// What makes the work anew after a restart.
    pub source: Source<'a>,
}

/// What undelivered work is made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source<'a> {
    /// The component of a scheduled job at this place.
    Component(i64),
    /// A quick run that was asked for so, sealed.
    QuickRun(&'a [u8]),
}

/// Undelivered work of a scheduled job.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UndeliveredComponent {
    /// The row in the activity history.
    pub activity_id: i64,
    /// How often it was sent, or was about to be.
    pub sends: i64,
    /// The place of the component in its job.
    pub component_index: i64,
    /// The component's file, as it was when the run began.
    pub component_path: String,
    /// The run, as it is now; `None` where it was deleted.
    pub run: Option<JobRun>,
    /// The activity's status, as it is now.
    pub activity_status: String,
}

/// Undelivered work of a quick run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UndeliveredQuickRun {
    /// The row in the activity history.
    pub activity_id: i64,
    /// How often it was sent, or was about to be.
    pub sends: i64,
    /// How it was asked for, sealed.
    pub request: Vec<u8>,
    /// The host; empty where the activity has none.
    pub hostname: String,
    /// When it was asked for, in seconds.
    pub asked_at: i64,
    /// The activity's status, as it is now.
    pub activity_status: String,
}

/// The engine's own table `engine_undelivered_work`.
#[async_trait]
pub trait ReadUndeliveredWork: Send {
    /// The noted work of scheduled jobs, by activity.
    async fn undelivered_components(&mut self) -> Result<Vec<UndeliveredComponent>, StoreError>;

    /// The noted work of quick runs, by activity.
    async fn undelivered_quick_runs(&mut self) -> Result<Vec<UndeliveredQuickRun>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteUndeliveredWork: Send {
    /// Notes work that is to reach its agent.
    async fn note_undelivered(&mut self, work: &NewUndelivered<'_>) -> Result<(), StoreError>;

    /// Forgets such a note, and says whether there was one.
    async fn note_delivered(&mut self, activity_id: i64) -> Result<bool, StoreError>;

    /// Counts one more send of noted work and says how many they are with it. `None`, and nothing is counted, where it
    /// was sent `most` times already, is not noted (any more), or its activity is not running (any more).
    async fn begin_send(&mut self, activity_id: i64, most: i64) -> Result<Option<i64>, StoreError>;

    /// Forgets notes of activities that were deleted.
    async fn forget_orphaned_work(&mut self) -> Result<(), StoreError>;
}
