//! `scenarios/divergences.toml`: which differences are accepted, why and since when; and what is not compared yet.

mod judge;
mod load;

pub use judge::{Judgement, Outcome, Ran, Verdict, judge};
pub use load::{RegisterError, load, parse};

use jiff::civil::Date;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The areas of the divergence table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What one side of an accepted difference must be.
#[derive(Clone, Debug)]
pub enum Constraint {
    /// Exactly this value.
    Equals(Value),
    /// A value whose text (a string itself, anything else as JSON) matches.
    Matches(Regex),
    /// Nothing is there.
    Absent,
}

impl Constraint {
    /// Whether a side fits.
    #[must_use]
    pub fn fits(&self, side: Option<&Value>) -> bool {
        match (self, side) {
            (Self::Absent, None) => true,
            (Self::Equals(wanted), Some(value)) => wanted == value,
            (Self::Matches(pattern), Some(Value::String(text))) => pattern.is_match(text),
            (Self::Matches(pattern), Some(value)) => pattern.is_match(&value.to_string()),
            _ => false,
        }
    }
}

/// One place, or a family of places, at which an entry accepts a difference.
#[derive(Clone, Debug)]
pub struct Match {
    /// Paths; a segment `*` stands for exactly one segment.
    pub paths: Vec<String>,
    /// Only in these steps; empty means any.
    pub steps: Vec<u32>,
    /// What the legacy must show.
    pub legacy: Constraint,
    /// What the engine must show.
    pub engine: Constraint,
}

/// An accepted difference and its reason.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The entry's own name.
    pub id: String,
    /// The contract's name of the defect, such as `ENR-1`.
    pub defect: String,
    /// Where the table lists it.
    pub area: Area,
    /// Scenarios: `enrollment/x` or `enrollment/*`.
    pub scenarios: Vec<String>,
    /// What it accepts.
    pub matches: Vec<Match>,
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
    /// The last day on which it accepts anything.
    pub expires: Option<Date>,
    /// Scenario and the step from which a mended defect makes the rest incomparable.
    pub not_compared_from_step: BTreeMap<String, u32>,
}

/// Routes that the engine does not have yet.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The method, or `*`.
    pub method: String,
    /// The path's pattern; a segment `*` stands for exactly one segment, `**` at the end for any rest.
    pub path: String,
    /// Why it is not compared.
    pub reason: String,
}

/// The whole file.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// Accepted differences.
    pub entries: Vec<Entry>,
    /// Routes to come.
    pub pending: Vec<Pending>,
}

/// Whether a pattern whose segment `*` stands for exactly one segment, and whose last segment `**` stands for any
/// rest, covers a path.
#[must_use]
pub fn covers(pattern: &str, path: &str) -> bool {
    let mut wanted = pattern.split('/');
    let mut there = path.split('/');
    loop {
        match (wanted.next(), there.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(there)) if wanted == there => {}
            _ => return false,
        }
    }
}

impl Entry {
    /// Whether the entry speaks of a scenario.
    #[must_use]
    pub fn names(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|pattern| covers(pattern, scenario))
    }

    /// Whether the entry still accepts anything on a day.
    #[must_use]
    pub fn is_alive(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }
}

#[cfg(test)]
mod tests;
