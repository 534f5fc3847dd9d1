//! Reports: everything is made from one [`RunReport`], so it can be made again at any time.
//!
//! Long because the report is one type, and its parts say what they mean.

mod files;
pub mod guide;
mod json;
mod junit;
mod live;
mod markdown;
pub(crate) mod page;
mod places;
mod story;
mod terminal;

pub use files::{Folder, FolderError, replace};
pub use json::{read, render as json, schema};
pub use junit::render as junit;
pub use live::{Flaky, LiveNotes, Noise, SideNotes, Stayed};
pub use markdown::{Signed, render as markdown, verify as verify_markdown};
pub use page::render as page;
pub use story::{Shown, Story, StoryStep};
pub use terminal::{last_line, last_words, render as terminal};

use crate::mask::{Masked, NotLookedAt};
use crate::register::{Area, Judgement, Outcome, Register, Verdict};
use crate::transcript::{Notice, NoticeKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// The version of [`RunReport`] that this program writes and reads.
pub const FORMAT: u32 = 6;

/// Everything that one run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunReport {
    /// The version of this structure.
    pub format: u32,
    /// What was compared with what.
    pub provenance: Provenance,
    /// Verdicts, and what is wrong with the register.
    pub judgement: Judgement,
    /// The register's entries, for the table.
    pub entries: Vec<EntryNote>,
    /// Scenarios that the legacy has nothing to compare with, and that were not run: tests hold them against approved
    /// transcripts. They are in no count and no exit code.
    #[serde(default)]
    pub own: Vec<OwnScenario>,
    /// How far the run came, where it was interrupted.
    #[serde(default)]
    pub partial: Option<Partial>,
    /// Why it is no failure that something was not compared; nothing where nobody said so.
    pub allowed_not_compared: Option<String>,
    /// Why the run could not be done at all.
    pub could_not_run: Option<String>,
    /// What parity does not look at, and in how many places of this run it did not.
    pub not_looked_at: Vec<NotLookedAt>,
    /// What is to be said about servers that were not parity's own.
    #[serde(default)]
    pub live: LiveNotes,
    /// What both sides showed, scenario by scenario.
    #[serde(default)]
    pub stories: Vec<Story>,
}

/// What was compared with what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The legacy side: a server, or snapshots with their revision.
    pub legacy: String,
    /// The engine side, with its version.
    pub engine: String,
    /// The revision of the sources that the engine was built from; of a process the SHA-256 of its program.
    pub revision: String,
    /// This program's version, and its revision where the engine is another program.
    pub parity: String,
    /// The day of the run.
    pub date: String,
}

/// How far a run came that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partial {
    /// The scenarios that were over.
    pub ran: usize,
    /// The scenarios that were chosen.
    pub chosen: usize,
}

impl fmt::Display for Partial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ran, chosen } = self;
        write!(out, "the run was interrupted after {ran} of {chosen} scenarios")
    }
}

/// A scenario of the project's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnScenario {
    /// `<area>/<name>`.
    pub scenario: String,
    /// What it shows.
    pub title: String,
}

/// One register entry, as the table shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryNote {
    /// The entry.
    pub id: String,
    /// The name of the defect in `engine/docs/legacy`.
    pub defect: String,
    /// The area.
    pub area: Area,
    /// What the legacy does.
    pub legacy_behaviour: String,
    /// What the engine does.
    pub engine_behaviour: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it is discussed.
    pub ticket: Option<String>,
    /// Its last day.
    pub expires: Option<String>,
    /// How many differences it accepted in this run.
    pub accepted: usize,
}

/// How many scenarios had which outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Scenarios that have a legacy side, whatever came of them.
    pub scenarios: usize,
    /// Scenarios that have none, whatever came of them.
    pub alone: usize,
    /// Steps of these that were held against what the scenario itself says.
    pub alone_steps: usize,
    /// Everything compared is the same.
    pub same: usize,
    /// All that differs stands in the register.
    pub accepted: usize,
    /// There is no legacy side, and the scenario does what it says itself.
    pub as_it_says: usize,
    /// Something unaccepted differs.
    pub different: usize,
    /// No step was compared.
    pub not_compared: usize,
    /// It could not run.
    pub could_not_run: usize,
    /// Steps that were compared.
    pub compared_steps: usize,
    /// Steps that were not.
    pub not_compared_steps: usize,
    /// Differences that are expected.
    pub expected: usize,
    /// Differences that are not.
    pub unexpected: usize,
    /// Places that should differ and do not.
    pub unmet: usize,
}

