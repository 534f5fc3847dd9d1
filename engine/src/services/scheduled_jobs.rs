//! Scheduled jobs as operators see and change them. When they run is the scheduler's.

use std::{collections::HashMap, sync::Arc};

use jiff::tz::TimeZone;

use super::{Environment, scheduler::channel::AgentChannel};
use crate::{
    domain::{
        job::{ResultCounts, target_count, target_hosts},
        json::Json,
        schedule::{Recurrence, Schedule},
    },
    repositories::{
        Store, StoreError, UnitOfWork as _,
        job_runs::{JobRun, JobRuns as _, RunActivity, RunCount},
        scheduled_jobs::{JobChanges, NewJob, ScheduledJob, ScheduledJobs as _},
    },
};

/// Runs that are listed at most.
const MOST_RUNS: i64 = 500;
/// Seconds in a day.
const DAY: i64 = 86_400;

/// A job with what can be told of its latest occurrence and its next.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOverview {
    /// The job.
    pub job: ScheduledJob,
    /// The latest occurrence, in seconds.
    pub last_run_ts: Option<i64>,
    /// One word for the latest occurrence; `Scheduled` or nothing where there is none.
    pub last_status: &'static str,
    /// The runs of the latest occurrence.
    pub result_counts: ResultCounts,
    /// The next occurrence, in seconds.
    pub next_run_ts: Option<i64>,
}

/// A target of a job in one occurrence.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetState {
    /// The host.
    pub hostname: String,
    /// Whether its agent is there.
    pub online: bool,
    /// The name of its site; empty without one.
    pub site: String,
    /// Its run, where there is one.
    pub run: Option<JobRun>,
    /// What belongs to that run.
    pub activities: Vec<RunActivity>,
}

/// What became of a wish to clear runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cleared {
    /// How many runs were deleted.
    pub runs: u64,
    /// The occurrence that was kept, in seconds; `None` where there is none.
    pub kept_occurrence: Option<i64>,
}

/// Manages jobs.
#[derive(Debug)]
pub struct ScheduledJobService<S> {
    store: S,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    zone: TimeZone,
    history_days: i64,
}

impl<S: Store> ScheduledJobService<S> {
    /// Over this store. `zone` is the server's own, `history_days` how long runs are listed by default.
    pub fn new(
        store: S,
        environment: Environment,
        channel: Arc<dyn AgentChannel>,
        zone: TimeZone,
        history_days: i64,
    ) -> Self {
        Self {
            store,
            environment,
            channel,
            zone,
            history_days,
        }
    }

