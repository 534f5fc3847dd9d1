//! Which jobs run now, and on which hosts.

use std::{collections::HashSet, sync::Arc};

use super::{
    Scheduler,
    delivery::QUARANTINED,
    events::{self, EndedRun},
    manifest::{Component, ComponentKind, Manifest, lacks_credential},
    plan::{OpenHosts, Turn, open_hosts, turns},
    playbook_run::ServerPlaybook,
    redelivery::Dispatch,
    run_status,
};
use crate::{
    domain::{
        activity::NewActivity,
        guid::Guid,
        job_runs::{JobRun, NewRun, NewRunActivity, status},
        measures,
        playbooks::ServerRun,
        schedule::expiration_seconds,
        scheduled_jobs::ScheduledJob,
        undelivered_work::{NewUndelivered, Source},
        work_devices::BoundTo,
    },
    repositories::{StoreError, UnitOfWork},
    services::hosts::HostDevice,
};

/// Where and when a run is to begin.
struct Start<'a> {
    host: &'a str,
    device: HostDevice,
    occurrence: i64,
    now: i64,
}

/// A run that was made, with the activities of its components in the order of the manifest.
struct Begun {
    run: JobRun,
    /// For whom its work is.
    device: Option<Guid>,
    activities: Vec<(usize, i64)>,
    server_runs: Vec<ServerPlaybook>,
}

impl Scheduler {
    /// Looks at every job that is on. A job that fails is logged and the next one looked at.
    pub(super) async fn work_on_jobs(self: &Arc<Self>, now: i64) {
        let jobs = match self.enabled_jobs().await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::error!(%error, "[Scheduler] jobs cannot be read");
                return;
            }
        };
        let mut open = Vec::new();
        for job in jobs {
            match self.plan_of(&job, now).await {
                Ok(Some(plan)) if !plan.hosts.is_empty() => open.push((job, plan)),
                Ok(_) => {}
                Err(error) => tracing::error!(
                    job_id = job.id,
                    %error,
                    "[Scheduler] a job cannot be looked at"
                ),
            }
        }
        // Asked once for all jobs: it may take a look at the whole fleet.
        let hosts: HashSet<_> = open.iter().flat_map(|(_, plan)| &plan.hosts).collect();
        let hosts: Vec<_> = hosts.into_iter().cloned().collect();
        let mut ready = self.channel.online_among(&hosts).await;
        match self.quarantined_among(&hosts).await {
            Ok(quarantined) => ready.extend(quarantined),
            Err(error) => tracing::error!(%error, "[Scheduler] quarantined devices cannot be read"),
        }
        for (job, plan) in open {
            if let Err(error) = self.work_on(&job, &plan, &ready, now).await {
                tracing::error!(job_id = job.id, %error, "[Scheduler] a job cannot be looked at");
            }
        }
    }

    /// Those of these hosts whose runs end as soon as they begin.
    async fn quarantined_among(&self, hosts: &[String]) -> Result<Vec<String>, StoreError> {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let mut view = self.store.view().await?;
        let devices = self.hosts.devices(&mut *view, &hosts).await?;
        let quarantined = devices.into_iter().filter(|(_, device)| device.is_quarantined);
        Ok(quarantined.map(|(host, _)| host).collect())
    }

    async fn enabled_jobs(&self) -> Result<Vec<ScheduledJob>, StoreError> {
        self.store.view().await?.enabled_jobs().await
    }

    async fn plan_of(&self, job: &ScheduledJob, now: i64) -> Result<Option<OpenHosts>, StoreError> {
        if !job.can_be_worked_on() {
            tracing::warn!(job_id = job.id, "[Scheduler] the components of a job are no list");
            return Ok(None);
        }
        if job.targets.is_none() {
            tracing::warn!(job_id = job.id, "[Scheduler] the targets of a job are unreadable");
        }
        open_hosts(&mut *self.store.view().await?, job, now).await
    }

    async fn work_on(
        self: &Arc<Self>,
        job: &ScheduledJob,
        open: &OpenHosts,
        ready: &HashSet<String>,
        now: i64,
    ) -> Result<(), StoreError> {
        let wanted = turns(job, open, ready, now);
        if wanted.is_empty() {
            return Ok(());
        }
        let starts = wanted.iter().any(|(_, turn)| *turn == Turn::Start);
        let manifest = if !starts || lacks_credential(job) {
            Manifest::default()
        } else {
            self.manifests().build(job).await
        };

        let mut work = self.store.begin().await?;
        // Looked at again where nobody else can write: an occurrence starts on a host once. A job that was changed
        // since is left to the next tick.
        if work.find_job(job.id).await?.as_ref() != Some(job) {
            return Ok(());
        }
        let Some(open) = open_hosts(&mut *work, job, now).await? else {
            return Ok(());
        };
        let turns = turns(job, &open, ready, now);
        let starting = turns.iter().filter(|(_, turn)| *turn == Turn::Start);
        let starting: Vec<&str> = starting.map(|(host, _)| *host).collect();
        let mut devices = self.hosts.devices(&mut *work, &starting).await?;
        let (mut begun, mut failed, mut expired) = (Vec::new(), Vec::new(), 0);
        // In the order of the targets, so that runs have the legacy's ids.
        for (host, turn) in turns {
            match turn {
                Turn::Start => {
                    let start = Start {
                        host,
                        device: devices.remove(host).unwrap_or_default(),
                        occurrence: open.occurrence,
                        now,
                    };
                    match self.begin_run(&mut *work, job, start, &manifest).await? {
                        Ok(run) => begun.push(run),
                        Err(run) => failed.push(run),
                    }
                }
                Turn::Expire => {
                    run_status::expire(&mut *work, job.id, host, open.occurrence, now).await?;
                    expired += 1;
                }
            }
        }
        work.save().await?;
        for _ in 0..expired {
            measures::run_ended(status::EXPIRED);
        }
        self.send_out(job, &manifest, begun, failed).await;
        Ok(())
    }

    /// Makes the rows of a run; those of one that cannot begin are its end as well.
    async fn begin_run(
        &self,
        work: &mut dyn UnitOfWork,
        job: &ScheduledJob,
        start: Start<'_>,
        manifest: &Manifest,
    ) -> Result<Result<Begun, JobRun>, StoreError> {
        let Start {
            host,
            device,
            occurrence,
            now,
        } = start;
        let error = cannot_begin(job, &device, manifest);
        let waits = manifest
            .components
            .iter()
            .all(|component| component.kind == ComponentKind::ServerPlaybook);
        let word = if error.is_some() {
            status::FAILED
        } else if waits {
            // It runs from the moment its first process does.
            status::PENDING
        } else {
            status::RUNNING
        };
        let row = NewRun {
            job_id: job.id,
            hostname: host,
            occurrence,
            started: word != status::PENDING,
            finished: error.is_some(),
            status: word,
            error: error.as_deref(),
        };
        let run = JobRun {
            id: work.insert_run(&row, now).await?,
            job_id: job.id,
            hostname: Some(host.to_owned()),
            scheduled_ts: Some(occurrence),
            started_ts: (word != status::PENDING).then_some(now),
            finished_ts: error.is_some().then_some(now),
            status: word.to_owned(),
            error: error.unwrap_or_default(),
        };
        if run.status == status::FAILED {
            tracing::warn!(
                run_id = run.id,
                job_id = job.id,
                error = %run.error.escape_debug(),
                "[Scheduler] a run failed"
            );
            return Ok(Err(run));
        }
        let for_device = device.binding();
        let mut begun = Begun {
            run,
            device: device.guid,
            activities: Vec::new(),
            server_runs: Vec::new(),
        };
        for (place, component) in manifest.components.iter().enumerate() {
            let activity = NewActivity {
                hostname: Some(host),
                script_path: &component.path,
                script_name: &component.name,
                script_type: component.kind.script_type(),
                bound_to: match component.kind {
                    ComponentKind::Script | ComponentKind::Playbook => &for_device,
                    ComponentKind::ServerPlaybook => &BoundTo::Nobody,
                },
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
                let playbook = self.server_playbook(job, host, component, occurrence);
                begin_on_server(
                    work,
                    &playbook,
                    component,
                    (job.id, begun.run.id),
                    activity_id,
                    now,
                )
                .await?;
                begun.server_runs.push(playbook);
            } else {
                work.note_undelivered(&NewUndelivered {
                    activity_id,
                    source: Source::Component(component.index),
                })
                .await?;
                begun.activities.push((place, activity_id));
            }
        }
        Ok(Ok(begun))
    }

    fn server_playbook(
        &self,
        job: &ScheduledJob,
        host: &str,
        component: &Component,
        occurrence: i64,
    ) -> ServerPlaybook {
        let expiration = job.expiration.as_deref().and_then(expiration_seconds);
        ServerPlaybook {
            run_id: self.new_run_id(),
            hostname: host.to_owned(),
            path: component.path.clone(),
            text: Arc::clone(&component.text),
            values: Arc::clone(&component.values),
            timeout_seconds: component.timeout_seconds,
            job_id: Some(job.id),
            expiration: expiration.filter(|seconds| *seconds != 0),
            // As the run of a host that is offline.
            waits_until: expiration.map(|seconds| occurrence.saturating_add(seconds)),
            credential_id: job.credential_id.unwrap_or(0),
        }
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
                        device: one.device.as_ref(),
                        activity_id: *activity_id,
                    })
                    .await;
                }
            }
            for playbook in one.server_runs {
                self.playbooks.begin(playbook);
            }
            let is_pending = one.run.status == status::PENDING;
            tracing::info!(
                run_id = one.run.id,
                job_id = job.id,
                host = %one.run.hostname.as_deref().unwrap_or_default().escape_debug(),
                occurrence = one.run.scheduled_ts.unwrap_or(0),
                "[Scheduler] a run {}",
                if is_pending { "waits for its turn" } else { "started" }
            );
            if !is_pending {
                events::run_started(&*self.channel, &one.run, &job.schedule_type).await;
            }
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

