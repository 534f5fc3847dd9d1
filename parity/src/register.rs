//! `scenarios/divergences.toml`: which differences are expected, why and since when.
//!
//! An entry is an expectation: each of its rows names places (scenario, step, path), and every one of them must show the
//! difference, with these values on both sides. A place that no longer does is told as loudly as a difference that no
//! entry expects.

mod judge;
mod load;
mod steps;
mod value;
mod write;

pub use judge::{Expired, Judgement, Outcome, Ran, Slack, Unmet, Verdict, judge};
pub use load::{RegisterError, load, parse};
pub use steps::{KnownScenarios, StepNames};
pub use value::Constraint;
pub use write::{AcceptError, accept};

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The register's file in the folder of scenarios.
pub const FILE: &str = "divergences.toml";

/// The areas of the divergence table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Area {
    /// Operators and device tokens.
    Authentication,
    /// Agents' enrollment.
    Enrollment,
    /// Scheduled jobs and quick runs.
    Scheduler,
    /// The Socket.IO channel.
    Realtime,
    /// GitHub and repository hashes.
    GitHub,
    /// Everything else.
    Other,
}

impl Area {
    /// All areas, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Authentication,
        Self::Enrollment,
        Self::Scheduler,
        Self::Realtime,
        Self::GitHub,
        Self::Other,
    ];

    /// The area that a scenario belongs to.
    #[must_use]
    pub fn of(scenario: &str) -> Self {
        let (folder, name) = scenario.split_once('/').unwrap_or((scenario, ""));
        match folder {
            "operators" | "device_auth" => Self::Authentication,
            "enrollment" => Self::Enrollment,
            "scheduler" => Self::Scheduler,
            "realtime" => Self::Realtime,
            "platform" if name.starts_with("github_") || name.starts_with("repo_hash_") => Self::GitHub,
            _ => Self::Other,
        }
    }

    /// The name as the table writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "Authentication",
            Self::Enrollment => "Enrollment",
            Self::Scheduler => "Scheduler",
            Self::Realtime => "Realtime",
            Self::GitHub => "GitHub",
            Self::Other => "Other",
        }
    }
}

/// Where a difference is expected.
#[derive(Clone, Debug)]
pub struct Place {
    /// A scenario, or a pattern of scenarios: `enrollment/x`, `enrollment/*`, `*/*`.
    pub scenarios: String,
    /// The names of the steps, each of which must show it; `None` where some step or other must. What is seen once the
    /// steps are over is called `asked`, `heard` and `left`.
    pub steps: Option<Vec<String>>,
}

/// A difference in one path, with what both sides must be.
#[derive(Clone, Debug)]
pub struct Row {
    /// The path; a segment `*` stands for exactly one segment.
    pub path: String,
    /// What the legacy must show.
    pub legacy: Constraint,
    /// What the engine must show.
    pub engine: Constraint,
}

impl Row {
    /// Whether all that differs is at which moment something was.
    pub(crate) fn is_of_moment(&self) -> bool {
        let is_time = |side: &Constraint| match side {
            Constraint::Equals(Value::Object(members)) => {
                members.len() == 1 && members.contains_key("<time>")
            }
            _ => false,
        };
        self.path.ends_with("/after_step") || (is_time(&self.legacy) && is_time(&self.engine))
    }
}

/// What the legacy's side of a comparison is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegacySide {
    /// What it did when it was recorded.
    Recorded,
    /// A server that runs.
    Server,
}

/// Differences that are expected at the same places.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Where.
    pub places: Vec<Place>,
    /// Scenarios that a pattern in `places` fits and that are not meant.
    pub except: Vec<String>,
    /// Which; each of them at each place.
    pub rows: Vec<Row>,
    /// What other expectations call the rows.
    pub name: Option<String>,
    /// Why patterns stand in it instead of exact places and values.
    pub why_loose: Option<String>,
    /// Why a place may also show none of the differences, where the legacy is a server that nobody has prepared or whose
    /// clock runs; all of them or none.
    pub may_be_same: Option<String>,
    /// The legacy's side with which they are expected; nothing where it makes no difference.
    pub legacy_side: Option<LegacySide>,
}

/// From where on a scenario's two histories cannot be compared.
#[derive(Clone, Debug)]
pub struct CutOff {
    /// The name of the first step that is not compared.
    pub step: String,
    /// The legacy's side with which that is so; nothing where it makes no difference.
    pub legacy_side: Option<LegacySide>,
}

/// An accepted difference and its reason.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The entry's own name.
    pub id: String,
    /// The defect or decision that it rests on, such as `ENR-1`.
    pub defect: String,
    /// Where the table lists it.
    pub area: Area,
    /// What it expects.
    pub expectations: Vec<Expectation>,
    /// What the legacy does.
    pub legacy_behaviour: String,
    /// What the engine does.
    pub engine_behaviour: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Date,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it is discussed.
    pub ticket: Option<String>,
    /// The last day on which it accepts and expects anything.
    pub expires: Option<Date>,
    /// Scenario and the name of the step from which a mended defect makes the rest incomparable.
    pub not_compared_from_step: BTreeMap<String, CutOff>,
}

/// The whole file.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// Long values by name.
    pub values: BTreeMap<String, Value>,
    /// Accepted differences.
    pub entries: Vec<Entry>,
}

/// Whether a pattern whose segment `*` stands for exactly one segment covers a path.
#[must_use]
pub fn covers(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/');
    let mut there = path.split('/');
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(there)) if wanted == there => {}
            _ => return false,
        }
    }
}

impl Register {
    /// What is wrong with entries that accept nothing yet.
    pub fn unfinished(&self) -> impl Iterator<Item = String> {
        let nothing =
            |entry: &Entry| entry.expectations.is_empty() && entry.not_compared_from_step.is_empty();
        self.entries.iter().filter(move |entry| nothing(entry)).map(|entry| {
            format!(
                "entry `{}`: it accepts nothing yet: `parity accept SCENARIO --as {}` writes what it does, or delete it",
                entry.id, entry.id
            )
        })
    }

    /// How many expectations have patterns in place of exact places and values.
    #[must_use]
    pub fn loose(&self) -> usize {
        let expectations = self.entries.iter().flat_map(|entry| &entry.expectations);
        expectations.filter(|one| one.why_loose.is_some()).count()
    }
}

impl Entry {
    /// Whether the entry still accepts anything on a day.
    #[must_use]
    pub fn is_alive(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }
}

#[cfg(test)]
mod tests;
