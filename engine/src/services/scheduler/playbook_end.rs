//! How playbooks on the server end, and how their recaps are shown.

use crate::{
    domain::{job_runs::status, json::Json, json_reader, recaps::Recap},
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

/// A recap as it is shown: no text is null, its numbers are parsed.
pub fn recap_json(recap: &Recap) -> Json {
    let text = |text: &Option<String>| Json::from(text.clone().unwrap_or_default());
    let numbers = recap
        .reported
        .recap_json
        .as_deref()
        .and_then(|text| json_reader::read_text(text).ok());
    Json::object([
        ("id", recap.id.into()),
        ("run_id", recap.reported.run_id.as_str().into()),
        ("hostname", text(&recap.reported.hostname)),
        ("agent_id", text(&recap.reported.agent_id)),
        ("playbook_path", text(&recap.reported.playbook_path)),
        ("playbook_name", text(&recap.reported.playbook_name)),
        ("scheduled_job_id", recap.reported.scheduled_job_id.into()),
        ("scheduled_run_id", recap.reported.scheduled_run_id.into()),
        ("activity_job_id", recap.reported.activity_job_id.into()),
        ("status", text(&recap.reported.status)),
        ("recap_text", text(&recap.reported.recap_text)),
        ("recap_json", numbers.into()),
        ("started_ts", recap.reported.started_ts.into()),
        ("finished_ts", recap.reported.finished_ts.into()),
        ("created_at", recap.created_at.into()),
        ("updated_at", recap.updated_at.into()),
    ])
}
