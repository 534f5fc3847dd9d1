//! Work whose arrival at its agent has not been acknowledged.

use super::job_runs::JobRun;

/// Work that is to reach an agent. Its row is written in the transaction that begins it.
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
    /// A quick run.
    QuickRun {
        /// The stored request, which its other hosts share.
        request_id: i64,
        /// The id of a playbook's run; a script has none.
        run_id: Option<&'a str>,
        /// Seconds that its result may take once it has arrived; `None` where it may take for ever.
        patience: Option<i64>,
    },
}

/// How much work has not arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UndeliveredCounts {
    /// Of scheduled jobs.
    pub of_jobs: usize,
    /// Of quick runs.
    pub of_quick_runs: usize,
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

/// Undelivered work of a quick run, without its request: that may be as long as a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UndeliveredQuickRun {
    /// The row in the activity history.
    pub activity_id: i64,
    /// How often it was sent, or was about to be.
    pub sends: i64,
    /// The stored request, which other hosts of the same quick run share; `None` where an older engine stored it for this
    /// host alone.
    pub request_id: Option<i64>,
    /// The id of a playbook's run; `None` for a script, and where an older engine sealed it with the request.
    pub run_id: Option<String>,
    /// The host; empty where the activity has none.
    pub hostname: String,
    /// When it was asked for, in seconds.
    pub asked_at: i64,
    /// The activity's status, as it is now.
    pub activity_status: String,
}
