//! How a run's status changes. Agents' results, reports of playbooks, the tick and server-side playbooks all move it
//! through here.

use super::{delivery::OFFLINE, events::EndedRun};
use crate::{
    domain::job_runs::{JobRun, NewRun, status},
    repositories::{StoreError, UnitOfWork},
};

/// Stores the status that an agent reports of a run: any word is stored as it is, the last one counts. `Running` after
/// an end is ignored (SCH-17). Says whether the run ended by it.
pub async fn report(
    work: &mut dyn UnitOfWork,
    mut run: JobRun,
    word: &str,
    now: i64,
) -> Result<Option<EndedRun>, StoreError> {
    let open = run.status == status::RUNNING;
    if is_late(&run, word) {
        return Ok(None);
    }
    if says_running(word) {
        status::RUNNING.clone_into(&mut run.status);
        work.set_run_state(&run, now).await?;
        return Ok(None);
    }
    word.clone_into(&mut run.status);
    run.finished_ts = run.finished_ts.or(Some(now));
    work.set_run_state(&run, now).await?;
    if !open {
        return Ok(None);
    }
    ended(work, run).await.map(Some)
}

/// Whether this is the status of something that runs, reported of a run that has ended.
pub fn is_late(run: &JobRun, word: &str) -> bool {
    says_running(word) && has_ended(run)
}

fn says_running(word: &str) -> bool {
    word.to_lowercase() == "running"
}

/// Whether a run has ended, in the server's own words or in an agent's.
fn has_ended(run: &JobRun) -> bool {
    let ends = [
        status::SUCCESS,
        status::FAILED,
        status::EXPIRED,
        status::TIMED_OUT,
    ];
    run.finished_ts.is_some() || ends.contains(&run.status.as_str())
}

/// Ends an open run for a reason of the server's own.
pub async fn end(
    work: &mut dyn UnitOfWork,
    mut run: JobRun,
    word: &str,
    error: &str,
    now: i64,
) -> Result<EndedRun, StoreError> {
    word.clone_into(&mut run.status);
    error.clone_into(&mut run.error);
    if word != status::TIMED_OUT {
        // The legacy leaves the end of a run that timed out open.
        run.finished_ts = Some(now);
    }
    work.set_run_state(&run, now).await?;
    ended(work, run).await
}

/// Writes the run of a host that stayed away, which so never begins.
pub async fn expire(
    work: &mut dyn UnitOfWork,
    job_id: i64,
    host: &str,
    occurrence: i64,
    now: i64,
) -> Result<(), StoreError> {
    let run = NewRun {
        job_id,
        hostname: host,
        occurrence,
        started: false,
        finished: true,
        status: status::EXPIRED,
        error: Some(OFFLINE),
    };
    let id = work.insert_run(&run, now).await?;
    tracing::warn!(
        run_id = id,
        job_id,
        host = %host.escape_debug(),
        "[Scheduler] a run expired, its host is offline"
    );
    Ok(())
}

async fn ended(work: &mut dyn UnitOfWork, run: JobRun) -> Result<EndedRun, StoreError> {
    let job = work.find_job(run.job_id).await?;
    Ok(EndedRun {
        schedule_type: job.map(|job| job.schedule_type).unwrap_or_default(),
        run,
    })
}
