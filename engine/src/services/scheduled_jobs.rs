//! Scheduled jobs as operators see and change them. When they run is the scheduler's.
//!
//! Long because it is one service with every operation on a job.

use std::{collections::HashMap, sync::Arc};

use jiff::tz::TimeZone;

use super::{
    Environment,
    assemblies::AssemblyLibrary,
    scheduler::{channel::AgentChannel, manifest::variable_not_allowed},
};
use crate::{
    config::settings::AccessPolicy,
    domain::{
        job_runs::{JobRun, RunActivity, RunCount},
        json::Json,
        mask::shown,
        schedule::{Recurrence, Schedule},
        scheduled_jobs::{
            JobChanges, NewJob, ResultCounts, ScheduledJob, context_word, target_count, target_hosts,
            uses_stored_credential,
        },
    },
    repositories::{Store, StoreError},
    services::audit,
};

/// Runs that are listed at most.
const MOST_RUNS: i64 = 500;
/// Seconds in a day.
const DAY: i64 = 86_400;

/// A job with its latest occurrence and its next.
#[derive(Clone, Debug, PartialEq)]
pub struct JobOverview {
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

/// What a request to clear runs did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cleared {
    /// How many runs were deleted.
    pub runs: u64,
    /// The occurrence that was kept, in seconds; `None` where there is none.
    pub kept_occurrence: Option<i64>,
}

/// Who makes or changes jobs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobAuthor {
    /// The operator's name, for the log; empty where nobody is asked for.
    pub name: String,
    /// Whether this operator may have jobs use stored credentials.
    pub may_use_credentials: bool,
}

/// Why a job is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It uses a stored credential, or would, and its author may not.
    #[error("forbidden")]
    Forbidden,
    /// A playbook on the server may not have a variable of this name.
    #[error("the variable {0} is not allowed")]
    VariableNotAllowed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The parts of a job that decide who may make it, and whether it may be made at all.
#[derive(Clone, Copy, Debug, PartialEq)]
struct JobDefinition<'a> {
    components: Option<&'a Json>,
    execution_context: &'a str,
    credential_id: Option<i64>,
}

impl<'a> JobDefinition<'a> {
    fn of(job: &'a ScheduledJob) -> Self {
        Self {
            components: job.components.as_ref(),
            execution_context: &job.execution_context,
            credential_id: job.credential_id,
        }
    }

    fn changed(self, changes: &'a JobChanges) -> Self {
        Self {
            components: changes.components.as_ref().or(self.components),
            execution_context: changes
                .execution_context
                .as_deref()
                .unwrap_or(self.execution_context),
            credential_id: changes.credential_id.unwrap_or(self.credential_id),
        }
    }

    fn uses_stored_credential(self) -> bool {
        uses_stored_credential(self.execution_context, self.credential_id)
    }
}

#[derive(Debug)]
pub struct ScheduledJobService {
    store: Arc<dyn Store>,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
    library: AssemblyLibrary,
    policy: AccessPolicy,
    zone: TimeZone,
    history_days: i64,
}

