//! Differences and the register together give a verdict for each scenario.

use super::{Register, covers};
use crate::diff::{Difference, Spans, diff};
use crate::normalize::Normalized;
use crate::transcript::Notice;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One scenario as it went.
#[derive(Clone, Debug)]
pub struct Ran {
    /// `<area>/<name>`.
    pub scenario: String,
    /// Number and label of every step that showed something on either side; a label of an HTTP step begins with
    /// method and path.
    pub steps: Vec<(u32, String)>,
    /// Steps that could not be done or watched, and why: they are not compared.
    pub not_compared: BTreeMap<u32, String>,
    /// What socket clients showed beside the steps.
    pub notices: Vec<Notice>,
    /// What [`crate::diff::diff`] found; or why nothing could be compared.
    pub outcome: Result<Vec<Difference>, String>,
}

impl Ran {
    /// Compares a scenario's two sides. A step that failed on both sides shows nothing about either server.
    #[must_use]
    pub fn compare(legacy: &Normalized, engine: &Normalized, spans: &Spans) -> Self {
        let failed = |side: &Normalized| -> BTreeMap<u32, String> {
            let reason = |seen: &Value| {
                seen.get("failed")
                    .map(|reason| reason.as_str().unwrap_or_default().to_owned())
            };
            side.steps
                .iter()
                .filter_map(|step| Some((step.step, reason(&step.seen)?)))
                .collect()
        };
        let by_legacy = failed(legacy);
        let mut steps: BTreeMap<u32, String> = BTreeMap::new();
        for step in legacy.steps.iter().chain(&engine.steps) {
            steps.insert(step.step, step.label.clone());
        }
        Self {
            scenario: engine.scenario.clone(),
            steps: steps.into_iter().collect(),
            not_compared: failed(engine)
                .into_iter()
                .filter(|(step, _)| by_legacy.contains_key(step))
                .collect(),
            notices: Vec::new(),
            outcome: Ok(diff(legacy, engine, spans)),
        }
    }

    /// Adds what socket clients showed beside the steps.
    #[must_use]
    pub fn with_notices(self, notices: Vec<Notice>) -> Self {
        Self { notices, ..self }
    }

    /// A scenario of which nothing could be compared.
    #[must_use]
    pub fn not_compared(scenario: &str, reason: String) -> Self {
        Self {
            scenario: scenario.to_owned(),
            steps: Vec::new(),
            not_compared: BTreeMap::new(),
            notices: Vec::new(),
            outcome: Err(reason),
        }
    }
}

/// The three outcomes; an accepted difference is a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything compared is the same.
    Same,
    /// All that differs stands in the register.
    Accepted,
    /// Something differs that does not stand in the register.
    Different,
    /// No step could be compared.
    NotCompared,
}

/// What was found about one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `<area>/<name>`.
    pub scenario: String,
    /// The outcome of what was compared.
    pub outcome: Outcome,
    /// How many steps were compared.
    pub compared_steps: usize,
    /// Accepted differences, each with the entry that accepts it.
    pub accepted: Vec<(String, Difference)>,
    /// Differences that nothing accepts.
    pub different: Vec<Difference>,
    /// Steps that were not compared and why; step 0 stands for the whole scenario.
    pub not_compared: BTreeMap<u32, String>,
    /// Socket events and closings that no step asked for: they are not compared either.
    #[serde(default)]
    pub notices: Vec<Notice>,
}

/// All verdicts, and what is wrong with the register itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// In the order in which the scenarios were given.
    pub verdicts: Vec<Verdict>,
    /// Entries all of whose scenarios ran, and that matched nothing.
    pub unused_entries: Vec<String>,
    /// Entries whose last day is past.
    pub expired_entries: Vec<String>,
}

