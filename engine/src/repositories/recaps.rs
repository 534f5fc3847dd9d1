//! Recaps of playbook runs.

use async_trait::async_trait;

use super::StoreError;

/// The `agent_id` of playbooks that the server runs itself.
pub const SERVER: &str = "server";

/// A recap, as stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recap {
    /// Row id.
    pub id: i64,
    /// The run's own id, unique.
    pub run_id: String,
    /// The host.
    pub hostname: Option<String>,
    /// The agent that ran it, or [`SERVER`].
    pub agent_id: Option<String>,
    /// The playbook's file.
    pub playbook_path: Option<String>,
    /// The playbook's name.
    pub playbook_name: Option<String>,
    /// The scheduled job.
    pub scheduled_job_id: Option<i64>,
    /// The run of the scheduled job.
    pub scheduled_run_id: Option<i64>,
    /// The row in the activity history.
    pub activity_job_id: Option<i64>,
    /// Its status; free text.
    pub status: Option<String>,
    /// What it printed.
    pub recap_text: Option<String>,
    /// Its numbers, JSON text.
    pub recap_json: Option<String>,
    /// When it started, in seconds.
    pub started_ts: Option<i64>,
    /// When it ended, in seconds.
    pub finished_ts: Option<i64>,
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
    /// The host.
    pub hostname: &'a str,
    /// The playbook's file.
    pub playbook_path: &'a str,
    /// The playbook's name.
    pub playbook_name: &'a str,
    /// The scheduled job and its run, where there is one.
    pub scheduled: Option<(i64, i64)>,
    /// The row in the activity history.
    pub activity_id: Option<i64>,
}

/// The table `ansible_play_recaps`.
#[async_trait]
pub trait ReadRecaps: Send {
    /// The recap of a run.
    async fn find_recap(&mut self, run_id: &str) -> Result<Option<Recap>, StoreError>;

    /// The recap of this row id.
    async fn find_recap_by_id(&mut self, id: i64) -> Result<Option<Recap>, StoreError>;

    /// The recap that was changed last among those of an activity.
    async fn recap_of_activity(&mut self, activity_id: i64) -> Result<Option<Recap>, StoreError>;

    /// The recaps, of exactly this host where one is named, the one changed last first; a negative `limit` is none.
    async fn list_recaps(&mut self, hostname: Option<&str>, limit: i64) -> Result<Vec<Recap>, StoreError>;

    /// Whether a run of a scheduled job has playbooks on the server that have not ended.
    async fn has_open_server_run(&mut self, scheduled_run_id: i64) -> Result<bool, StoreError>;

    /// The runs on the server that have not ended, by id.
    async fn open_server_runs(&mut self) -> Result<Vec<Recap>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteRecaps: Send {
    /// Makes the recap, or writes it over the one of the same run; its row id counts for nothing.
    async fn store_recap(&mut self, recap: &Recap) -> Result<(), StoreError>;

    /// Notes a playbook that the server is to run, as `Pending`.
    async fn begin_server_run(&mut self, run: &ServerRun<'_>, now: i64) -> Result<(), StoreError>;

    /// Notes that the process of a run on the server has started.
    async fn start_server_run(&mut self, run_id: &str, now: i64) -> Result<(), StoreError>;

    /// Notes how a run on the server ended.
    async fn finish_server_run(
        &mut self,
        run_id: &str,
        status: &str,
        text: &str,
        now: i64,
    ) -> Result<(), StoreError>;
}
