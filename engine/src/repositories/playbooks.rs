//! Playbook runs, and how far they are.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::playbooks::{PlaybookRun, ServerRun};

/// The table `ansible_play_recaps`; the legacy calls a run's progress its recap.
#[async_trait]
pub trait ReadPlaybookRuns: Send {
    /// The run of this id, which whoever runs it chose.
    async fn find_playbook_run(&mut self, run_id: &str) -> Result<Option<PlaybookRun>, StoreError>;

    async fn find_playbook_run_by_id(&mut self, id: i64) -> Result<Option<PlaybookRun>, StoreError>;

    /// The run that was changed last among those of an activity.
    async fn playbook_run_of_activity(&mut self, activity_id: i64)
    -> Result<Option<PlaybookRun>, StoreError>;

    /// The runs, of exactly this host where one is named, the one changed last first; a negative `limit` is none.
    async fn list_playbook_runs(
        &mut self,
        hostname: Option<&str>,
        limit: i64,
    ) -> Result<Vec<PlaybookRun>, StoreError>;

    /// Whether a run of a scheduled job has playbooks on the server that have not ended.
    async fn has_open_server_run(&mut self, scheduled_run_id: i64) -> Result<bool, StoreError>;

    /// The runs on the server that have not ended, by id.
    async fn open_server_runs(&mut self) -> Result<Vec<PlaybookRun>, StoreError>;
}

#[async_trait]
pub trait WritePlaybookRuns: Send {
    /// Makes the row, or writes over the one of the same `run_id`; the row id in `run` counts for nothing.
    async fn store_playbook_run(&mut self, run: &PlaybookRun) -> Result<(), StoreError>;

    /// Records a playbook that the server is to run, as `Pending`.
    async fn begin_server_run(&mut self, run: &ServerRun<'_>, now: i64) -> Result<(), StoreError>;

    /// Records that the process of a run on the server has started.
    async fn start_server_run(&mut self, run_id: &str, now: i64) -> Result<(), StoreError>;

    /// Records how a run on the server ended.
    async fn finish_server_run(
        &mut self,
        run_id: &str,
        status: &str,
        text: &str,
        now: i64,
    ) -> Result<(), StoreError>;
}
