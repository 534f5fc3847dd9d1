//! Which jobs run now, and on which hosts.

use std::{collections::HashSet, sync::Arc};

use super::{
    Scheduler,
    delivery::Dispatch,
    events::{self, EndedRun},
    manifest::{ComponentKind, Manifest, lacks_credential},
    playbook_run::ServerPlaybook,
};
use crate::{
    domain::{
        job::target_hosts,
        schedule::{Recurrence, Schedule, expiration_seconds},
    },
    repositories::{
        Store, StoreError, UnitOfWork as _,
        activity_history::{ActivityHistory as _, NewActivity},
        job_runs::{JobRun, JobRuns, NewRun, NewRunActivity, status},
        recaps::{Recaps as _, ServerRun},
        scheduled_jobs::{ScheduledJob, ScheduledJobs as _},
    },
};

/// What a tick finds to do for a job.
#[derive(Debug, Default, Eq, PartialEq)]
struct Plan {
    /// The occurrence, in seconds.
    occurrence: i64,
    /// Hosts on which it starts.
    start: Vec<String>,
    /// Hosts that stayed away too long.
    expire: Vec<String>,
}

/// A run that was made, with the activities of its components in the order of the manifest.
struct Begun {
    run: JobRun,
    activities: Vec<(usize, i64)>,
    server_runs: Vec<ServerPlaybook>,
}

impl<S: Store> Scheduler<S> {
    /// Looks at every job that is on. A job that fails is logged and the next one looked at.
    pub(super) async fn work_on_jobs(self: &Arc<Self>, now: i64) {
        let jobs = match self.enabled_jobs().await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::error!("[Scheduler] jobs cannot be read: {error}");
                return;
            }
        };
        for job in jobs {
            if let Err(error) = self.work_on(&job, now).await {
                tracing::error!("[Scheduler] job {}: {error}", job.id);
            }
        }
    }

    async fn enabled_jobs(&self) -> Result<Vec<ScheduledJob>, StoreError> {
        self.store.view().await?.enabled_jobs().await
    }

    async fn work_on(self: &Arc<Self>, job: &ScheduledJob, now: i64) -> Result<(), StoreError> {
        let Some(targets) = &job.targets else {
            tracing::warn!("[Scheduler] job {}: its targets are unreadable", job.id);
            return Ok(());
        };
        let mut known = HashSet::new();
        let mut hosts = target_hosts(targets);
        hosts.retain(|host| known.insert(host.clone()));
        let mut view = self.store.view().await?;
        let Some(open) = open_hosts(&mut view, job, &hosts, now).await? else {
            return Ok(());
        };
        drop(view);
        let online = self.channel.online_among(&open.start).await;
        if plan(job, &open, &online, now)
            == (Plan {
                occurrence: open.occurrence,
                ..Plan::default()
            })
        {
            return Ok(());
        }
        let manifest = if online.is_empty() || lacks_credential(job) {
            Manifest::default()
        } else {
            self.manifests().build(job).await
        };

        let mut work = self.store.begin().await?;
        // Looked at again where nobody else can write: an occurrence starts on a host once.
        let Some(job) = work.find_job(job.id).await?.filter(|job| job.enabled) else {
            return Ok(());
        };
        let Some(open) = open_hosts(&mut work, &job, &hosts, now).await? else {
            return Ok(());
        };
        let plan = plan(&job, &open, &online, now);
        let mut begun = Vec::new();
        let mut failed = Vec::new();
        for host in &plan.start {
            match self
                .begin_run(&mut work, &job, host, plan.occurrence, &manifest, now)
                .await?
            {
                Ok(run) => begun.push(run),
                Err(run) => failed.push(run),
            }
        }
        for host in &plan.expire {
            let run = NewRun {
                job_id: job.id,
                hostname: host,
                occurrence: plan.occurrence,
                started: false,
                finished: true,
                status: status::EXPIRED,
                error: Some("Device offline"),
            };
            let id = work.insert_run(&run, now).await?;
            tracing::warn!(
                "[Scheduler] run {id} of job {} expired: {} is offline",
                job.id,
                host.escape_debug()
            );
        }
        work.save().await?;
        self.send_out(&job, &manifest, begun, failed).await;
        Ok(())
    }

    /// Makes the rows of a run; those of one that cannot begin are its end as well.
    async fn begin_run(
        &self,
        work: &mut S::Work,
        job: &ScheduledJob,
        host: &str,
        occurrence: i64,
        manifest: &Manifest,
        now: i64,
    ) -> Result<Result<Begun, JobRun>, StoreError> {
        let error = if lacks_credential(job) {
            Some("Credential required for remote execution".to_owned())
        } else if manifest.components.is_empty() {
            // The legacy takes it for a success half a minute later (SCH-4).
            Some(if manifest.fallen_out.is_empty() {
                "The job has nothing to run".to_owned()
            } else {
                manifest.fallen_out.join("; ")
            })
        } else {
            None
        };
        let word = if error.is_some() {
            status::FAILED
        } else {
            status::RUNNING
        };
        let row = NewRun {
            job_id: job.id,
            hostname: host,
            occurrence,
            started: true,
            finished: error.is_some(),
            status: word,
            error: error.as_deref(),
        };
        let run = JobRun {
            id: work.insert_run(&row, now).await?,
            job_id: job.id,
            hostname: Some(host.to_owned()),
            scheduled_ts: Some(occurrence),
            started_ts: Some(now),
            finished_ts: error.is_some().then_some(now),
            status: word.to_owned(),
            error: error.unwrap_or_default(),
        };
        if run.status == status::FAILED {
            tracing::warn!(
                "[Scheduler] run {} of job {} failed: {}",
                run.id,
                job.id,
                run.error.escape_debug()
            );
            return Ok(Err(run));
        }
        let mut begun = Begun {
            run,
            activities: Vec::new(),
            server_runs: Vec::new(),
        };
        for (place, component) in manifest.components.iter().enumerate() {
            let activity = NewActivity {
                hostname: Some(host),
                script_path: &component.path,
                script_name: &component.name,
                script_type: component.kind.script_type(),
            };
            let activity_id = work.insert_activity(&activity, now).await?;
            let link = NewRunActivity {
                run_id: begun.run.id,
                activity_id,
                component_kind: component.kind.word(),
                script_type: component.kind.script_type(),
                component_path: &component.path,
                component_name: &component.name,
            };
            work.link_activity(&link, now).await?;
            if component.kind == ComponentKind::ServerPlaybook {
                let playbook = ServerPlaybook {
                    run_id: self.new_run_id(),
                    hostname: host.to_owned(),
                    path: component.path.clone(),
                    text: component.text.clone(),
                    values: component.values.clone(),
                    timeout_seconds: component.timeout_seconds,
                    credential_id: job.credential_id.unwrap_or(0),
                };
                let recap = ServerRun {
                    run_id: &playbook.run_id,
                    hostname: host,
                    playbook_path: &component.path,
                    playbook_name: &component.name,
                    scheduled: Some((job.id, begun.run.id)),
                    activity_id: Some(activity_id),
                };
                work.begin_server_run(&recap, now).await?;
                begun.server_runs.push(playbook);
            } else {
                work.note_undelivered(activity_id, component.index).await?;
                begun.activities.push((place, activity_id));
            }
        }
        Ok(Ok(begun))
    }

    /// Sends what was begun, after its rows are safe.
    async fn send_out(
        self: &Arc<Self>,
        job: &ScheduledJob,
        manifest: &Manifest,
        begun: Vec<Begun>,
        failed: Vec<JobRun>,
    ) {
        for one in begun {
            for (place, activity_id) in &one.activities {
                if let Some(component) = manifest.components.get(*place) {
                    self.deliver(&Dispatch {
                        component,
                        run: &one.run,
                        activity_id: *activity_id,
                    })
                    .await;
                }
            }
            for playbook in one.server_runs {
                let playbooks = Arc::clone(&self.playbooks);
                self.tasks.spawn(async move { playbooks.run(playbook).await });
            }
            tracing::info!(
                "[Scheduler] run {} of job {} started on {} for occurrence {}",
                one.run.id,
                job.id,
                one.run.hostname.as_deref().unwrap_or_default().escape_debug(),
                one.run.scheduled_ts.unwrap_or(0)
            );
            events::run_started(&*self.channel, &one.run, &job.schedule_type).await;
        }
        for run in failed {
            let ended = EndedRun {
                run,
                schedule_type: job.schedule_type.clone(),
            };
            events::run_completed(&*self.channel, &ended).await;
        }
    }
}

