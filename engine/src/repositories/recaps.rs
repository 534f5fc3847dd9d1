//! Recaps of playbook runs.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::recaps::{Recap, ServerRun};

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
