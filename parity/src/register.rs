//! `scenarios/divergences.toml`: which differences are expected, why and since when.
//!
//! An entry is an expectation: each of its rows names places (scenario, step, path), and every one of them must show the
//! difference, with these values on both sides. A place that no longer does is told as loudly as a difference that no
//! entry expects.

mod judge;
mod load;
mod value;

pub use judge::{Judgement, Outcome, Ran, Unmet, Verdict, judge};
pub use load::{RegisterError, load, parse};
pub use value::Constraint;

use crate::transcript::{ASKED_AFTER, HEARD_AFTER, LEFT_AFTER};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
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

/// Steps of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepName {
    /// A step by its number.
    Number(u32),
    /// What the server asked of GitHub, which is known once the steps are over.
    Asked,
    /// Everything that the sockets received.
    Heard,
    /// What the server left.
    Left,
}

impl StepName {
    /// The number that it has in a scenario whose last step is `last`.
    #[must_use]
    pub fn number(&self, last: u32) -> u32 {
        match self {
            Self::Number(number) => *number,
            Self::Asked => last + ASKED_AFTER,
            Self::Heard => last + HEARD_AFTER,
            Self::Left => last + LEFT_AFTER,
        }
    }
}

/// Where a difference is expected.
#[derive(Clone, Debug)]
pub struct Place {
    /// A scenario, or a pattern of scenarios: `enrollment/x`, `enrollment/*`, `*/*`.
    pub scenarios: String,
    /// The steps, each of which must show it; `None` where some step or other must.
    pub steps: Option<Vec<StepName>>,
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

/// Differences that are expected at the same places.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Where.
    pub places: Vec<Place>,
    /// Scenarios that a pattern in `places` fits and that are not meant.
    pub except: Vec<String>,
    /// Which; each of them at each place.
    pub rows: Vec<Row>,
    /// Why patterns stand in it instead of exact places and values.
    pub why_loose: Option<String>,
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
    /// Scenario and the step from which a mended defect makes the rest incomparable.
    pub not_compared_from_step: BTreeMap<String, u32>,
}

/// The whole file.
#[derive(Clone, Debug, Default)]
pub struct Register {
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

impl Entry {
    /// The patterns of the scenarios that the entry speaks of.
    pub fn scenarios(&self) -> impl Iterator<Item = &str> {
        let places = self.expectations.iter().flat_map(|one| &one.places);
        let excepted = self.expectations.iter().flat_map(|one| &one.except);
        let whole = self.not_compared_from_step.keys().map(String::as_str);
        places
            .map(|place| place.scenarios.as_str())
            .chain(excepted.map(String::as_str))
            .chain(whole)
    }

    /// Whether the entry still accepts anything on a day.
    #[must_use]
    pub fn is_alive(&self, today: Date) -> bool {
        self.expires.is_none_or(|last| today <= last)
    }
}

#[cfg(test)]
mod tests;