/// Judges what ran. `known` are all scenarios that exist: an entry is unused only if every one of them that it names
/// was compared. An entry whose scenarios did not run is not "fixed", it is unknown.
#[must_use]
pub fn judge(register: &Register, ran: &[Ran], known: &[String], today: Date) -> Judgement {
    let mut used = BTreeSet::new();
    let verdicts: Vec<Verdict> = ran
        .iter()
        .map(|one| verdict(register, one, today, &mut used))
        .collect();
    // A scenario that was cut short by something else than the entry itself has not shown that the entry is unused.
    let whole: BTreeSet<&str> = verdicts
        .iter()
        .filter(|one| one.not_compared.is_empty())
        .map(|one| one.scenario.as_str())
        .collect();
    let unused = register.entries.iter().filter(|entry| {
        let mut all = known.iter().filter(|scenario| entry.names(scenario)).peekable();
        let names_none = all.peek().is_none();
        entry.is_alive(today)
            && !used.contains(&entry.id)
            && (names_none || all.all(|one| whole.contains(one.as_str())))
    });
    Judgement {
        unused_entries: unused.map(|entry| entry.id.clone()).collect(),
        expired_entries: register
            .entries
            .iter()
            .filter(|one| !one.is_alive(today))
            .map(|one| one.id.clone())
            .collect(),
        verdicts,
    }
}

fn verdict(register: &Register, ran: &Ran, today: Date, used: &mut BTreeSet<String>) -> Verdict {
    let mut out = Verdict {
        scenario: ran.scenario.clone(),
        outcome: Outcome::NotCompared,
        compared_steps: 0,
        accepted: Vec::new(),
        different: Vec::new(),
        not_compared: ran.not_compared.clone(),
        notices: ran.notices.clone(),
    };
    let differences = match &ran.outcome {
        Ok(differences) => differences,
        Err(reason) => {
            out.not_compared.insert(0, reason.clone());
            return out;
        }
    };
    for (step, label) in &ran.steps {
        if let Some(reason) = skip(register, &ran.scenario, *step, label, today, used) {
            out.not_compared.insert(*step, reason);
        } else if !out.not_compared.contains_key(step) {
            out.compared_steps += 1;
        }
    }
    for difference in differences {
        if out.not_compared.contains_key(&difference.step) {
            continue;
        }
        match accepting(register, difference, today) {
            Some(id) => {
                used.insert(id.to_owned());
                out.accepted.push((id.to_owned(), difference.clone()));
            }
            None => out.different.push(difference.clone()),
        }
    }
    out.outcome = if !out.different.is_empty() {
        Outcome::Different
    } else if !out.accepted.is_empty() {
        Outcome::Accepted
    } else if out.compared_steps == 0 {
        Outcome::NotCompared
    } else {
        Outcome::Same
    };
    out
}

/// Why a step is not compared, if it is not.
fn skip(
    register: &Register,
    scenario: &str,
    step: u32,
    label: &str,
    today: Date,
    used: &mut BTreeSet<String>,
) -> Option<String> {
    for entry in register.entries.iter().filter(|entry| entry.is_alive(today)) {
        if entry
            .not_compared_from_step
            .get(scenario)
            .is_some_and(|from| step >= *from)
        {
            used.insert(entry.id.clone());
            return Some(format!("{}: {}", entry.id, entry.reason));
        }
    }
    let mut words = label.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    register
        .pending
        .iter()
        .find(|pending| (pending.method == "*" || pending.method == method) && covers(&pending.path, path))
        .map(|pending| pending.reason.clone())
}

fn accepting<'a>(register: &'a Register, difference: &Difference, today: Date) -> Option<&'a str> {
    let fits = |entry: &&super::Entry| {
        entry.is_alive(today)
            && entry.names(&difference.scenario)
            && entry.matches.iter().any(|one| {
                (one.steps.is_empty() || one.steps.contains(&difference.step))
                    && one.paths.iter().any(|pattern| covers(pattern, &difference.path))
                    && one.legacy.fits(difference.legacy.as_ref())
                    && one.engine.fits(difference.engine.as_ref())
            })
    };
    register.entries.iter().find(fits).map(|entry| entry.id.as_str())
}
