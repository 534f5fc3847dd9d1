//! The notifications that operators get of runs and activities.

use super::{channel::AgentChannel, playbook_end::PlaybookRunView};
use crate::domain::{
    activity::EndedActivity, job_runs::JobRun, json::Json, measures, playbooks::PlaybookRun,
};

/// A run that was started and has ended, with its job's schedule word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndedRun {
    /// The run, as it is now.
    pub run: JobRun,
    /// The schedule word of its job; empty where the job is deleted.
    pub schedule_type: String,
}

fn run_members(run: &JobRun, schedule_type: &str) -> [(&'static str, Json); 5] {
    [
        ("job_id", run.job_id.into()),
        ("run_id", run.id.into()),
        (
            "target",
            run.hostname
                .clone()
                .unwrap_or_else(|| "<unassigned>".to_owned())
                .into(),
        ),
        ("schedule_type", schedule_type.into()),
        ("occurrence_ts", run.scheduled_ts.into()),
    ]
}

/// A run began.
pub async fn run_started(channel: &dyn AgentChannel, run: &JobRun, schedule_type: &str) {
    let payload = Json::object(run_members(run, schedule_type));
    channel.notify_operators("job_run_started", &payload).await;
}

/// A run that was started has ended.
pub async fn run_completed(channel: &dyn AgentChannel, ended: &EndedRun) {
    let mut members = run_members(&ended.run, &ended.schedule_type).to_vec();
    members.push(("status", ended.run.status.as_str().into()));
    let payload = Json::Object(Json::members(members));
    measures::run_ended(&ended.run.status);
    channel.notify_operators("job_run_completed", &payload).await;
}

/// An activity began.
pub async fn activity_created(channel: &dyn AgentChannel, hostname: &str, activity_id: i64, source: &str) {
    let payload = Json::object([
        ("hostname", hostname.into()),
        ("activity_id", activity_id.into()),
        ("change", "created".into()),
        ("source", source.into()),
    ]);
    channel
        .notify_operators("device_activity_changed", &payload)
        .await;
}

/// The server ended an activity.
pub async fn activity_ended(channel: &dyn AgentChannel, ended: &EndedActivity) {
    let source = match ended.script_type.as_deref() {
        Some("ansible") => "ansible",
        _ => "quick_job",
    };
    let hostname = ended.hostname.as_deref().unwrap_or_default();
    activity_updated(channel, hostname, ended.id, &ended.status, source).await;
}

/// An activity has another status.
pub async fn activity_updated(
    channel: &dyn AgentChannel,
    hostname: &str,
    activity_id: i64,
    status: &str,
    source: &str,
) {
    let payload = Json::object([
        ("activity_id", activity_id.into()),
        ("hostname", hostname.into()),
        ("status", status.into()),
        ("change", "updated".into()),
        ("source", source.into()),
    ]);
    channel
        .notify_operators("device_activity_changed", &payload)
        .await;
}

/// A playbook run is further, and with it the activity that follows it.
pub async fn playbook_updated(
    channel: &dyn AgentChannel,
    playbook: &PlaybookRun,
    activity_id: Option<i64>,
    status: &str,
) {
    let view = PlaybookRunView::from(playbook.clone());
    channel
        .notify_operators("ansible_recap_update", &Json::of(&view))
        .await;
    let Some(activity_id) = activity_id else {
        return;
    };
    let payload = Json::object([
        (
            "hostname",
            playbook.reported.hostname.clone().unwrap_or_default().into(),
        ),
        ("activity_id", activity_id.into()),
        ("status", status.into()),
        ("change", "updated".into()),
        ("source", "ansible".into()),
    ]);
    channel
        .notify_operators("device_activity_changed", &payload)
        .await;
}
