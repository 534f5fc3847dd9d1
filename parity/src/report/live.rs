//! What is to be said about servers that were not parity's own: what stayed there, where roots lie, and what was noise.

use std::{fmt::Write as _, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown;
use crate::campaign::Sides;

/// What one scenario has to say about its servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SideNotes {
    /// What no route removes.
    pub left_behind: Vec<Stayed>,
    /// Roots that were kept.
    pub kept: Vec<Stayed>,
    /// What the legacy does not agree with itself on.
    pub noise: Vec<Noise>,
    /// What differed in some runs only.
    pub flaky: Vec<Flaky>,
}

/// Something that a scenario left on a side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stayed {
    /// `<area>/<name>`.
    pub scenario: String,
    /// The side, with the target's name.
    pub side: String,
    /// What it is.
    pub what: String,
}

/// A place at which the legacy showed one thing and then another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// `<area>/<name>`.
    pub scenario: String,
    /// The step's name.
    pub step: String,
    /// The path.
    pub path: String,
    /// What it showed first.
    pub first: Option<Value>,
    /// What it showed then.
    pub second: Option<Value>,
    /// Whether the engine differed there: that is not compared.
    pub hides: bool,
    /// What the engine showed then.
    pub engine: Option<Value>,
}

/// A place that differed in some runs and not in others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flaky {
    /// `<area>/<name>`.
    pub scenario: String,
    /// The step's name.
    pub step: String,
    /// The path.
    pub path: String,
    /// In how many runs it differed.
    pub differed: usize,
    /// Of how many.
    pub runs: usize,
}

/// What a whole run has to say about its servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveNotes {
    /// What everybody who reads the report has to know.
    pub warnings: Vec<String>,
    /// What no route removes.
    pub left_behind: Vec<Stayed>,
    /// Roots that were kept.
    pub kept: Vec<Stayed>,
    /// What the legacy does not agree with itself on.
    pub noise: Vec<Noise>,
    /// What differed in some runs only.
    pub flaky: Vec<Flaky>,
}

impl SideNotes {
    /// Notes what no route removes.
    pub fn left_behind(&mut self, side: &str, scenario: &str, what: &[String]) {
        self.left_behind.extend(what.iter().map(|what| Stayed {
            scenario: scenario.to_owned(),
            side: side.to_owned(),
            what: what.clone(),
        }));
    }

    /// Notes where a root lies.
    pub fn kept(&mut self, side: &str, scenario: &str, path: &Path) {
        self.kept.push(Stayed {
            scenario: scenario.to_owned(),
            side: side.to_owned(),
            what: path.display().to_string(),
        });
    }

    /// Those of both.
    pub fn add(&mut self, other: Self) {
        self.left_behind.extend(other.left_behind);
        self.kept.extend(other.kept);
        for one in other.noise {
            let known = |other: &Noise| (&other.step, &other.path) == (&one.step, &one.path);
            if !self.noise.iter().any(known) {
                self.noise.push(one);
            }
        }
        self.flaky.extend(other.flaky);
    }
}

impl LiveNotes {
    /// What is known before anything runs.
    #[must_use]
    pub fn of(sides: &Sides) -> Self {
        Self {
            warnings: sides.warnings(),
            ..Self::default()
        }
    }

    /// Adds what a scenario has to say.
    pub fn add(&mut self, notes: SideNotes) {
        self.left_behind.extend(notes.left_behind);
        self.kept.extend(notes.kept);
        self.noise.extend(notes.noise);
        self.flaky.extend(notes.flaky);
    }

    /// Brings everything into an order that does not depend on what ran first.
    pub fn sort(&mut self) {
        self.left_behind.sort();
        self.kept.sort();
        self.noise.sort_by(|one, other| {
            (&one.scenario, &one.step, &one.path).cmp(&(&other.scenario, &other.step, &other.path))
        });
        self.flaky.sort_by(|one, other| {
            (&one.scenario, &one.step, &one.path).cmp(&(&other.scenario, &other.step, &other.path))
        });
    }

    /// Whether something of the engine's was not compared because the legacy does not agree with itself there.
    #[must_use]
    pub fn hides(&self) -> bool {
        self.noise.iter().any(|one| one.hides)
    }

    /// The sections for people: a heading and its lines.
    #[must_use]
    pub(super) fn sections(&self) -> Vec<(&'static str, Vec<String>)> {
        let stayed = |one: &Stayed| format!("{}, {}: {}", one.side, one.scenario, one.what);
        let noise = |one: &Noise| {
            let mut line = format!(
                "{}, step `{}`, `{}`: the legacy showed {}, then {}",
                one.scenario,
                one.step,
                one.path,
                shown(one.first.as_ref()),
                shown(one.second.as_ref())
            );
            if one.hides {
                let _ = write!(line, "; the engine, not compared, {}", shown(one.engine.as_ref()));
            }
            let _ = write!(
                line,
                ". A mask no wider than this place: at = {{ \"{}\" = [\"{}\"] }}, differ = [{{ path = \"{}\", legacy = {{ matches = \"…\" }}, engine = {{ matches = \"…\" }} }}]",
                one.scenario, one.step, one.path
            );
            line
        };
        let flaky = |one: &Flaky| {
            format!(
                "{}, step `{}`, `{}`: differed in {} of {} runs",
                one.scenario, one.step, one.path, one.differed, one.runs
            )
        };
        let all: [(&'static str, Vec<String>); 4] = [
            (
                "Left behind, because no route removes it",
                self.left_behind.iter().map(stayed).collect(),
            ),
            ("Roots that were kept", self.kept.iter().map(stayed).collect()),
            (
                "Noise: the legacy does not agree with itself",
                self.noise.iter().map(noise).collect(),
            ),
            ("Flaky", self.flaky.iter().map(flaky).collect()),
        ];
        all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
    }
}
