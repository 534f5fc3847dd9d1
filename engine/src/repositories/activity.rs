//! What ran on a host, and what came of it.

pub mod work_devices;

use async_trait::async_trait;

use crate::{
    domain::activity::{Activity, EndedActivity, NewActivity},
    repositories::StoreError,
};

/// The table `activity_history`.
#[async_trait]
pub trait ReadActivityHistory: Send {
    async fn find_activity(&mut self, id: i64) -> Result<Option<Activity>, StoreError>;

    /// The activities, with the status of their runs, that are still running although their run has ended: at once
    /// where the server ended it for the time it took, else where it began by `begun_by`, since the other components of
    /// a run go on when one has reported. Work on its way to its agent is not among the latter.
    async fn activities_outliving_their_runs(
        &mut self,
        begun_by: i64,
    ) -> Result<Vec<(i64, String)>, StoreError>;
}

#[async_trait]
pub trait WriteActivityHistory: Send {
    /// Makes an activity and returns its id.
    async fn insert_activity(&mut self, activity: &NewActivity<'_>, now: i64) -> Result<i64, StoreError>;

    /// Deletes the activities of exactly this host.
    async fn clear_activities(&mut self, hostname: &str) -> Result<(), StoreError>;

    /// Writes what came of an activity; false where there is none of this id. `ran_at` replaces the time too.
    async fn store_result(
        &mut self,
        id: i64,
        status: &str,
        stdout: &str,
        stderr: &str,
        ran_at: Option<i64>,
    ) -> Result<bool, StoreError>;

    /// Writes how far an activity is; what is not given stays.
    async fn store_progress(
        &mut self,
        id: i64,
        status: Option<&str>,
        stdout: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Ends an activity that is running for a reason of the server's own, which is kept where the activity has printed
    /// no errors; `None`, and nothing changes, where it is not running (any more).
    async fn end_activity(
        &mut self,
        id: i64,
        status: &str,
        reason: &str,
    ) -> Result<Option<EndedActivity>, StoreError>;
}
