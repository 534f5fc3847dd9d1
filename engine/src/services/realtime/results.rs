//! What came of jobs.

use super::{Audience, Outcome, Payload, RealtimeService, Rights};
use crate::{
    domain::{json::Json, text::python_trim},
    repositories::{
        Store, StoreError, UnitOfWork as _, activity_history::ActivityHistory as _, job_runs::JobRuns as _,
    },
};

/// `quick_job_result`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobResult {
    /// The activity.
    pub job_id: i64,
    /// Its status in the agent's word, trimmed, not empty.
    pub status: String,
    /// What it printed.
    pub stdout: String,
    /// What it printed of errors.
    pub stderr: String,
}

impl<S: Store> RealtimeService<S> {
    /// Stores what came of an activity and of the run that it belongs to, and tells operators.
    pub async fn job_result(&self, rights: &Rights, result: &JobResult) -> Outcome {
        match self.store_job_result(rights, result).await {
            Ok(Stored::Refused) => Outcome::Refused,
            Ok(Stored::Done(hostname)) => {
                if let Some(hostname) = hostname {
                    let change = Json::object([
                        ("activity_id", result.job_id.into()),
                        ("hostname", hostname.into()),
                        ("status", result.status.as_str().into()),
                        ("change", "updated".into()),
                        ("source", "quick_job".into()),
                    ]);
                    self.channel
                        .emit(
                            Audience::Operators,
                            "device_activity_changed",
                            &Payload::from(change),
                        )
                        .await;
                }
                Outcome::Done
            }
            Err(error) => {
                tracing::error!("the result of activity {} is not stored: {error}", result.job_id);
                Outcome::Done
            }
        }
    }

    async fn store_job_result(&self, rights: &Rights, result: &JobResult) -> Result<Stored, StoreError> {
        let now = self.environment.clock.now().as_second();
        let mut work = self.store.begin().await?;
        let activity = work.find_activity(result.job_id).await?;
        let run = work.run_of_activity(result.job_id).await?;
        let host = activity
            .as_ref()
            .and_then(|activity| activity.hostname.as_deref())
            .or(run.as_ref().and_then(|run| run.hostname.as_deref()));
        let own = match rights {
            Rights::Everything => true,
            Rights::Device {
                hostname: Some(own), ..
            } => host.is_none_or(|host| same_host(host, own)),
            _ => false,
        };
        if !own {
            return Ok(Stored::Refused);
        }
        work.store_result(
            result.job_id,
            &result.status,
            &result.stdout,
            &result.stderr,
            None,
        )
        .await?;
        if let Some(mut run) = run {
            if result.status.to_lowercase() == "running" {
                "Running".clone_into(&mut run.status);
            } else {
                run.status.clone_from(&result.status);
                run.finished_ts = run.finished_ts.or(Some(now));
            }
            work.set_run_state(&run, now).await?;
        }
        work.save().await?;
        let hostname = activity.and_then(|activity| activity.hostname);
        Ok(Stored::Done(
            hostname.filter(|name| !python_trim(name).is_empty()),
        ))
    }
}

enum Stored {
    /// With the host to tell of.
    Done(Option<String>),
    Refused,
}

/// Whether two names are of one host, as agents compare them.
fn same_host(one: &str, other: &str) -> bool {
    python_trim(one).to_lowercase() == python_trim(other).to_lowercase()
}