    /// The zone that start texts without an offset mean.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Every job, the youngest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self) -> Result<Vec<JobOverview>, StoreError> {
        let now = self.now();
        let mut view = self.store.view().await?;
        let mut counts: HashMap<i64, Vec<RunCount>> = HashMap::new();
        for count in view.run_counts(None).await? {
            counts.entry(count.job_id).or_default().push(count);
        }
        let jobs = view.list_jobs().await?;
        Ok(jobs
            .into_iter()
            .map(|job| {
                let counts = counts.remove(&job.id).unwrap_or_default();
                overview(job, &counts, now)
            })
            .collect())
    }

    /// One job.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, id: i64) -> Result<Option<JobOverview>, StoreError> {
        let now = self.now();
        let mut view = self.store.view().await?;
        let Some(job) = view.find_job(id).await? else {
            return Ok(None);
        };
        let counts = view.run_counts(Some(id)).await?;
        Ok(Some(overview(job, &counts, now)))
    }

    /// Makes a job.
    ///
    /// # Errors
    /// The store failed; no job was made.
    pub async fn create(&self, job: &NewJob) -> Result<Option<JobOverview>, StoreError> {
        let mut work = self.store.begin().await?;
        let id = work.insert_job(job, self.now()).await?;
        work.save().await?;
        crate::services::audit::changed("job.created", id);
        self.find(id).await
    }

    /// Changes a job; `None` where there is none of this id.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn update(&self, id: i64, changes: &JobChanges) -> Result<Option<JobOverview>, StoreError> {
        let mut work = self.store.begin().await?;
        if !work.update_job(id, changes, self.now()).await? {
            return Ok(None);
        }
        work.save().await?;
        crate::services::audit::changed("job.changed", id);
        self.find(id).await
    }

    /// Deletes a job; false where there is none of this id. Its runs stay (SCH-15).
    ///
    /// # Errors
    /// The store failed; the job is still there.
    pub async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let mut work = self.store.begin().await?;
        if !work.delete_job(id).await? {
            return Ok(false);
        }
        work.save().await?;
        crate::services::audit::changed("job.deleted", id);
        Ok(true)
    }

    /// The runs of a job, known or not, in the last `days`.
    ///
    /// # Errors
    /// The store failed.
    pub async fn runs(&self, id: i64, days: Option<i64>) -> Result<Vec<JobRun>, StoreError> {
        let days = days.unwrap_or(self.history_days.max(1));
        let since = self.now().saturating_sub(days.saturating_mul(DAY));
        self.store.view().await?.list_runs(id, since, MOST_RUNS).await
    }

    /// Deletes all runs of a job but those of its latest occurrence.
    ///
    /// # Errors
    /// The store failed; nothing was deleted.
    pub async fn clear_runs(&self, id: i64) -> Result<Cleared, StoreError> {
        let mut work = self.store.begin().await?;
        let Some(kept) = work.latest_occurrence(id).await? else {
            return Ok(Cleared {
                runs: 0,
                kept_occurrence: None,
            });
        };
        let runs = work.clear_runs_before(id, kept).await?;
        work.save().await?;
        crate::services::audit::changed("job.runs_cleared", id);
        Ok(Cleared {
            runs,
            kept_occurrence: Some(kept),
        })
    }

    /// The targets of a job in an occurrence, by default the latest, with that occurrence; `None` where there is no job
    /// of this id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn targets(
        &self,
        id: i64,
        occurrence: Option<i64>,
    ) -> Result<Option<(Option<i64>, Vec<TargetState>)>, StoreError> {
        let mut view = self.store.view().await?;
        let Some(job) = view.find_job(id).await? else {
            return Ok(None);
        };
        let occurrence = match occurrence {
            Some(occurrence) => Some(occurrence),
            None => view.latest_occurrence(id).await?.filter(|latest| *latest != 0),
        };
        let mut runs: HashMap<String, JobRun> = HashMap::new();
        let mut activities: HashMap<i64, Vec<RunActivity>> = HashMap::new();
        if let Some(occurrence) = occurrence {
            // By id: the youngest of a host stays.
            for run in view.runs_of_occurrence(id, occurrence).await? {
                runs.insert(run.hostname.clone().unwrap_or_default(), run);
            }
            for activity in view.activities_of_occurrence(id, occurrence).await? {
                activities.entry(activity.run_id).or_default().push(activity);
            }
        }
        let hosts = target_hosts(job.targets.as_ref().unwrap_or(&Json::Null));
        let online = self.channel.online_among(&hosts).await;
        let mut states = Vec::new();
        for hostname in hosts {
            let run = runs.get(&hostname).cloned();
            states.push(TargetState {
                online: online.contains(&hostname),
                site: view.site_of_host(&hostname).await?.unwrap_or_default(),
                activities: run
                    .as_ref()
                    .and_then(|run| activities.get(&run.id))
                    .cloned()
                    .unwrap_or_default(),
                run,
                hostname,
            });
        }
        Ok(Some((occurrence, states)))
    }

    fn now(&self) -> i64 {
        self.environment.clock.now().as_second()
    }
}

fn overview(job: ScheduledJob, counts: &[RunCount], now: i64) -> JobOverview {
    let last_run_ts = counts
        .first()
        .map(|count| count.occurrence)
        .filter(|latest| *latest != 0);
    let total = job.targets.as_ref().map_or(0, target_count);
    let result_counts = match last_run_ts {
        Some(_) => ResultCounts::of(
            total,
            counts.iter().map(|count| (count.status.as_str(), count.count)),
        ),
        None => ResultCounts {
            total_targets: total,
            ..ResultCounts::default()
        },
    };
    let unset = if job.start_ts.unwrap_or(0) == 0 {
        ""
    } else {
        "Scheduled"
    };
    let schedule = Schedule {
        recurrence: Recurrence::parse(&job.schedule_type),
        start: job.start_ts,
        last: last_run_ts,
    };
    JobOverview {
        last_run_ts,
        last_status: result_counts.status().unwrap_or(unset),
        result_counts,
        next_run_ts: schedule.next_run(now),
        job,
    }
}
