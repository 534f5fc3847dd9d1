//! The runs of scheduled jobs, and the activities that belong to them.

use async_trait::async_trait;

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
#[async_trait]
pub trait ReadJobRuns: Send {
    /// The counts of every job's latest occurrence, or of one job's; jobs without one have none.
    async fn run_counts(&mut self, job_id: Option<i64>) -> Result<Vec<RunCount>, StoreError>;

    /// The largest occurrence of a job that has runs.
    async fn latest_occurrence(&mut self, job_id: i64) -> Result<Option<i64>, StoreError>;

    /// The job's runs that ended (or else started, or else were due) since then, the youngest first, at most `limit`.
    async fn list_runs(&mut self, job_id: i64, since: i64, limit: i64) -> Result<Vec<JobRun>, StoreError>;

    /// The runs of one occurrence, by id.
    async fn runs_of_occurrence(&mut self, job_id: i64, occurrence: i64) -> Result<Vec<JobRun>, StoreError>;

    /// The hosts on which a run of this job is open, whatever the occurrence.
    async fn busy_hosts(&mut self, job_id: i64) -> Result<Vec<String>, StoreError>;

    /// The activities of one occurrence's runs, by run and link.
    async fn activities_of_occurrence(
        &mut self,
        job_id: i64,
        occurrence: i64,
    ) -> Result<Vec<RunActivity>, StoreError>;

    /// The run of this id.
    async fn find_run(&mut self, id: i64) -> Result<Option<JobRun>, StoreError>;

    /// The run that an activity belongs to.
    async fn run_of_activity(&mut self, activity_id: i64) -> Result<Option<JobRun>, StoreError>;

    /// Every open run.
    async fn open_runs(&mut self) -> Result<Vec<OpenRun>, StoreError>;

    /// The name of the site that a host belongs to.
    async fn site_of_host(&mut self, hostname: &str) -> Result<Option<String>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteJobRuns: Send {
    /// Deletes the job's runs before this occurrence and says how many they were.
    async fn clear_runs_before(&mut self, job_id: i64, occurrence: i64) -> Result<u64, StoreError>;

    /// Makes a run and says its id.
    async fn insert_run(&mut self, run: &NewRun<'_>, now: i64) -> Result<i64, StoreError>;

    /// Writes status, end and reason of a run.
    async fn set_run_state(&mut self, run: &JobRun, now: i64) -> Result<(), StoreError>;

    /// Deletes every run that ended (or else started, or else was due) before then, but for each job's latest
    /// occurrence, and says how many they were.
    async fn prune_runs(&mut self, before: i64) -> Result<u64, StoreError>;

    /// Links a run to an activity; a link that is there stays.
    async fn link_activity(&mut self, link: &NewRunActivity<'_>, now: i64) -> Result<(), StoreError>;
}
