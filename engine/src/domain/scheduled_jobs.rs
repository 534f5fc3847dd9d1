//! Scheduled jobs, and how their latest occurrence went.

use std::path::Path;

use super::{
    assembly::location::{Island, IslandPath},
    json::Json,
    text::python_trim,
};

/// A job, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledJob {
    /// Row id; never used again.
    pub id: i64,
    pub name: String,
    /// What it runs; `None` where the column holds no JSON.
    pub components: Option<Json>,
    /// The hosts it runs on; `None` where the column holds no JSON.
    pub targets: Option<Json>,
    /// How often; may be empty or unknown.
    pub schedule_type: String,
    /// When it starts, in seconds.
    pub start_ts: Option<i64>,
    /// Shown, without effect (SCH-19).
    pub duration_stop_enabled: bool,
    /// For how long an occurrence may wait or run, such as `30m`.
    pub expiration: Option<String>,
    /// As whom it runs; may be empty or unknown.
    pub execution_context: String,
    /// The credential of remote runs.
    pub credential_id: Option<i64>,
    /// Whether WinRM runs take the agent's own service account.
    pub use_service_account: bool,
    /// Whether it runs at all.
    pub enabled: bool,
    /// When it was made, in seconds.
    pub created_at: Option<i64>,
    /// When it was changed last, in seconds.
    pub updated_at: Option<i64>,
}

impl ScheduledJob {
    /// Whether its components can be gone through, whatever they are. The legacy leaves a job alone that has `null`, a number
    /// or a boolean there.
    pub fn can_be_worked_on(&self) -> bool {
        !matches!(
            self.components,
            Some(Json::Null | Json::Bool(_) | Json::Int(_) | Json::BigInt(_) | Json::Float(_))
        )
    }

    /// The scripts that it runs; `root` is the folder of all islands.
    pub fn script_paths(&self, root: &Path) -> Vec<IslandPath> {
        let components = self.components.as_ref().and_then(Json::as_list);
        let scripts = components
            .unwrap_or_default()
            .iter()
            .filter(|component| component.get("type").and_then(Json::as_text) == Some("script"));
        scripts.filter_map(|script| script_path(root, script)).collect()
    }
}

/// The path that a component names, under the first of `names` that holds anything.
pub fn component_path<'a>(component: &'a Json, names: &[&str]) -> Option<&'a str> {
    let value = names
        .iter()
        .filter_map(|name| component.get(name))
        .find(|value| value.is_truthy())?;
    value.as_text().filter(|text| !python_trim(text).is_empty())
}

fn script_path(root: &Path, component: &Json) -> Option<IslandPath> {
    let path = IslandPath::scheduled_script_text(component_path(component, &["path", "script_path"])?);
    IslandPath::parse(root, Island::Scripts, path.strip_prefix("Scripts")?)
}

/// A job to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// Its name, not empty.
    pub name: String,
    /// What it runs, not empty.
    pub components: Json,
    /// The hosts it runs on, not empty.
    pub targets: Json,
    /// How often.
    pub schedule_type: String,
    /// When it starts, in seconds.
    pub start_ts: Option<i64>,
    /// Shown, without effect.
    pub duration_stop_enabled: bool,
    /// For how long an occurrence may wait or run; `None` is for ever, and stored as nothing.
    pub expiration: Option<String>,
    /// As whom it runs.
    pub execution_context: String,
    /// The credential of remote runs.
    pub credential_id: Option<i64>,
    /// Whether WinRM runs take the agent's own service account.
    pub use_service_account: bool,
    /// Whether it runs at all.
    pub enabled: bool,
}

/// What of a job is replaced; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobChanges {
    pub name: Option<String>,
    /// What it runs.
    pub components: Option<Json>,
    /// The hosts it runs on.
    pub targets: Option<Json>,
    /// How often, and the start in seconds: always both together.
    pub schedule: Option<(String, Option<i64>)>,
    /// Shown, without effect.
    pub duration_stop_enabled: Option<bool>,
    /// For how long an occurrence may wait or run; nothing is for ever.
    pub expiration: Option<Option<String>>,
    /// As whom it runs.
    pub execution_context: Option<String>,
    /// The credential of remote runs.
    pub credential_id: Option<Option<i64>>,
    /// Whether WinRM runs take the agent's own service account.
    pub use_service_account: Option<bool>,
    /// Whether it runs at all.
    pub enabled: Option<bool>,
}

