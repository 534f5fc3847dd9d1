//! The work of scheduled jobs: sent when its run begins, and retried by ticks until it has arrived.

use std::{collections::HashSet, sync::Arc};

use super::{
    Scheduler,
    channel::Recipient,
    delivery::{Next, OFFLINE, QUARANTINED, WENT_AWAY, Work},
    manifest::{Component, ComponentKind, Manifest},
    payload::{playbook_event, script_event},
};
use crate::{
    domain::{
        guid::Guid,
        job_runs::{JobRun, status},
        json::Json,
        random::random_uuid,
        schedule::{Recurrence, Schedule},
        scheduled_jobs::ScheduledJob,
    },
    repositories::StoreError,
};

/// Work for one host, its rows written.
#[derive(Debug)]
pub(super) struct Dispatch<'a> {
    /// What is sent.
    pub(super) component: &'a Component,
    pub(super) run: &'a JobRun,
    pub(super) device: Option<&'a Guid>,
    /// The row in the activity history.
    pub(super) activity_id: i64,
}

impl Scheduler {
    fn event(&self, dispatch: &Dispatch<'_>) -> (&'static str, Json) {
        let run = dispatch.run;
        let members = &dispatch.component.members;
        let activity_id = dispatch.activity_id.into();
        let host: Json = run.hostname.clone().unwrap_or_default().into();
        match dispatch.component.kind {
            ComponentKind::Script => ("quick_job_run", script_event(activity_id, host, members.clone())),
            ComponentKind::Playbook | ComponentKind::ServerPlaybook => {
                let ids = [
                    ("activity_job_id", activity_id),
                    ("scheduled_job_id", run.job_id.into()),
                    ("scheduled_run_id", run.id.into()),
                ];
                let payload = playbook_event(self.new_run_id().into(), host, members, ids);
                ("ansible_playbook_run", payload)
            }
        }
    }

    /// A new id of a playbook's run: 32 hex digits.
    pub(super) fn new_run_id(&self) -> String {
        random_uuid(&*self.environment.random).simple().to_string()
    }

    /// Sends work to its agent. What does not arrive is retried by later ticks.
    pub(super) async fn deliver(self: &Arc<Self>, dispatch: &Dispatch<'_>) {
        let (event, payload) = self.event(dispatch);
        let work = Work {
            activity_id: dispatch.activity_id,
            recipient: Recipient {
                hostname: dispatch.run.hostname.as_deref().unwrap_or_default(),
                device: dispatch.device,
            },
            event,
            payload: &payload,
        };
        self.delivery.send(work).await;
    }

    /// Sends what did not arrive, also what an earlier start of the server left, and ends what will not arrive any
    /// more.
    pub(super) async fn deliver_again(self: &Arc<Self>, now: i64) -> Result<(), StoreError> {
        let waiting = self.store.view().await?.undelivered_components().await?;
        let host_of = |run: &JobRun| run.hostname.clone().unwrap_or_default();
        let hosts: HashSet<_> = waiting
            .iter()
            .filter_map(|note| note.run.as_ref())
            .map(host_of)
            .collect();
        let hosts: Vec<_> = hosts.into_iter().collect();
        let online = self.channel.online_among(&hosts).await;
        let mut current: Option<(ScheduledJob, Option<Manifest>)> = None;
        for note in waiting {
            let id = note.activity_id;
            let next = self
                .delivery
                .next_step(id, &note.activity_status, note.sends)
                .await?;
            if next == Next::Skip {
                continue;
            }
            let Some(run) = &note.run else {
                self.delivery
                    .give_up(id, status::FAILED, "The run was deleted")
                    .await?;
                continue;
            };
            if current.as_ref().is_none_or(|(job, _)| job.id != run.job_id) {
                let job = self.store.view().await?.find_job(run.job_id).await?;
                current = job.map(|job| (job, None));
            }
            let Some((job, manifest)) = &mut current else {
                self.delivery
                    .give_up(id, status::FAILED, "The job was deleted")
                    .await?;
                continue;
            };
            let device = {
                let mut view = self.store.view().await?;
                self.hosts.recipient(&mut *view, id, &host_of(run)).await?
            };
            if device.is_quarantined {
                self.delivery.give_up(id, status::FAILED, QUARANTINED).await?;
                continue;
            }
            if self.is_left_behind(job, run, now) {
                let (word, reason) = if note.sends == 0 {
                    (status::EXPIRED, OFFLINE)
                } else {
                    (status::FAILED, WENT_AWAY)
                };
                self.delivery.give_up(id, word, reason).await?;
                continue;
            }
            // Where devices are known, sending finds out whether this one is there, whatever it is called by now.
            let may_be_there = self.hosts.is_strict() || online.contains(&host_of(run));
            if !job.enabled || !may_be_there {
                continue;
            }
            let manifest = match manifest {
                Some(manifest) => manifest,
                None => manifest.insert(self.manifests().build(job).await),
            };
            if let Some(reason) = &manifest.refused {
                self.delivery.give_up(id, status::FAILED, reason).await?;
                continue;
            }
            let component = manifest
                .components
                .iter()
                .find(|one| one.index == note.component_index && one.path == note.component_path);
            let Some(component) = component else {
                let reason = "The job was changed before its work reached the device";
                self.delivery.give_up(id, status::FAILED, reason).await?;
                continue;
            };
            self.deliver(&Dispatch {
                component,
                run,
                device: device.guid.as_ref(),
                activity_id: id,
            })
            .await;
        }
        Ok(())
    }

    /// Whether an occurrence is left: a recurring job's next one has come due, or the run is older than runs are kept.
    fn is_left_behind(&self, job: &ScheduledJob, run: &JobRun, now: i64) -> bool {
        let schedule = Schedule {
            recurrence: Recurrence::parse(&job.schedule_type),
            start: job.start_ts,
            last: run.scheduled_ts,
        };
        let began = run.started_ts.or(run.scheduled_ts).unwrap_or(0);
        !schedule.still_open(now) || began < self.oldest_kept(now)
    }
}
