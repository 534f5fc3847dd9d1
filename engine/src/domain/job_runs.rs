//! The runs of scheduled jobs, and the activities that belong to them.

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

impl JobRun {
    /// Whether its host has had its turn: every word is an end but those of work that waits or goes on (SCH-3).
    pub fn is_over(&self) -> bool {
        !["", status::PENDING, status::RUNNING].contains(&self.status.as_str())
    }
}

/// A run to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewRun<'a> {
    pub job_id: i64,
    pub hostname: &'a str,
    /// The occurrence, in seconds.
    pub occurrence: i64,
    /// Whether it starts now.
    pub started: bool,
    /// Whether it ends now.
    pub finished: bool,
    pub status: &'a str,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// How many runs of a job's latest occurrence have a status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunCount {
    pub job_id: i64,
    /// Its latest occurrence, in seconds.
    pub occurrence: i64,
    pub status: String,
    /// How many.
    pub count: i64,
}

/// An open run as the tick looks at it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenRun {
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
    pub run_id: i64,
    /// The row in the activity history, which may be deleted.
    pub activity_id: i64,
    /// `script` or `ansible`.
    pub component_kind: String,
    /// `powershell` or `ansible`.
    pub script_type: String,
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
    pub run_id: i64,
    /// The row in the activity history.
    pub activity_id: i64,
    /// `script` or `ansible`.
    pub component_kind: &'a str,
    /// `powershell` or `ansible`.
    pub script_type: &'a str,
    pub component_path: &'a str,
    /// The document's name.
    pub component_name: &'a str,
}