/// Why the run of a job cannot begin on a host, if it cannot.
fn cannot_begin(job: &ScheduledJob, device: &HostDevice, manifest: &Manifest) -> Option<String> {
    if device.is_quarantined {
        Some(QUARANTINED.to_owned())
    } else if lacks_credential(job) {
        Some("Credential required for remote execution".to_owned())
    } else if manifest.refused.is_some() {
        manifest.refused.clone()
    } else if manifest.components.is_empty() {
        // The legacy takes it for a success half a minute later (SCH-4).
        Some(if manifest.left_out.is_empty() {
            "The job has nothing to run".to_owned()
        } else {
            manifest.left_out.join("; ")
        })
    } else {
        None
    }
}

/// Makes the rows of a playbook that waits for its turn on the server. `scheduled` are the ids of job and run.
async fn begin_on_server(
    work: &mut dyn UnitOfWork,
    playbook: &ServerPlaybook,
    component: &Component,
    scheduled: (i64, i64),
    activity_id: i64,
    now: i64,
) -> Result<(), StoreError> {
    let run = ServerRun {
        run_id: &playbook.run_id,
        hostname: &playbook.hostname,
        playbook_path: &component.path,
        playbook_name: &component.name,
        scheduled: Some(scheduled),
        activity_id: Some(activity_id),
    };
    work.begin_server_run(&run, now).await?;
    work.store_progress(activity_id, Some(status::PENDING), None)
        .await?;
    Ok(())
}
