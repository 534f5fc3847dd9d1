//! What ran on a host, and what came of it.

use async_trait::async_trait;

use super::{StoreError, work_devices::BoundTo};

/// A row of the history.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Activity {
    /// Row id; never used again. Agents know it as `job_id`.
    pub id: i64,
    /// The host.
    pub hostname: Option<String>,
    /// The file.
    pub script_path: Option<String>,
    /// The document's name.
    pub script_name: Option<String>,
    /// `powershell` or `ansible`.
    pub script_type: Option<String>,
    /// When it began, in seconds.
    pub ran_at: Option<i64>,
    /// Its status, as the server or the agent called it.
    pub status: Option<String>,
    /// What it printed.
    pub stdout: Option<String>,
    /// What it printed of errors.
    pub stderr: Option<String>,
}

/// A row of the history without the texts that it printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ActivityLine {
    /// The row; `stdout` and `stderr` are not read.
    pub activity: Activity,
    /// Whether it printed anything.
    pub has_stdout: bool,
    /// Whether it printed errors.
    pub has_stderr: bool,
}

/// An activity to be made; it begins now, `Running`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewActivity<'a> {
    /// The host.
    pub hostname: Option<&'a str>,
    /// The file.
    pub script_path: &'a str,
    /// The document's name.
    pub script_name: &'a str,
    /// `powershell` or `ansible`.
    pub script_type: &'a str,
    /// The one device that gets it and reports on it, by what the host was called when it began.
    pub bound_to: &'a BoundTo,
}

/// An activity that the server ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndedActivity {
    /// Its row.
    pub id: i64,
    /// The host.
    pub hostname: Option<String>,
    /// `powershell` or `ansible`.
    pub script_type: Option<String>,
    /// Its status now.
    pub status: String,
}

/// The table `activity_history`.
#[async_trait]
pub trait ReadActivityHistory: Send {
    /// The activity of this id.
    async fn find_activity(&mut self, id: i64) -> Result<Option<Activity>, StoreError>;

    /// The activities of exactly this host, the youngest first.
    async fn activities_of_host(&mut self, hostname: &str) -> Result<Vec<ActivityLine>, StoreError>;

    /// The activities, with the status of their runs, that are still running although their run has ended: at once where
    /// the server ended it for the time it took, else where it began by `begun_by`, since the other components of a run
    /// go on when one has reported. Work on its way to its agent is not among the latter.
    async fn activities_outliving_their_runs(
        &mut self,
        begun_by: i64,
    ) -> Result<Vec<(i64, String)>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteActivityHistory: Send {
    /// Makes an activity and says its id.
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
