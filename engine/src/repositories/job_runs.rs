//! The runs of scheduled jobs, and the activities that belong to them.

use std::future::Future;

use super::StoreError;

/// The status words that the server itself writes. Agents may report any other.
pub mod status {
    /// Made, and waiting for its turn on the server.
    pub const PENDING: &str = "Pending";
    /// Started and not ended.
    pub const RUNNING: &str = "Running";
    /// Ended well, or taken to have.
    pub const SUCCESS: &str = "Success";
    /// Ended badly, or never got going.
    pub const FAILED: &str = "Failed";
    /// The host was offline until the occurrence expired.
    pub const EXPIRED: &str = "Expired";
    /// It ran longer than the job allows.
    pub const TIMED_OUT: &str = "Timed Out";
}

/// A run of a job on a host.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct JobRun {
    /// Row id; never used again.
    pub id: i64,
    /// The job, which may be deleted.
    pub job_id: i64,
    /// The host; older rows have none.
    pub hostname: Option<String>,
    /// The occurrence, in seconds.
    pub scheduled_ts: Option<i64>,
    /// When it started, in seconds.
    pub started_ts: Option<i64>,
    /// When it ended, in seconds.
    pub finished_ts: Option<i64>,
    /// One of the words of [`status`], or another that an agent reported.
    pub status: String,
    /// Why it failed.
    pub error: String,
}

/// A run to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewRun<'a> {
    /// The job.
    pub job_id: i64,
    /// The host.
    pub hostname: &'a str,
    /// The occurrence, in seconds.
    pub occurrence: i64,
    /// Whether it starts now.
    pub started: bool,
    /// Whether it ends now.
    pub finished: bool,
    /// Its status.
    pub status: &'a str,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// How many runs of a job's latest occurrence have a status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunCount {
    /// The job.
    pub job_id: i64,
    /// Its latest occurrence, in seconds.
    pub occurrence: i64,
    /// The status.
    pub status: String,
    /// How many.
    pub count: i64,
}

/// An open run as the tick looks at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenRun {
    /// The run.
    pub run: JobRun,
    /// The expiration of its job; `None` where the job has none or is deleted.
    pub expiration: Option<String>,
    /// Whether some of its work has not arrived at its agent.
    pub undelivered: bool,
    /// Whether the server itself runs a playbook of it, or is about to.
    pub on_server: bool,
}

/// An activity that belongs to a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunActivity {
    /// The run.
    pub run_id: i64,
    /// The row in the activity history, which may be deleted.
    pub activity_id: i64,
    /// `script` or `ansible`.
    pub component_kind: String,
    /// `powershell` or `ansible`.
    pub script_type: String,
    /// The file.
    pub component_path: String,
    /// The document's name.
    pub component_name: String,
    /// Whether the activity printed anything.
    pub has_stdout: bool,
    /// Whether the activity printed errors.
    pub has_stderr: bool,
}

/// A link from a run to an activity, to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewRunActivity<'a> {
    /// The run.
    pub run_id: i64,
    /// The row in the activity history.
    pub activity_id: i64,
    /// `script` or `ansible`.
    pub component_kind: &'a str,
    /// `powershell` or `ansible`.
    pub script_type: &'a str,
    /// The file.
    pub component_path: &'a str,
    /// The document's name.
    pub component_name: &'a str,
}

/// The tables `scheduled_job_runs` and `scheduled_job_run_activity`.
pub trait JobRuns: Send {
    /// The counts of every job's latest occurrence, or of one job's; jobs without one have none.
    fn run_counts(
        &mut self,
        job_id: Option<i64>,
    ) -> impl Future<Output = Result<Vec<RunCount>, StoreError>> + Send;

    /// The largest occurrence of a job that has runs.
    fn latest_occurrence(
        &mut self,
        job_id: i64,
    ) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// The job's runs that ended (or else started, or else were due) since then, the youngest first, at most `limit`.
    fn list_runs(
        &mut self,
        job_id: i64,
        since: i64,
        limit: i64,
    ) -> impl Future<Output = Result<Vec<JobRun>, StoreError>> + Send;

    /// The runs of one occurrence, by id.
    fn runs_of_occurrence(
        &mut self,
        job_id: i64,
        occurrence: i64,
    ) -> impl Future<Output = Result<Vec<JobRun>, StoreError>> + Send;

    /// The hosts on which a run of this job is open, whatever the occurrence.
    fn busy_hosts(&mut self, job_id: i64) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// The activities of one occurrence's runs, by run and link.
    fn activities_of_occurrence(
        &mut self,
        job_id: i64,
        occurrence: i64,
    ) -> impl Future<Output = Result<Vec<RunActivity>, StoreError>> + Send;

    /// Deletes the job's runs before this occurrence and says how many they were.
    fn clear_runs_before(
        &mut self,
        job_id: i64,
        occurrence: i64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Makes a run and says its id.
    fn insert_run(
        &mut self,
        run: &NewRun<'_>,
        now: i64,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// The run of this id.
    fn find_run(&mut self, id: i64) -> impl Future<Output = Result<Option<JobRun>, StoreError>> + Send;

    /// The run that an activity belongs to.
    fn run_of_activity(
        &mut self,
        activity_id: i64,
    ) -> impl Future<Output = Result<Option<JobRun>, StoreError>> + Send;

    /// Every open run.
    fn open_runs(&mut self) -> impl Future<Output = Result<Vec<OpenRun>, StoreError>> + Send;

    /// Writes status, end and reason of a run.
    fn set_run_state(
        &mut self,
        run: &JobRun,
        now: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes every run that ended (or else started, or else was due) before then, but for each job's latest
    /// occurrence, and says how many they were.
    fn prune_runs(&mut self, before: i64) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Links a run to an activity; a link that is there stays.
    fn link_activity(
        &mut self,
        link: &NewRunActivity<'_>,
        now: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The name of the site that a host belongs to.
    fn site_of_host(
        &mut self,
        hostname: &str,
    ) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;
}
