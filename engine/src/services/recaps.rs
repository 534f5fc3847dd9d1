//! Playbooks' recaps: agents report how far a playbook is, operators look.

use std::sync::Arc;

use super::{
    Environment,
    hosts::HostRules,
    scheduler::{
        channel::AgentChannel,
        events::{self, EndedRun},
        life,
        playbook_end::RecapView,
    },
};
use crate::{
    domain::{
        agent_id::{NamedDevice, named_device, names_device},
        guid::Guid,
        host_name::same_host,
        json::Json,
        mask::shown,
        recaps::{Recap, RecapReport, SERVER},
    },
    repositories::{Store, StoreError, UnitOfWork},
    services::audit,
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
pub struct RecapService {
    store: Arc<dyn Store>,
    environment: Environment,
    hosts: HostRules,
    channel: Arc<dyn AgentChannel>,
}

impl RecapService {
    /// Over this store.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        hosts: HostRules,
        channel: Arc<dyn AgentChannel>,
    ) -> Self {
        Self {
            store,
            environment,
            hosts,
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
        let stored = work.find_recap(&report.run_id).await?;
        let own_host = match reporter {
            Reporter::Anybody => None,
            Reporter::Device(guid) => Some(
                self.own_host(&mut *work, guid, report, stored.as_ref())
                    .await
                    .inspect_err(|error| {
                        tracing::warn!("recap of {} refused guid={guid}: {error}", shown(&report.run_id));
                    })?,
            ),
        };
        let is_the_servers = stored
            .as_ref()
            .is_some_and(|recap| recap.reported.agent_id.as_deref() == Some(SERVER));
        if own_host.is_some() && is_the_servers {
            // What the server itself runs is not for a device to tell of.
            return Err(RecapError::AnotherHost);
        }
        let mut recap = merged(stored.unwrap_or_default(), report, now);
        // A report names its device, whatever it says or does not say of the host.
        recap.reported.hostname = own_host.or(recap.reported.hostname);
        work.store_recap(&recap).await?;
        let mirrored = self.move_activity(&mut *work, reporter, &recap, report).await?;
        let ended = self.move_run(&mut *work, report, now).await?;
        let recap = work.find_recap(&report.run_id).await?.unwrap_or(recap);
        work.save().await?;
        audit::changed("recap.stored", &report.run_id);
        self.channel
            .tell_operators("ansible_recap_update", &Json::of(&RecapView::from(recap.clone())))
            .await;
        if let Some(activity_id) = mirrored {
            let payload = Json::object([
                (
                    "hostname",
                    recap.reported.hostname.clone().unwrap_or_default().into(),
                ),
                ("activity_id", activity_id.into()),
                ("status", recap.reported.status.clone().unwrap_or_default().into()),
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

    /// The name of the device that reports, where the report is about it: about the host that it is, or was when its work
    /// began, about work that was begun for it, and about no run of the server's.
    async fn own_host(
        &self,
        work: &mut dyn UnitOfWork,
        guid: &Guid,
        report: &RecapReport,
        stored: Option<&Recap>,
    ) -> Result<String, RecapError> {
        let device = work.find_device(guid.as_str()).await?;
        let own = device
            .and_then(|device| device.hostname)
            .ok_or(RecapError::AnotherHost)?;
        let agents = [
            report.agent_id.as_deref(),
            stored.and_then(|recap| recap.reported.agent_id.as_deref()),
        ];
        let is_others = |agent_id: &str| {
            agent_id == SERVER || named_device(agent_id) != NamedDevice::None && !names_device(agent_id, guid)
        };
        if agents.into_iter().flatten().any(is_others) {
            return Err(RecapError::AnotherHost);
        }
        let activities = [
            report.activity_job_id,
            stored.and_then(|recap| recap.reported.activity_job_id),
        ];
        let mut is_bound = false;
        for id in activities.into_iter().flatten().filter(|id| *id != 0) {
            is_bound |= self.check_activity(work, guid, id).await?;
        }
        let runs = [
            report.scheduled_run_id,
            stored.and_then(|recap| recap.reported.scheduled_run_id),
        ];
        for id in runs.into_iter().flatten().filter(|id| *id != 0) {
            self.check_run(work, guid, id).await?;
        }
        if is_bound {
            return Ok(own);
        }
        let names_another = report
            .hostname
            .as_deref()
            .is_some_and(|host| !same_host(&own, host));
        let stored_host = stored.and_then(|recap| recap.reported.hostname.as_deref());
        if names_another
            || stored_host.is_some() && !self.hosts.may_report(work, guid, None, stored_host).await?
        {
            return Err(RecapError::AnotherHost);
        }
        Ok(own)
    }

    /// Refuses another device's activity. Says whether it is noted as this device's.
    async fn check_activity(
        &self,
        work: &mut dyn UnitOfWork,
        guid: &Guid,
        id: i64,
    ) -> Result<bool, RecapError> {
        let bound = work.device_of_activity(id).await?;
        let activity = work.find_activity(id).await?;
        if bound.is_none() && activity.is_none() {
            return Ok(false);
        }
        let host = activity.and_then(|activity| activity.hostname);
        let is_own = self
            .hosts
            .may_report(work, guid, bound.as_ref(), host.as_deref())
            .await?;
        if is_own {
            Ok(bound.is_some())
        } else {
            Err(RecapError::AnotherHost)
        }
    }

    /// Refuses another device's run.
    async fn check_run(&self, work: &mut dyn UnitOfWork, guid: &Guid, id: i64) -> Result<(), RecapError> {
        let Some(run) = work.find_run(id).await? else {
            return Ok(());
        };
        let mut bound = work.devices_of_run(id).await?;
        if bound.is_empty() {
            bound.push(None);
        }
        for bound in &bound {
            let host = run.hostname.as_deref();
            if !self.hosts.may_report(work, guid, bound.as_ref(), host).await? {
                return Err(RecapError::AnotherHost);
            }
        }
        Ok(())
    }

    /// The recap's activity, once named, follows every report (ASM-22); one of another host does not. Says its id.
    async fn move_activity(
        &self,
        work: &mut dyn UnitOfWork,
        reporter: &Reporter,
        recap: &Recap,
        report: &RecapReport,
    ) -> Result<Option<i64>, StoreError> {
        let Some(id) = recap.reported.activity_job_id.filter(|id| *id != 0) else {
            return Ok(None);
        };
        let activity = work.find_activity(id).await?;
        if let Some(activity) = activity {
            let host = activity.hostname.as_deref();
            // A device's report was checked before it was stored.
            let fits = match (reporter, &recap.reported.hostname, host) {
                (Reporter::Anybody, Some(own), Some(host)) => same_host(own, host),
                _ => true,
            };
            if !fits {
                tracing::warn!(
                    "a recap of {} names activity {id} of another host",
                    shown(&recap.reported.run_id)
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
        work: &mut dyn UnitOfWork,
        report: &RecapReport,
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

/// Each given value replaces, each other stays.
fn merged(stored: Recap, report: &RecapReport, now: i64) -> Recap {
    fn text(given: &Option<String>, stored: Option<String>) -> Option<String> {
        given.clone().or(stored)
    }
    let before = stored.reported;
    Recap {
        id: stored.id,
        reported: RecapReport {
            run_id: report.run_id.clone(),
            hostname: text(&report.hostname, before.hostname),
            agent_id: text(&report.agent_id, before.agent_id),
            playbook_path: text(&report.playbook_path, before.playbook_path),
            playbook_name: text(&report.playbook_name, before.playbook_name),
            scheduled_job_id: report.scheduled_job_id.or(before.scheduled_job_id),
            scheduled_run_id: report.scheduled_run_id.or(before.scheduled_run_id),
            activity_job_id: report.activity_job_id.or(before.activity_job_id),
            status: text(&report.status, before.status),
            recap_text: text(&report.recap_text, before.recap_text),
            recap_json: text(&report.recap_json, before.recap_json),
            started_ts: report.started_ts.or(before.started_ts),
            finished_ts: report.finished_ts.or(before.finished_ts),
        },
        created_at: stored.created_at.or(Some(now)),
        updated_at: Some(now),
    }
}