impl Counts {
    /// Counts verdicts.
    pub fn of<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let mut out = Self::default();
        for verdict in verdicts {
            match verdict.alone_steps {
                Some(steps) => {
                    out.alone += 1;
                    out.alone_steps += steps;
                }
                None => out.scenarios += 1,
            }
            match verdict.outcome {
                Outcome::Same => out.same += 1,
                Outcome::Accepted => out.accepted += 1,
                Outcome::Alone => out.as_it_says += 1,
                Outcome::Different => out.different += 1,
                Outcome::NotCompared => out.not_compared += 1,
                Outcome::CouldNotRun => out.could_not_run += 1,
            }
            out.compared_steps += verdict.compared_steps;
            out.expected += verdict.accepted.len();
            out.unexpected += verdict.different.len();
            out.unmet += verdict.unmet.len();
            out.not_compared_steps += verdict.not_compared.keys().filter(|step| **step > 0).count();
        }
        out
    }
}

/// A report could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another format.
    #[error("{path}: format {found} is too {age}, this parity reads {FORMAT}. Run the comparison again")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// `old` or `new`.
        age: &'static str,
    },
    /// No report.
    #[error("{path}: unreadable: {reason}. Run the comparison again")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl RunReport {
    /// A report of a run that was done.
    #[must_use]
    pub fn new(provenance: Provenance, judgement: Judgement, register: &Register) -> Self {
        let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, _) in judgement.verdicts.iter().flat_map(|verdict| &verdict.accepted) {
            *accepted.entry(id).or_default() += 1;
        }
        let entries = register
            .entries
            .iter()
            .map(|entry| EntryNote {
                id: entry.id.clone(),
                defect: entry.defect.clone(),
                area: entry.area,
                legacy_behaviour: entry.legacy_behaviour.clone(),
                engine_behaviour: entry.engine_behaviour.clone(),
                reason: entry.reason.clone(),
                since: entry.since.to_string(),
                owner: entry.owner.clone(),
                ticket: entry.ticket.clone(),
                expires: entry.expires.map(|day| day.to_string()),
                accepted: accepted.get(entry.id.as_str()).copied().unwrap_or(0),
            })
            .collect();
        Self {
            format: FORMAT,
            provenance,
            entries,
            own: Vec::new(),
            judgement,
            partial: None,
            allowed_not_compared: None,
            could_not_run: None,
            not_looked_at: Masked::default().table(),
            live: LiveNotes::default(),
            stories: Vec::new(),
        }
    }

    /// Adds what is to be said about servers that were not parity's own.
    #[must_use]
    pub fn with_live(self, live: LiveNotes) -> Self {
        Self { live, ..self }
    }

    /// Says in how many places something was not looked at.
    #[must_use]
    pub fn with_masked(self, masked: &Masked) -> Self {
        Self {
            not_looked_at: masked.table(),
            ..self
        }
    }

    /// Adds what both sides showed.
    #[must_use]
    pub fn with_stories(self, stories: Vec<Story>) -> Self {
        Self { stories, ..self }
    }

    /// Adds the scenarios that the legacy has nothing to compare with.
    #[must_use]
    pub fn with_own(self, own: Vec<OwnScenario>) -> Self {
        Self { own, ..self }
    }

    /// Says that the run was interrupted.
    #[must_use]
    pub fn interrupted(self, partial: Option<Partial>) -> Self {
        Self { partial, ..self }
    }

    /// Says why it is no failure that something was not compared.
    #[must_use]
    pub fn allowing_not_compared(self, reason: Option<String>) -> Self {
        Self {
            allowed_not_compared: reason,
            ..self
        }
    }

    /// A report of a run that could not be done.
    #[must_use]
    pub fn failed(provenance: Provenance, reason: String) -> Self {
        let judgement = Judgement {
            verdicts: Vec::new(),
            expired_entries: Vec::new(),
        };
        Self {
            format: FORMAT,
            provenance,
            judgement,
            entries: Vec::new(),
            own: Vec::new(),
            partial: None,
            allowed_not_compared: None,
            could_not_run: Some(reason),
            not_looked_at: Vec::new(),
            live: LiveNotes::default(),
            stories: Vec::new(),
        }
    }

    /// The last day of an entry that has one, as part of a sentence.
    fn last_day(&self, id: &str) -> String {
        let entry = self.entries.iter().find(|entry| entry.id == id);
        let day = entry.and_then(|entry| entry.expires.as_ref());
        day.map(|day| format!(" on {day}")).unwrap_or_default()
    }

    /// The verdicts of one area.
    pub fn in_area(&self, area: Area) -> impl Iterator<Item = &Verdict> {
        self.judgement
            .verdicts
            .iter()
            .filter(move |verdict| Area::of(&verdict.scenario) == area)
    }
}

/// Why the scenarios of the project's own are not compared, and where they are asserted.
const OWN: &str = "The legacy has no such policy, so there is nothing to compare with: what the engine shows is approved \
                   by this project itself, and `cargo test -p parity --test access` asserts it";

