//! Work whose arrival at its agent has not been acknowledged.

use async_trait::async_trait;

use crate::{
    domain::undelivered_work::{NewUndelivered, UndeliveredComponent, UndeliveredQuickRun},
    repositories::StoreError,
};

/// The engine's own table `engine_undelivered_work`.
#[async_trait]
pub trait ReadUndeliveredWork: Send {
    /// The undelivered work of scheduled jobs, by activity.
    async fn undelivered_components(&mut self) -> Result<Vec<UndeliveredComponent>, StoreError>;

    /// The undelivered work of quick runs, by activity.
    async fn undelivered_quick_runs(&mut self) -> Result<Vec<UndeliveredQuickRun>, StoreError>;
}

#[async_trait]
pub trait WriteUndeliveredWork: Send {
    /// Makes the row of work that is to reach its agent.
    async fn note_undelivered(&mut self, work: &NewUndelivered<'_>) -> Result<(), StoreError>;

    /// Its agent has confirmed it: removes such a row, or keeps it where a result is awaited, whose time begins now.
    async fn note_arrived(&mut self, activity_id: i64, now: i64) -> Result<(), StoreError>;

    /// Removes the rows whose results should have come by now, and gives their activities.
    async fn take_overdue_results(&mut self, now: i64) -> Result<Vec<i64>, StoreError>;

    /// Removes such a row; whether there was one.
    async fn note_delivered(&mut self, activity_id: i64) -> Result<bool, StoreError>;

    /// Counts one more send and returns how many they are with it. `None`, and nothing is counted, where it
    /// was sent `most` times already, has no row (any more), or its activity is not running (any more).
    async fn begin_send(&mut self, activity_id: i64, most: i64) -> Result<Option<i64>, StoreError>;

    /// Deletes the rows of activities that were deleted.
    async fn forget_orphaned_work(&mut self) -> Result<(), StoreError>;
}
