//! How playbooks on the server end, and how playbook runs are shown.

use serde::Serialize;

use crate::{
    domain::{job_runs::status, json::Json, json_reader, playbooks::PlaybookRun},
    integrations::ansible::PlaybookOutcome,
};

/// Characters of a run's reason that are kept.
const LONGEST_REASON: usize = 1024;

/// How a run ended, in the words of its rows.
pub(super) struct End {
    pub(super) status: &'static str,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) error: String,
}

impl End {
    pub(super) fn failed(stderr: impl Into<String>) -> Self {
        let stderr = stderr.into();
        Self {
            status: status::FAILED,
            stdout: String::new(),
            error: shortened(&stderr),
            stderr,
        }
    }

    /// Of one that never began.
    pub(super) fn expired(reason: &str) -> Self {
        Self {
            status: status::EXPIRED,
            ..Self::failed(reason)
        }
    }

    /// Of one that was ended because it took longer than it may, in this word and for this reason.
    pub(super) fn ended(word: &'static str, reason: &str, outcome: PlaybookOutcome) -> Self {
        let mut stderr = outcome.stderr;
        if !stderr.is_empty() && !stderr.ends_with('\n') {
            stderr.push('\n');
        }
        stderr.push_str(reason);
        Self {
            status: word,
            stdout: outcome.stdout,
            stderr,
            error: shortened(reason),
        }
    }

    pub(super) fn of(outcome: PlaybookOutcome) -> Self {
        if outcome.code == Some(0) {
            return Self {
                status: status::SUCCESS,
                stdout: outcome.stdout,
                stderr: outcome.stderr,
                error: String::new(),
            };
        }
        let code = outcome.code.unwrap_or(-1);
        let reason = [&outcome.stderr, &outcome.stdout]
            .into_iter()
            .find(|text| !text.is_empty())
            .cloned()
            .unwrap_or_else(|| format!("ansible-playbook exited with {code}"));
        Self {
            status: status::FAILED,
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            error: shortened(&reason),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}

/// A playbook run as it is shown: no text is null, its numbers are parsed.
#[derive(Debug, Serialize)]
pub struct PlaybookRunView {
    id: i64,
    run_id: String,
    hostname: String,
    agent_id: String,
    playbook_path: String,
    playbook_name: String,
    scheduled_job_id: Option<i64>,
    scheduled_run_id: Option<i64>,
    activity_job_id: Option<i64>,
    status: String,
    recap_text: String,
    recap_json: Option<Json>,
    started_ts: Option<i64>,
    finished_ts: Option<i64>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
}

impl From<PlaybookRun> for PlaybookRunView {
    fn from(run: PlaybookRun) -> Self {
        let reported = run.reported;
        let numbers = reported.recap_json.as_deref();
        Self {
            recap_json: numbers.and_then(|text| json_reader::read_stored_text(text).ok()),
            id: run.id,
            run_id: reported.run_id,
            hostname: reported.hostname.unwrap_or_default(),
            agent_id: reported.agent_id.unwrap_or_default(),
            playbook_path: reported.playbook_path.unwrap_or_default(),
            playbook_name: reported.playbook_name.unwrap_or_default(),
            scheduled_job_id: reported.scheduled_job_id,
            scheduled_run_id: reported.scheduled_run_id,
            activity_job_id: reported.activity_job_id,
            status: reported.status.unwrap_or_default(),
            recap_text: reported.recap_text.unwrap_or_default(),
            started_ts: reported.started_ts,
            finished_ts: reported.finished_ts,
            created_at: run.created_at,
            updated_at: run.updated_at,
        }
    }
}
