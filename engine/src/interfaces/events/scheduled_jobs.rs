//! Scheduled jobs, for operators who ask over the channel.
//!
//! Short because the feature has the same file in every layer, and it has one event.

use super::dispatch::Incoming;
use crate::{
    domain::{json::Json, payload::Payload},
    interfaces::http::scheduled_jobs::JobList,
    services::realtime::{Audience, Channel as _, Outcome},
};

/// Whatever it carries: every job to the asker alone, as `GET /api/scheduled_jobs` lists them.
pub(super) async fn job_status_request(incoming: &Incoming<'_>) -> Outcome {
    if !incoming.rights.may_command() {
        return Outcome::Refused;
    }
    let jobs = match incoming.scheduled_jobs.list().await {
        Ok(jobs) => JobList::from(jobs),
        Err(error) => {
            tracing::error!(%error, "the jobs that an operator asked for cannot be listed");
            return Outcome::Failed;
        }
    };
    let asker = Audience::Connection(incoming.client.connection().id());
    incoming
        .hub
        .emit(asker, "job_status", &Payload::from(Json::of(&jobs)))
        .await;
    Outcome::Done
}