/// Why a scenario was held against itself alone.
const ALONE: &str = "No legacy side, neither a recording nor a server, so there was nothing to compare with: held against what \
                     the scenario itself says";

/// How many scenarios have no legacy side, as part of a sentence; nothing where all have one.
fn alone(counts: Counts) -> Option<String> {
    let Counts {
        alone, alone_steps, ..
    } = counts;
    let (scenarios, their, says) = match alone {
        0 => return None,
        1 => ("scenario has", "its", "it says itself"),
        _ => ("scenarios have", "their", "they say themselves"),
    };
    let were = if alone_steps == 1 { "was" } else { "were" };
    Some(format!(
        "{alone} more {scenarios} no legacy side: {alone_steps} of {their} steps {were} held against what {says}"
    ))
}

/// What a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing differs but what is expected to.
    Pass,
    /// Something differs that is not expected, or something expected differs no longer.
    Differs,
    /// Something could not run, or nothing did.
    CouldNotRun,
    /// Something was not compared that was selected.
    NotCompared,
    /// The run was interrupted: what did not run may be anything.
    Interrupted,
}

impl Ending {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Differs => 1,
            Self::CouldNotRun => 2,
            Self::NotCompared => 3,
            // As shells have it for a program that SIGINT ended.
            Self::Interrupted => 130,
        }
    }
}

/// Why something of a scenario was not compared.
pub(crate) fn left_out<'a>(report: &'a RunReport, verdict: &'a Verdict) -> BTreeSet<&'a str> {
    const NOISE: &str = "the legacy does not agree with itself where the engine differs";
    let hides = |one: &Noise| one.hides && one.scenario == verdict.scenario;
    let noise = report.live.noise.iter().any(hides).then_some(NOISE);
    verdict
        .not_compared
        .values()
        .map(String::as_str)
        .chain(noise)
        .collect()
}

/// What a run ends with. That something could not run weighs most: then nothing can be said of it.
#[must_use]
pub fn ending(report: &RunReport) -> Ending {
    let verdicts = &report.judgement.verdicts;
    let any = |outcome: Outcome| verdicts.iter().any(|verdict| verdict.outcome == outcome);
    let left_out = verdicts.iter().any(|verdict| !verdict.not_compared.is_empty());
    if report.partial.is_some() {
        Ending::Interrupted
    } else if report.could_not_run.is_some() || verdicts.is_empty() || any(Outcome::CouldNotRun) {
        Ending::CouldNotRun
    } else if any(Outcome::Different) {
        Ending::Differs
    } else if (left_out || any(Outcome::NotCompared) || report.live.hides())
        && report.allowed_not_compared.is_none()
    {
        Ending::NotCompared
    } else {
        Ending::Pass
    }
}

/// A value for people: compact JSON, cut where it gets long.
fn shown(value: Option<&serde_json::Value>) -> String {
    const LONGEST: usize = 160;
    let Some(value) = value else {
        return "(nothing)".to_owned();
    };
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain("…".chars()).collect()
}

/// Reasons for which steps were not compared, with the number of steps and of scenarios.
fn reasons(report: &RunReport) -> BTreeMap<&str, (usize, usize)> {
    let mut out: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for verdict in &report.judgement.verdicts {
        let mut here: BTreeMap<&str, usize> = BTreeMap::new();
        for (step, reason) in &verdict.not_compared {
            *here.entry(reason).or_default() += usize::from(*step > 0);
        }
        for (reason, steps) in here {
            let entry = out.entry(reason).or_default();
            entry.0 += steps;
            entry.1 += 1;
        }
    }
    out
}

/// What socket clients showed beside the steps, a line for each kind, client and event.
pub(crate) fn notice_lines(notices: &[Notice]) -> Vec<String> {
    let mut out: BTreeMap<String, usize> = BTreeMap::new();
    for notice in notices {
        let Notice { client, event, .. } = notice;
        let line = match notice.kind {
            NoticeKind::NotWaitedFor => format!("{client} received {event}, which no step waits for"),
            NoticeKind::Early => {
                format!("{client} received {event} before an event that an earlier step waits for")
            }
            NoticeKind::Closed => {
                let reason = notice.arguments.first().and_then(|reason| reason.as_str());
                let reason = reason.map(|reason| format!(": {reason}"));
                format!("{client} lost its connection{}", reason.unwrap_or_default())
            }
        };
        *out.entry(line).or_default() += 1;
    }
    let times = |count: usize| match count {
        1 => String::new(),
        count => format!(" ({count} times)"),
    };
    out.into_iter()
        .map(|(line, count)| line + &times(count))
        .collect()
}

#[cfg(test)]
mod tests;
