//! Playbook runs, on agents and on the server, and how far they are.

/// The `agent_id` of playbooks that the server runs itself.
pub const SERVER: &str = "server";

/// How far a playbook is, as its agent reports it; `None` is not given and leaves what is stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlaybookReport {
    /// The run's own id, not empty.
    pub run_id: String,
    pub hostname: Option<String>,
    /// The agent that runs it, or [`SERVER`].
    pub agent_id: Option<String>,
    pub playbook_path: Option<String>,
    pub playbook_name: Option<String>,
    pub scheduled_job_id: Option<i64>,
    /// The run of the scheduled job.
    pub scheduled_run_id: Option<i64>,
    /// The row in the activity history.
    pub activity_job_id: Option<i64>,
    /// Free text.
    pub status: Option<String>,
    pub recap_text: Option<String>,
    /// Its numbers, JSON text.
    pub recap_json: Option<String>,
    /// When it started, in seconds.
    pub started_ts: Option<i64>,
    /// When it ended, in seconds.
    pub finished_ts: Option<i64>,
}

/// A playbook run, as stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlaybookRun {
    pub id: i64,
    /// What has been reported of it, report upon report.
    pub reported: PlaybookReport,
    /// When the row was made, in seconds.
    pub created_at: Option<i64>,
    /// When the row was changed last, in seconds.
    pub updated_at: Option<i64>,
}

/// A playbook that the server itself is to run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerRun<'a> {
    /// The run's own id.
    pub run_id: &'a str,
    pub hostname: &'a str,
    pub playbook_path: &'a str,
    pub playbook_name: &'a str,
    /// The scheduled job and its run, where there is one.
    pub scheduled: Option<(i64, i64)>,
    /// The row in the activity history.
    pub activity_id: Option<i64>,
}