impl ScheduledJobService {
    /// Over this store. In `library` lie the playbooks, whose variables a strict `policy` looks at. `zone` is the
    /// server's own, `history_days` how long runs are listed by default.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        channel: Arc<dyn AgentChannel>,
        library: AssemblyLibrary,
        policy: AccessPolicy,
        zone: TimeZone,
        history_days: i64,
    ) -> Self {
        Self {
            store,
            environment,
            channel,
            library,
            policy,
            zone,
            history_days,
        }
    }

    /// The zone that start texts without an offset mean.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Every job, the youngest first.
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
    /// [`JobError`]; no job was made.
    pub async fn create(&self, author: &JobAuthor, job: &NewJob) -> Result<Option<JobOverview>, JobError> {
        let wanted = JobDefinition {
            components: Some(&job.components),
            execution_context: &job.execution_context,
            credential_id: job.credential_id,
        };
        self.check(author, &job.name, &[wanted]).await?;
        let mut work = self.store.begin().await?;
        let id = work.insert_job(job, self.now()).await?;
        work.save().await?;
        audit::changed("job.created", id);
        Ok(self.find(id).await?)
    }

    /// Changes a job; `None` where there is none of this id. Whoever else may do what with it, everybody may switch it
    /// off.
    ///
    /// # Errors
    /// [`JobError`]; nothing was changed.
    pub async fn update(
        &self,
        author: &JobAuthor,
        id: i64,
        changes: &JobChanges,
    ) -> Result<Option<JobOverview>, JobError> {
        let switches_off = *changes
            == JobChanges {
                enabled: Some(false),
                ..JobChanges::default()
            };
        loop {
            let Some(job) = self.store.view().await?.find_job(id).await? else {
                return Ok(None);
            };
            if !switches_off {
                let stored = JobDefinition::of(&job);
                self.check(author, &job.name, &[stored.changed(changes), stored])
                    .await?;
            }
            let mut work = self.store.begin().await?;
            let present = work.find_job(id).await?;
            if present.is_some_and(|present| JobDefinition::of(&present) != JobDefinition::of(&job)) {
                // Somebody else was faster: what was looked at is not what would be changed.
                continue;
            }
            if !work.update_job(id, changes, self.now()).await? {
                return Ok(None);
            }
            work.save().await?;
            audit::changed("job.changed", id);
            return Ok(self.find(id).await?);
        }
    }

    /// Whether an author may change a job from the second of these definitions to the first.
    async fn check(
        &self,
        author: &JobAuthor,
        name: &str,
        states: &[JobDefinition<'_>],
    ) -> Result<(), JobError> {
        if !author.may_use_credentials && states.iter().any(|state| state.uses_stored_credential()) {
            tracing::warn!(
                by = %shown(&author.name),
                job = %shown(name),
                "refused: jobs that use a stored credential are the admins'"
            );
            return Err(JobError::Forbidden);
        }
        if self.policy == AccessPolicy::Legacy {
            return Ok(());
        }
        let wanted = states
            .first()
            .filter(|state| context_word(state.execution_context) == "ssh");
        if let Some(components) = wanted.and_then(|state| state.components)
            && let Some(variable) = variable_not_allowed(&self.library, components).await
        {
            tracing::warn!(
                by = %shown(&author.name),
                variable = %shown(&variable),
                job = %shown(name),
                "refused: no playbook on the server may have this variable"
            );
            return Err(JobError::VariableNotAllowed(variable));
        }
        Ok(())
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
        audit::changed("job.deleted", id);
        Ok(true)
    }

    /// The runs of a job, known or not, in the last `days`.
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
        audit::changed("job.runs_cleared", id);
        Ok(Cleared {
            runs,
            kept_occurrence: Some(kept),
        })
    }

    /// The targets of a job in an occurrence, by default the latest, with that occurrence; `None` where there is no job
    /// of this id. Any number is an occurrence, if only one without runs.
    pub async fn targets(
        &self,
        id: i64,
        occurrence: Option<i128>,
    ) -> Result<Option<(Option<i128>, Vec<TargetState>)>, StoreError> {
        let mut view = self.store.view().await?;
        let Some(job) = view.find_job(id).await? else {
            return Ok(None);
        };
        let occurrence = match occurrence {
            Some(occurrence) => Some(occurrence),
            None => {
                let latest = view.latest_occurrence(id).await?;
                latest.filter(|latest| *latest != 0).map(i128::from)
            }
        };
        let mut runs: HashMap<String, JobRun> = HashMap::new();
        let mut activities: HashMap<i64, Vec<RunActivity>> = HashMap::new();
        if let Some(occurrence) = occurrence.and_then(|occurrence| i64::try_from(occurrence).ok()) {
            // By id: the youngest of a host stays.
            for run in view.runs_of_occurrence(id, occurrence).await? {
                // As the legacy reads a run of no host.
                let hostname = run.hostname.clone().unwrap_or_else(|| "None".to_owned());
                runs.insert(hostname, run);
            }
            for activity in view.activities_of_occurrence(id, occurrence).await? {
                activities.entry(activity.run_id).or_default().push(activity);
            }
        }
        let hosts = target_hosts(job.targets.as_ref().unwrap_or(&Json::Null));
        let mut sites = Vec::new();
        for hostname in &hosts {
            sites.push(view.site_of_host(hostname).await?.unwrap_or_default());
        }
        // The channel reads by itself.
        drop(view);
        let online = self.channel.online_among(&hosts).await;
        let mut states = Vec::new();
        for (hostname, site) in hosts.into_iter().zip(sites) {
            let run = runs.get(&hostname).cloned();
            states.push(TargetState {
                online: online.contains(&hostname),
                site,
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