/// The hosts among stored targets, in stored order, repeats kept: texts and integers (booleans count as such), a text's
/// characters, an object's keys. Only lists can be stored anew (SCH-9).
pub fn target_hosts(targets: &Json) -> Vec<String> {
    match targets {
        Json::List(items) => items
            .iter()
            .filter(|item| {
                matches!(
                    item,
                    Json::Text(_) | Json::Int(_) | Json::BigInt(_) | Json::Bool(_)
                )
            })
            .map(Json::python_str)
            .collect(),
        Json::Text(text) => text.chars().map(String::from).collect(),
        Json::Object(members) => members.keys().cloned().collect(),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::BigInt(_) | Json::Float(_) => Vec::new(),
    }
}

/// As whom a job runs, whatever blanks and capitals its row has; `system` where nothing is said.
pub fn context_word(execution_context: &str) -> String {
    match python_trim(execution_context).to_lowercase() {
        word if word.is_empty() => "system".to_owned(),
        word => word,
    }
}

/// Whether a job logs in somewhere with a stored credential: it names one, or runs as only a login can.
pub fn uses_stored_credential(execution_context: &str, credential_id: Option<i64>) -> bool {
    credential_id.is_some_and(|id| id != 0)
        || matches!(context_word(execution_context).as_str(), "ssh" | "winrm")
}

/// How many targets are shown, hosts or not.
pub fn target_count(targets: &Json) -> i64 {
    let count = match targets {
        Json::List(items) => items.len(),
        Json::Text(text) => text.chars().count(),
        Json::Object(members) => members.len(),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::BigInt(_) | Json::Float(_) => 0,
    };
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The runs of a job's latest occurrence, counted by status.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ResultCounts {
    /// Targets without a counted run; 0 where there is no occurrence.
    pub pending: i64,
    /// `Running`
    pub running: i64,
    /// `Success`
    pub success: i64,
    /// `Failed`
    pub failed: i64,
    /// `Expired`
    pub expired: i64,
    /// `Timed Out`
    pub timed_out: i64,
    /// All targets.
    pub total_targets: i64,
}

impl ResultCounts {
    /// Counts the runs of an occurrence; words that nobody knows count nowhere and so appear as pending.
    pub fn of<'a>(total_targets: i64, runs: impl IntoIterator<Item = (&'a str, i64)>) -> Self {
        let mut counts = Self {
            total_targets,
            ..Self::default()
        };
        for (status, count) in runs {
            let counted = match status {
                "Running" => &mut counts.running,
                "Success" => &mut counts.success,
                "Failed" => &mut counts.failed,
                "Expired" => &mut counts.expired,
                "Timed Out" => &mut counts.timed_out,
                _ => continue,
            };
            *counted += count;
        }
        let begun = counts.running + counts.success + counts.failed + counts.expired + counts.timed_out;
        counts.pending = (total_targets - begun).max(0);
        counts
    }

    /// The one word for the occurrence. The legacy never answers `Failed` (SCH-6).
    pub fn status(&self) -> Option<&'static str> {
        [
            (self.running, "Running"),
            (self.timed_out, "Timed Out"),
            (self.expired, "Expired"),
            (self.failed, "Failed"),
            (self.success, "Success"),
        ]
        .into_iter()
        .find(|(count, _)| *count > 0)
        .map(|(_, word)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_texts_and_integers() {
        let targets = Json::List(vec![
            "A".into(),
            "A".into(),
            7.into(),
            true.into(),
            Json::Null,
            1.5.into(),
            Json::list([1]),
        ]);
        assert_eq!(target_hosts(&targets), ["A", "A", "7", "True"]);
        assert_eq!(target_count(&targets), 7);
        assert_eq!(target_hosts(&"AB".into()), ["A", "B"]);
        assert_eq!(target_hosts(&Json::object([("K", 1.into())])), ["K"]);
        assert_eq!((target_hosts(&5.into()), target_count(&5.into())), (vec![], 0));
    }

    #[test]
    fn unknown_words_appear_as_pending() {
        let counts = ResultCounts::of(4, [("Success", 1), ("Completed", 1), ("running", 1)]);
        assert_eq!((counts.pending, counts.success, counts.running), (3, 1, 0));
        assert_eq!(ResultCounts::of(1, [("Success", 5)]).pending, 0);
    }

    #[test]
    fn the_first_word_of_the_order_is_shown() {
        let word = |runs: &[(&str, i64)]| ResultCounts::of(9, runs.iter().copied()).status();
        assert_eq!(word(&[("Success", 1), ("Failed", 1)]), Some("Failed"));
        assert_eq!(word(&[("Failed", 1), ("Expired", 1)]), Some("Expired"));
        assert_eq!(word(&[("Timed Out", 1), ("Running", 1)]), Some("Running"));
        assert_eq!(word(&[("Other", 1)]), None);
    }
}
