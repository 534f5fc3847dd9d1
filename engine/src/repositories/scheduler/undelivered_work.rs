//! Work whose arrival at its agent has not been acknowledged.

use async_trait::async_trait;

use crate::{
    domain::undelivered_work::{
        NewUndelivered, UndeliveredComponent, UndeliveredCounts, UndeliveredQuickRun,
    },
    repositories::StoreError,
};

/// The engine's own tables `engine_undelivered_work` and `engine_quick_run_requests`.
#[async_trait]
pub trait ReadUndeliveredWork: Send {
    /// The undelivered work of scheduled jobs, by activity.
    async fn undelivered_components(&mut self) -> Result<Vec<UndeliveredComponent>, StoreError>;

    /// The undelivered work of quick runs, by activity.
    async fn undelivered_quick_runs(&mut self) -> Result<Vec<UndeliveredQuickRun>, StoreError>;

    /// How the quick run of this activity was asked for, sealed; `None` where it has arrived or ended meanwhile.
    async fn quick_run_request(&mut self, activity_id: i64) -> Result<Option<Vec<u8>>, StoreError>;

    /// How many rows the two above would give.
    async fn count_undelivered(&mut self) -> Result<UndeliveredCounts, StoreError>;
}

#[async_trait]
pub trait WriteUndeliveredWork: Send {
    /// Stores how a quick run was asked for, sealed, and returns the id for its rows. It goes with the last of them that is
    /// to reach its agent.
    async fn store_quick_run_request(&mut self, request: &[u8]) -> Result<i64, StoreError>;

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

    /// Deletes the rows of activities that were deleted, and the requests that no row needs.
    async fn forget_orphaned_work(&mut self) -> Result<(), StoreError>;
}