/// The occurrence that a job is to be worked on now, and in `start` those of its hosts that have no run in it and no
/// open run of an earlier one. `None` where no occurrence is due.
async fn open_hosts<T: JobRuns>(
    tables: &mut T,
    job: &ScheduledJob,
    hosts: &[String],
    now: i64,
) -> Result<Option<Plan>, StoreError> {
    let last = tables.latest_occurrence(job.id).await?;
    let schedule = Schedule {
        recurrence: Recurrence::parse(&job.schedule_type),
        start: job.start_ts,
        last,
    };
    let created = job.created_at.filter(|created| *created != 0);
    let due = schedule.due(created, now);
    // A recurring job leaves an occurrence when the next one is due, whatever became of it (SCH-3).
    let Some(occurrence) = due.or_else(|| last.filter(|last| *last != 0 && schedule.still_open(now))) else {
        return Ok(None);
    };
    let runs = tables.runs_of_occurrence(job.id, occurrence).await?;
    let mut taken: HashSet<String> = runs.into_iter().filter_map(|run| run.hostname).collect();
    // A host is not given work twice at a time.
    taken.extend(tables.busy_hosts(job.id).await?);
    Ok(Some(Plan {
        occurrence,
        start: hosts
            .iter()
            .filter(|host| !taken.contains(*host))
            .cloned()
            .collect(),
        expire: Vec::new(),
    }))
}

/// Parts the open hosts into those that start and those that stayed away too long; the others wait.
fn plan(job: &ScheduledJob, open: &Plan, online: &HashSet<String>, now: i64) -> Plan {
    let expired = job
        .expiration
        .as_deref()
        .and_then(expiration_seconds)
        .is_some_and(|limit| open.occurrence.saturating_add(limit) <= now);
    let (start, away): (Vec<_>, Vec<_>) = open.start.iter().cloned().partition(|host| online.contains(host));
    Plan {
        occurrence: open.occurrence,
        start,
        expire: if expired { away } else { Vec::new() },
    }
}
