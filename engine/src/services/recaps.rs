//! Playbooks' recaps: agents report how far a playbook is, operators look.

use std::sync::Arc;

use super::{
    Environment,
    scheduler::{
        channel::AgentChannel,
        events::{self, EndedRun},
        life,
        playbook_end::recap_json,
    },
};
use crate::{
    builders::recaps::RecapReport,
    domain::{guid::Guid, json::Json, text::python_trim},
    repositories::{
        Store, StoreError, UnitOfWork as _,
        activity_history::ActivityHistory as _,
        devices::Devices as _,
        job_runs::JobRuns as _,
        recaps::{Recap, Recaps as _},
        undelivered_work::UndeliveredWork as _,
    },
};

/// Who reports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reporter {
    /// An operator, or anybody where nobody is checked.
    Anybody,
    /// A device: it reports of its own host only (ASM-1).
    Device(Guid),
}

/// Why a report is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RecapError {
    /// It is about another device's host.
    #[error("the report is about another host")]
    AnotherHost,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps recaps.
#[derive(Debug)]
pub struct RecapService<S> {
    store: S,
    environment: Environment,
    channel: Arc<dyn AgentChannel>,
}

impl<S: Store> RecapService<S> {
    /// Over this store.
    pub fn new(store: S, environment: Environment, channel: Arc<dyn AgentChannel>) -> Self {
        Self {
            store,
            environment,
            channel,
        }
    }

