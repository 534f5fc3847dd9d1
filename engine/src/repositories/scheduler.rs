//! The runs of scheduled jobs, and the activities that belong to them.

pub mod undelivered_work;

use async_trait::async_trait;

use crate::{
    domain::job_runs::{JobRun, NewRun, NewRunActivity, OpenRun, RunActivity, RunCount},
    repositories::StoreError,
};

/// The tables `scheduled_job_runs` and `scheduled_job_run_activity`.
#[async_trait]
pub trait ReadJobRuns: Send {
    /// The counts of every job's latest occurrence, or of one job's; jobs without one have none.
    async fn run_counts(&mut self, job_id: Option<i64>) -> Result<Vec<RunCount>, StoreError>;

    /// The largest occurrence of a job that has runs.
    async fn latest_occurrence(&mut self, job_id: i64) -> Result<Option<i64>, StoreError>;

    /// The job's runs that ended (or else started, or else were due) since then, the youngest first, at most `limit`.
    async fn list_runs(&mut self, job_id: i64, since: i64, limit: i64) -> Result<Vec<JobRun>, StoreError>;

    async fn runs_of_occurrence(&mut self, job_id: i64, occurrence: i64) -> Result<Vec<JobRun>, StoreError>;

    /// The hosts on which a run of this job is open, whatever the occurrence.
    async fn busy_hosts(&mut self, job_id: i64) -> Result<Vec<String>, StoreError>;

    /// The activities of one occurrence's runs, by run and link.
    async fn activities_of_occurrence(
        &mut self,
        job_id: i64,
        occurrence: i64,
    ) -> Result<Vec<RunActivity>, StoreError>;

    async fn find_run(&mut self, id: i64) -> Result<Option<JobRun>, StoreError>;

    /// The run that an activity belongs to.
    async fn run_of_activity(&mut self, activity_id: i64) -> Result<Option<JobRun>, StoreError>;

    /// Every open run.
    async fn open_runs(&mut self) -> Result<Vec<OpenRun>, StoreError>;

    /// The name of the site that a host belongs to.
    async fn site_of_host(&mut self, hostname: &str) -> Result<Option<String>, StoreError>;
}

#[async_trait]
pub trait WriteJobRuns: Send {
    /// Deletes the job's runs before this occurrence and returns how many they were.
    async fn clear_runs_before(&mut self, job_id: i64, occurrence: i64) -> Result<u64, StoreError>;

    /// Makes a run and returns its id.
    async fn insert_run(&mut self, run: &NewRun<'_>, now: i64) -> Result<i64, StoreError>;

    /// Writes status, end and reason of a run.
    async fn set_run_state(&mut self, run: &JobRun, now: i64) -> Result<(), StoreError>;

    /// Deletes every run that ended (or else started, or else was due) before then, but for each job's latest
    /// occurrence, and returns how many they were.
    async fn prune_runs(&mut self, before: i64) -> Result<u64, StoreError>;

    /// Links a run to an activity; a link that is there stays.
    async fn link_activity(&mut self, link: &NewRunActivity<'_>, now: i64) -> Result<(), StoreError>;
}
