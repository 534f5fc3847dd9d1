//! Playbook runs: agents report how far a playbook is, operators look. The legacy calls such a report a recap.

use std::sync::Arc;

use super::{
    Environment,
    hosts::HostRules,
    scheduler::{
        channel::AgentChannel,
        events::{self, EndedRun},
        run_status,
    },
};
use crate::{
    domain::{
        agent_id::{NamedDevice, named_device, names_device},
        guid::Guid,
        host_name::same_host,
        mask::shown,
        playbooks::{PlaybookReport, PlaybookRun, SERVER},
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
pub enum PlaybookError {
    /// It is about another device's host.
    #[error("the report is about another host")]
    AnotherHost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores what is reported of playbook runs, and shows it.
#[derive(Debug)]
pub struct PlaybookService {
    store: Arc<dyn Store>,
    environment: Environment,
    hosts: HostRules,
    channel: Arc<dyn AgentChannel>,
}

impl PlaybookService {
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

    /// Stores a report, moves the activity and the scheduled run that it names, and notifies operators.
    ///
    /// # Errors
    /// [`PlaybookError`]; nothing is written then.
    pub async fn report(
        &self,
        reporter: &Reporter,
        report: &PlaybookReport,
    ) -> Result<PlaybookRun, PlaybookError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        let stored = work.find_playbook_run(&report.run_id).await?;
        let own_host = match reporter {
            Reporter::Anybody => None,
            Reporter::Device(guid) => Some(
                self.own_host(&mut *work, guid, report, stored.as_ref())
                    .await
                    .inspect_err(|error| {
                        tracing::warn!(
                            run_id = %shown(&report.run_id),
                            %guid,
                            %error,
                            "report of a playbook run refused"
                        );
                    })?,
            ),
        };
        let is_the_servers = stored
            .as_ref()
            .is_some_and(|playbook| playbook.reported.agent_id.as_deref() == Some(SERVER));
        if own_host.is_some() && is_the_servers {
            // No device may report on a playbook that the server runs itself.
            return Err(PlaybookError::AnotherHost);
        }
        let mut playbook = merged(stored.unwrap_or_default(), report, now);
        // The host is the authenticated device's, whatever the report names.
        playbook.reported.hostname = own_host.or(playbook.reported.hostname);
        work.store_playbook_run(&playbook).await?;
        let mirrored = self
            .move_activity(&mut *work, reporter, &playbook, report)
            .await?;
        let ended = self.move_run(&mut *work, report, now).await?;
        let playbook = work.find_playbook_run(&report.run_id).await?.unwrap_or(playbook);
        work.save().await?;
        audit::changed("recap.stored", &report.run_id);
        let status = playbook.reported.status.as_deref().unwrap_or_default();
        events::playbook_updated(&*self.channel, &playbook, mirrored, status).await;
        if let Some(ended) = ended {
            events::run_completed(&*self.channel, &ended).await;
        }
        Ok(playbook)
    }

    /// The name of the device that reports, where the report is about it: about the host that it is, or was when its
    /// work began, about work that was begun for it, and about no run of the server's.
    async fn own_host(
        &self,
        work: &mut dyn UnitOfWork,
        guid: &Guid,
        report: &PlaybookReport,
        stored: Option<&PlaybookRun>,
    ) -> Result<String, PlaybookError> {
        let device = work.find_device(guid.as_str()).await?;
        let own = device
            .and_then(|device| device.hostname)
            .ok_or(PlaybookError::AnotherHost)?;
        let agents = [
            report.agent_id.as_deref(),
            stored.and_then(|playbook| playbook.reported.agent_id.as_deref()),
        ];
        let is_others = |agent_id: &str| {
            agent_id == SERVER || named_device(agent_id) != NamedDevice::None && !names_device(agent_id, guid)
        };
        if agents.into_iter().flatten().any(is_others) {
            return Err(PlaybookError::AnotherHost);
        }
        let activities = [
            report.activity_job_id,
            stored.and_then(|playbook| playbook.reported.activity_job_id),
        ];
        let mut is_bound = false;
        for id in activities.into_iter().flatten().filter(|id| *id != 0) {
            is_bound |= self.check_activity(work, guid, id).await?;
        }
        let runs = [
            report.scheduled_run_id,
            stored.and_then(|playbook| playbook.reported.scheduled_run_id),
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
        let stored_host = stored.and_then(|playbook| playbook.reported.hostname.as_deref());
        if names_another
            || stored_host.is_some() && !self.hosts.may_report(work, guid, None, stored_host).await?
        {
            return Err(PlaybookError::AnotherHost);
        }
        Ok(own)
    }

    /// Refuses another device's activity. Says whether it is recorded as this device's.
    async fn check_activity(
        &self,
        work: &mut dyn UnitOfWork,
        guid: &Guid,
        id: i64,
    ) -> Result<bool, PlaybookError> {
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
            Err(PlaybookError::AnotherHost)
        }
    }

    /// Refuses another device's run.
    async fn check_run(&self, work: &mut dyn UnitOfWork, guid: &Guid, id: i64) -> Result<(), PlaybookError> {
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
                return Err(PlaybookError::AnotherHost);
            }
        }
        Ok(())
    }

    /// The activity of a playbook run, once named, follows every report (ASM-22); one of another host does not. Says
    /// its id.
    async fn move_activity(
        &self,
        work: &mut dyn UnitOfWork,
        reporter: &Reporter,
        playbook: &PlaybookRun,
        report: &PlaybookReport,
    ) -> Result<Option<i64>, StoreError> {
        let Some(id) = playbook.reported.activity_job_id.filter(|id| *id != 0) else {
            return Ok(None);
        };
        let activity = work.find_activity(id).await?;
        if let Some(activity) = activity {
            let host = activity.hostname.as_deref();
            // A device's report was checked before it was stored.
            let fits = match (reporter, &playbook.reported.hostname, host) {
                (Reporter::Anybody, Some(own), Some(host)) => same_host(own, host),
                _ => true,
            };
            if !fits {
                tracing::warn!(
                    run_id = %shown(&playbook.reported.run_id),
                    activity_id = id,
                    "a report of a playbook run names an activity of another host"
                );
                return Ok(None);
            }
        }
        work.note_delivered(id).await?;
        let run = work.run_of_activity(id).await?;
        let status = report.status.as_deref();
        // An activity whose run has ended does not run again (SCH-17).
        let status = status.filter(|word| !run.is_some_and(|run| run_status::is_late(&run, word)));
        work.store_progress(id, status, report.recap_text.as_deref())
            .await?;
        Ok(Some(id))
    }

    /// A report without a status leaves the run alone (ASM-23).
    async fn move_run(
        &self,
        work: &mut dyn UnitOfWork,
        report: &PlaybookReport,
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
            // A start at 0 is none to the legacy here, though it is stored with the report.
            let reported = report.started_ts.filter(|started| *started != 0);
            run.started_ts = run.started_ts.or(reported).or(Some(now));
        } else {
            run.finished_ts = report.finished_ts.or(run.finished_ts);
        }
        run_status::report(work, run, status, now).await
    }

    /// The playbook runs, of exactly this host where one is named, the one changed last first.
    pub async fn list(&self, hostname: Option<&str>, limit: i64) -> Result<Vec<PlaybookRun>, StoreError> {
        self.store.view().await?.list_playbook_runs(hostname, limit).await
    }

    /// The playbook run of this row id.
    pub async fn find(&self, id: i64) -> Result<Option<PlaybookRun>, StoreError> {
        self.store.view().await?.find_playbook_run_by_id(id).await
    }

    /// The playbook run of an activity that was changed last.
    pub async fn of_activity(&self, activity_id: i64) -> Result<Option<PlaybookRun>, StoreError> {
        self.store
            .view()
            .await?
            .playbook_run_of_activity(activity_id)
            .await
    }
}

/// Each given value replaces, each other stays.
fn merged(stored: PlaybookRun, report: &PlaybookReport, now: i64) -> PlaybookRun {
    fn text(given: &Option<String>, stored: Option<String>) -> Option<String> {
        given.clone().or(stored)
    }
    let before = stored.reported;
    PlaybookRun {
        id: stored.id,
        reported: PlaybookReport {
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