    /// Stores a report, moves the activity and the scheduled run that it names, and tells operators.
    ///
    /// # Errors
    /// [`RecapError`]; nothing is written then.
    pub async fn report(&self, reporter: &Reporter, report: &RecapReport) -> Result<Recap, RecapError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        let own_host = match reporter {
            Reporter::Anybody => None,
            Reporter::Device(guid) => {
                let device = work.find_device(guid.as_str()).await?;
                Some(
                    device
                        .and_then(|device| device.hostname)
                        .ok_or(RecapError::AnotherHost)?,
                )
            }
        };
        let stored = work.find_recap(&report.run_id).await?;
        let recap = merged(stored.clone().unwrap_or_default(), report, now);
        let hosts = [
            report.hostname.as_deref(),
            stored.as_ref().and_then(|recap| recap.hostname.as_deref()),
        ];
        let is_own = |host: &str| own_host.as_deref().is_none_or(|own| same_host(own, host));
        if !hosts.into_iter().flatten().all(is_own) {
            return Err(RecapError::AnotherHost);
        }
        work.store_recap(&recap).await?;
        let mirrored = self.move_activity(&mut work, &recap, report, is_own).await?;
        let ended = self.move_run(&mut work, report, is_own, now).await?;
        let recap = work.find_recap(&report.run_id).await?.unwrap_or(recap);
        work.save().await?;
        crate::services::audit::changed("recap.stored", &report.run_id);
        self.channel
            .tell_operators("ansible_recap_update", &recap_json(&recap))
            .await;
        if let Some(activity_id) = mirrored {
            let payload = Json::object([
                ("hostname", recap.hostname.clone().unwrap_or_default().into()),
                ("activity_id", activity_id.into()),
                ("status", recap.status.clone().unwrap_or_default().into()),
                ("change", "updated".into()),
                ("source", "ansible".into()),
            ]);
            self.channel
                .tell_operators("device_activity_changed", &payload)
                .await;
        }
        if let Some(ended) = ended {
            events::run_completed(&*self.channel, &ended).await;
        }
        Ok(recap)
    }

    /// The recap's activity, once named, follows every report (ASM-22); one of another host does not. Says its id.
    async fn move_activity(
        &self,
        work: &mut S::Work,
        recap: &Recap,
        report: &RecapReport,
        is_own: impl Fn(&str) -> bool,
    ) -> Result<Option<i64>, StoreError> {
        let Some(id) = recap.activity_job_id.filter(|id| *id != 0) else {
            return Ok(None);
        };
        let activity = work.find_activity(id).await?;
        if let Some(host) = activity.and_then(|activity| activity.hostname) {
            let fits = recap.hostname.as_deref().is_none_or(|own| same_host(own, &host));
            if !fits || !is_own(&host) {
                tracing::warn!(
                    "a recap of {} names activity {id} of another host",
                    recap.run_id.escape_debug()
                );
                return Ok(None);
            }
        }
        work.note_delivered(id).await?;
        let run = work.run_of_activity(id).await?;
        let status = report.status.as_deref();
        // An activity whose run has ended does not run again (SCH-17).
        let status = status.filter(|word| !run.is_some_and(|run| life::is_late(&run, word)));
        work.store_progress(id, status, report.recap_text.as_deref())
            .await?;
        Ok(Some(id))
    }

    /// A report without a status leaves the run alone (ASM-23).
    async fn move_run(
        &self,
        work: &mut S::Work,
        report: &RecapReport,
        is_own: impl Fn(&str) -> bool,
        now: i64,
    ) -> Result<Option<EndedRun>, StoreError> {
        let named = |id: Option<i64>| id.filter(|id| *id != 0);
        let (Some(job), Some(run), Some(status)) = (
            named(report.scheduled_job_id),
            named(report.scheduled_run_id),
            &report.status,
        ) else {
            return Ok(None);
        };
        let Some(mut run) = work.find_run(run).await?.filter(|run| run.job_id == job) else {
            return Ok(None);
        };
        if !run.hostname.as_deref().is_none_or(is_own) {
            return Ok(None);
        }
        if status.to_lowercase() == "running" {
            run.started_ts = run.started_ts.or(report.started_ts).or(Some(now));
        } else {
            run.finished_ts = report.finished_ts.or(run.finished_ts);
        }
        life::report(work, run, status, now).await
    }

    /// The recaps, of exactly this host where one is named, the one changed last first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, hostname: Option<&str>, limit: i64) -> Result<Vec<Recap>, StoreError> {
        self.store.view().await?.list_recaps(hostname, limit).await
    }

    /// One recap.
    ///
    /// # Errors
    /// The store failed.
    pub async fn find(&self, id: i64) -> Result<Option<Recap>, StoreError> {
        self.store.view().await?.find_recap_by_id(id).await
    }

    /// The recap of an activity that was changed last.
    ///
    /// # Errors
    /// The store failed.
    pub async fn of_activity(&self, activity_id: i64) -> Result<Option<Recap>, StoreError> {
        self.store.view().await?.recap_of_activity(activity_id).await
    }
}

fn same_host(one: &str, other: &str) -> bool {
    python_trim(one).to_lowercase() == python_trim(other).to_lowercase()
}

/// Each given value replaces, each other stays.
fn merged(stored: Recap, report: &RecapReport, now: i64) -> Recap {
    fn text(given: &Option<String>, stored: Option<String>) -> Option<String> {
        given.clone().or(stored)
    }
    Recap {
        id: stored.id,
        run_id: report.run_id.clone(),
        hostname: text(&report.hostname, stored.hostname),
        agent_id: text(&report.agent_id, stored.agent_id),
        playbook_path: text(&report.playbook_path, stored.playbook_path),
        playbook_name: text(&report.playbook_name, stored.playbook_name),
        scheduled_job_id: report.scheduled_job_id.or(stored.scheduled_job_id),
        scheduled_run_id: report.scheduled_run_id.or(stored.scheduled_run_id),
        activity_job_id: report.activity_job_id.or(stored.activity_job_id),
        status: text(&report.status, stored.status),
        recap_text: text(&report.recap_text, stored.recap_text),
        recap_json: text(&report.recap_json, stored.recap_json),
        started_ts: report.started_ts.or(stored.started_ts),
        finished_ts: report.finished_ts.or(stored.finished_ts),
        created_at: stored.created_at.or(Some(now)),
        updated_at: Some(now),
    }
}
