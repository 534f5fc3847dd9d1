//! The results of scripts that agents ran.

use super::{Outcome, RealtimeService, Rights};
use crate::{
    builders::agents::JobResult,
    domain::{playbooks::SERVER, text::python_trim},
    repositories::StoreError,
    services::{
        audit,
        scheduler::{
            events::{self, EndedRun},
            run_status,
        },
    },
};

impl RealtimeService {
    /// Stores what came of an activity and of the run that it belongs to, and notifies operators. What is not stored has
    /// failed, and is not acknowledged: an agent that keeps its results until then reports them again. The legacy
    /// acknowledges it all the same.
    pub async fn job_result(&self, rights: &Rights, result: &JobResult) -> Outcome {
        match self.store_job_result(rights, result).await {
            Ok(None) => Outcome::Refused,
            Ok(Some(Stored {
                hostname,
                status,
                ended,
            })) => {
                if let Some(hostname) = hostname {
                    events::activity_updated(self, &hostname, result.job_id, &status, "quick_job").await;
                }
                if let Some(ended) = ended {
                    events::run_completed(self, &ended).await;
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::error!("the result of activity {} is not stored: {error}", result.job_id);
                Outcome::Failed
            }
        }
    }

    /// `None` where the sender may not report on this activity.
    async fn store_job_result(
        &self,
        rights: &Rights,
        result: &JobResult,
    ) -> Result<Option<Stored>, StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin_brief().await?;
        let activity = work.find_activity(result.job_id).await?;
        let run = work.run_of_activity(result.job_id).await?;
        let host = activity
            .as_ref()
            .and_then(|activity| activity.hostname.as_deref())
            .or(run.as_ref().and_then(|run| run.hostname.as_deref()));
        let is_own = match rights {
            Rights::Everything => true,
            // There is nothing that it could change.
            Rights::Device { .. } if activity.is_none() && run.is_none() => true,
            Rights::Device { guid, .. } => {
                let bound = work.device_of_activity(result.job_id).await?;
                self.hosts
                    .may_report(&mut *work, guid, bound.as_ref(), host)
                    .await?
            }
            _ => false,
        };
        if !is_own {
            return Ok(None);
        }
        // Only the server itself ends what it runs.
        let may_be_own_run = activity
            .as_ref()
            .is_some_and(|activity| activity.script_type.as_deref() == Some("ansible"));
        if may_be_own_run
            && *rights != Rights::Everything
            && let Some(playbook) = work.playbook_run_of_activity(result.job_id).await?
            && playbook.reported.agent_id.as_deref() == Some(SERVER)
        {
            return Ok(None);
        }
        // An activity whose run has ended does not run again (SCH-17).
        let status = match &activity {
            Some(activity)
                if run
                    .as_ref()
                    .is_some_and(|run| run_status::is_late(run, &result.status)) =>
            {
                activity.status.clone().unwrap_or_default()
            }
            _ => result.status.clone(),
        };
        work.store_result(result.job_id, &status, &result.stdout, &result.stderr, None)
            .await?;
        work.note_delivered(result.job_id).await?;
        let ended = match run {
            Some(run) => run_status::report(&mut *work, run, &result.status, now).await?,
            None => None,
        };
        work.save().await?;
        audit::changed("result.stored", result.job_id);
        let hostname = activity.and_then(|activity| activity.hostname);
        Ok(Some(Stored {
            hostname: hostname.filter(|name| !python_trim(name).is_empty()),
            status,
            ended,
        }))
    }
}

/// What came of a result.
struct Stored {
    /// The host that operators are notified of.
    hostname: Option<String>,
    /// The activity's status now.
    status: String,
    ended: Option<EndedRun>,
}
