//! What a tick finds to do for a job.

use std::collections::HashSet;

use crate::{
    domain::{
        job_runs::JobRun,
        schedule::{Recurrence, Schedule, expiration_seconds},
        scheduled_jobs::{ScheduledJob, target_hosts},
    },
    repositories::{ReadTables, StoreError},
};

/// The occurrence that a job is worked on, with the hosts on which nothing has happened yet.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct OpenHosts {
    /// The occurrence, in seconds.
    pub(super) occurrence: i64,
    /// In the job's order.
    pub(super) hosts: Vec<String>,
}

/// What happens on an open host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// The occurrence starts there.
    Start,
    /// It stayed away too long.
    Expire,
}

/// The occurrence that a job is to be worked on now, and those of its hosts that have no run in it and no open run of an
/// earlier one. `None` where no occurrence is due and the latest one is complete.
pub(super) async fn open_hosts(
    tables: &mut dyn ReadTables,
    job: &ScheduledJob,
    now: i64,
) -> Result<Option<OpenHosts>, StoreError> {
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
    let mut hosts = job.targets.as_ref().map(target_hosts).unwrap_or_default();
    if due.is_none() && is_complete(&runs, &hosts) {
        return Ok(None);
    }
    let mut taken: HashSet<String> = runs.into_iter().filter_map(|run| run.hostname).collect();
    // A host is not given work twice at a time.
    taken.extend(tables.busy_hosts(job.id).await?);
    // What was taken before, and what comes twice.
    hosts.retain(|host| taken.insert(host.clone()));
    Ok(Some(OpenHosts { occurrence, hosts }))
}

/// Whether as many hosts have ended as the job has targets. Which ones does not matter, as in the legacy: replaced targets
/// wait for the next occurrence, they do not get the one that the former ones had.
fn is_complete(runs: &[JobRun], targets: &[String]) -> bool {
    let targets: HashSet<&String> = targets.iter().collect();
    let ended: HashSet<&String> = runs
        .iter()
        .filter(|run| run.is_over())
        .filter_map(|run| run.hostname.as_ref())
        .collect();
    ended.len() >= targets.len()
}

/// What happens on the open hosts now, in their order; those that wait are left out.
pub(super) fn turns<'a>(
    job: &ScheduledJob,
    open: &'a OpenHosts,
    ready: &HashSet<String>,
    now: i64,
) -> Vec<(&'a str, Turn)> {
    let expired = job
        .expiration
        .as_deref()
        .and_then(expiration_seconds)
        .is_some_and(|limit| open.occurrence.saturating_add(limit) <= now);
    let turn = |host: &'a String| {
        let turn = if ready.contains(host) {
            Turn::Start
        } else {
            expired.then_some(Turn::Expire)?
        };
        Some((host.as_str(), turn))
    };
    open.hosts.iter().filter_map(turn).collect()
}
