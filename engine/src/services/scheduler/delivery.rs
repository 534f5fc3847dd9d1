//! Gets work to agents: handed over, confirmed, and handed over again when the agent is back.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::JoinSet;

use super::{
    Scheduler,
    channel::{PendingReceipt, Receipt},
    events, life,
    manifest::{Component, ComponentKind, Manifest},
};
use crate::{
    domain::{
        json::Json,
        random::random_uuid,
        schedule::{Recurrence, Schedule},
    },
    repositories::{
        Store, StoreError, UnitOfWork as _,
        job_runs::{JobRun, JobRuns as _, Undelivered, status},
        scheduled_jobs::{ScheduledJob, ScheduledJobs as _},
    },
};

/// Work for one host, its rows written.
#[derive(Debug)]
pub(super) struct Dispatch<'a> {
    /// What.
    pub(super) component: &'a Component,
    /// For which run.
    pub(super) run: &'a JobRun,
    /// The row in the activity history.
    pub(super) activity_id: i64,
}

/// Work that was handed over and whose receipt has not come.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    activities: Mutex<HashSet<i64>>,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.activities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Background work that ends with the server.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: Mutex<JoinSet<()>>,
}

impl Tasks {
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // What has ended is let go, so the set holds no more than what runs.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// How many have not ended.
    #[cfg(test)]
    pub(super) fn running(&self) -> usize {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    pub(super) fn abort(&self) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
    }
}

impl<S: Store> Scheduler<S> {
    /// The event of a dispatch.
    fn event(&self, dispatch: &Dispatch<'_>) -> (&'static str, Json) {
        let mut payload = dispatch.component.members.clone();
        let mut set = |name: &str, value: Json| {
            payload.insert(name.to_owned(), value);
        };
        let run = dispatch.run;
        set("target_hostname", run.hostname.clone().unwrap_or_default().into());
        let event = match dispatch.component.kind {
            ComponentKind::Script => {
                set("job_id", dispatch.activity_id.into());
                "quick_job_run"
            }
            ComponentKind::Playbook | ComponentKind::ServerPlaybook => {
                set("run_id", self.new_run_id().into());
                set("activity_job_id", dispatch.activity_id.into());
                set("scheduled_job_id", run.job_id.into());
                set("scheduled_run_id", run.id.into());
                "ansible_playbook_run"
            }
        };
        (event, payload.into())
    }

    /// A new id of a playbook's run: 32 hex digits.
    pub(super) fn new_run_id(&self) -> String {
        random_uuid(&*self.environment.random).simple().to_string()
    }

    /// Hands work to its agents. What does not arrive is handed over again by a later tick.
    pub(super) async fn deliver(self: &Arc<Self>, dispatch: &Dispatch<'_>) {
        let id = dispatch.activity_id;
        if !self.in_flight.lock().insert(id) {
            return;
        }
        let (event, payload) = self.event(dispatch);
        let hostname = dispatch.run.hostname.as_deref().unwrap_or_default();
        let receipt = self.channel.hand_over(hostname, event, &payload).await;
        self.tasks
            .spawn(Arc::clone(self).await_receipt(id, dispatch.run.id, receipt));
    }

    async fn await_receipt(self: Arc<Self>, activity_id: i64, run_id: i64, receipt: PendingReceipt) {
        match receipt.wait().await {
            Receipt::Arrived => {
                if let Err(error) = self.note_arrival(activity_id).await {
                    // Stays in flight: better that than to run the work twice.
                    tracing::error!("the arrival of activity {activity_id} is not stored: {error}");
                    return;
                }
            }
            Receipt::Unknown => {
                tracing::warn!(
                    "run {run_id}: the agent went away; activity {activity_id} is sent again when it is back"
                );
            }
            Receipt::NobodyThere => {
                tracing::warn!(
                    "run {run_id}: no agent is connected; activity {activity_id} is sent when one is"
                );
            }
        }
        self.in_flight.lock().remove(&activity_id);
    }

    async fn note_arrival(&self, activity_id: i64) -> Result<(), StoreError> {
        let mut work = self.store.begin().await?;
        work.note_delivered(activity_id).await?;
        work.save().await
    }

    /// Hands over again what did not arrive, also what an earlier start of the server left. Forgets what is not wanted
    /// any more.
    pub(super) async fn deliver_again(self: &Arc<Self>, now: i64) -> Result<(), StoreError> {
        let waiting = self.store.view().await?.undelivered().await?;
        let host_of = |note: &Undelivered| note.run.hostname.clone().unwrap_or_default();
        let hosts: Vec<_> = waiting
            .iter()
            .map(host_of)
            .collect::<HashSet<_>>()
            .into_iter()
            .collect();
        let online = self.channel.online_among(&hosts).await;
        let mut current: Option<(ScheduledJob, Option<Manifest>)> = None;
        for note in waiting {
            if self.in_flight.lock().contains(&note.activity_id) {
                continue;
            }
            if note.run.status != status::RUNNING || note.activity_status != status::RUNNING {
                self.note_arrival(note.activity_id).await?;
                continue;
            }
            if current.as_ref().is_none_or(|(job, _)| job.id != note.run.job_id) {
                let job = self.store.view().await?.find_job(note.run.job_id).await?;
                current = job.map(|job| (job, None));
            }
            let Some((job, manifest)) = &mut current else {
                self.give_up(&note, status::FAILED, "The job was deleted", now)
                    .await?;
                continue;
            };
            if is_left_behind(job, &note.run, now) {
                self.give_up(&note, status::EXPIRED, "Device offline", now)
                    .await?;
                continue;
            }
            if !job.enabled || !online.contains(&host_of(&note)) {
                continue;
            }
            let manifest = match manifest {
                Some(manifest) => manifest,
                None => manifest.insert(self.manifests().build(job).await),
            };
            let component = manifest
                .components
                .iter()
                .find(|one| one.index == note.component_index && one.path == note.component_path);
            match component {
                Some(component) => {
                    self.deliver(&Dispatch {
                        component,
                        run: &note.run,
                        activity_id: note.activity_id,
                    })
                    .await;
                }
                None => {
                    let reason = "The job was changed before its work reached the device";
                    self.give_up(&note, status::FAILED, reason, now).await?;
                }
            }
        }
        Ok(())
    }

    async fn give_up(
        &self,
        note: &Undelivered,
        word: &str,
        reason: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        use crate::repositories::activity_history::ActivityHistory as _;
        let mut work = self.store.begin().await?;
        work.note_delivered(note.activity_id).await?;
        work.store_result(note.activity_id, word, "", reason, None)
            .await?;
        let mut ended = None;
        if let Some(run) = work.find_run(note.run.id).await?
            && run.status == status::RUNNING
        {
            ended = Some(life::end(&mut work, run, word, reason, now).await?);
        }
        work.save().await?;
        tracing::warn!("run {} is given up: {reason}", note.run.id);
        if let Some(ended) = ended {
            events::run_completed(&*self.channel, &ended).await;
        }
        Ok(())
    }
}

/// Whether a recurring job's next occurrence has come due, so that this one is left.
fn is_left_behind(job: &ScheduledJob, run: &JobRun, now: i64) -> bool {
    let schedule = Schedule {
        recurrence: Recurrence::parse(&job.schedule_type),
        start: job.start_ts,
        last: run.scheduled_ts,
    };
    !schedule.still_open(now)
}
