//! Differences and the register together give a verdict for each scenario.
//!
//! Long because what a verdict is made from, and what it says, are read together.

use super::steps::{AFTER_STEP, Wording};
use super::value::Constraint;
use super::{Entry, Expectation, LegacySide, Register, Row, StepNames, covers};
use crate::diff::{BothSpans, Difference, Kind, diff_and_count};
use crate::mask::Masked;
use crate::normalize::{NormalStep, Normalized};
use crate::scenario::names::START;
use crate::transcript::Missed;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Where an event stands that only one side received.
const EVENT: &str = "/sockets/*/events/*";

/// One scenario as it went.
#[derive(Clone, Debug)]
pub struct Ran {
    /// `<area>/<name>`.
    pub scenario: String,
    /// What its steps are called.
    pub names: StepNames,
    /// When the legacy's and the engine's side began, as Unix time in microseconds; nothing where the differences say
    /// times as the register does.
    pub started_at_us: Option<[i64; 2]>,
    /// Number and label of every step that showed something on either side; a label of an HTTP step begins with
    /// method and path.
    pub steps: Vec<(u32, String)>,
    /// Steps that could not be done or watched, and why: they are not compared.
    pub not_compared: BTreeMap<u32, String>,
    /// What was left, where nobody has looked at it on the legacy's side: nothing can be expected to differ there.
    pub unseen: Option<u32>,
    /// Steps and paths that were not compared, because the legacy does not agree with itself on them.
    pub noisy: Vec<(u32, String)>,
    /// What [`crate::diff::diff`] found; or why it could not run.
    pub outcome: Result<Vec<Difference>, String>,
    /// Whether there is no legacy's side: the register has nothing to say then.
    pub is_alone: bool,
    /// What the legacy's side was.
    pub legacy_side: LegacySide,
    /// How far times of the legacy's and the engine's side may lie from those that the register expects, where a clock ran
    /// by itself; nothing where the clock was the recording's.
    pub slack: Option<[Slack; 2]>,
    /// Why the scenario did not come to its end, where it did not: what stands above is what was learned until then.
    pub broken: Option<String>,
    /// How often something was not looked at.
    pub masked: Masked,
    /// The same scenario in the runs before, where it ran several times: each is judged by itself.
    pub earlier: Vec<Ran>,
}

impl Ran {
    /// Compares a scenario's two sides. A step that failed on both sides shows nothing about either server.
    #[must_use]
    pub fn compare(legacy: &Normalized, engine: &Normalized, spans: &BothSpans, names: StepNames) -> Self {
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
        let looked_at = |step: &&NormalStep| !legacy.did_not_look_at(step.step);
        for step in legacy.steps.iter().chain(&engine.steps).filter(looked_at) {
            steps.insert(step.step, step.label.clone());
        }
        let unseen = engine.steps.iter().map(|step| step.step);
        let unseen = unseen.filter(|step| legacy.did_not_look_at(*step)).max();
        let (differences, masked) = diff_and_count(legacy, engine, spans);
        Self {
            unseen,
            noisy: Vec::new(),
            scenario: engine.scenario.clone(),
            names,
            masked,
            started_at_us: Some([legacy.started_at_us, engine.started_at_us]),
            steps: steps.into_iter().collect(),
            not_compared: failed(engine)
                .into_iter()
                .filter(|(step, _)| by_legacy.contains_key(step))
                .collect(),
            outcome: Ok(differences),
            is_alone: false,
            legacy_side: LegacySide::Recorded,
            slack: None,
            broken: None,
            earlier: Vec::new(),
        }
    }

    /// Nothing of it was compared, for this reason.
    #[must_use]
    pub fn not_compared(scenario: &str, names: StepNames, reason: &str) -> Self {
        let all = names.clone().into_all().into_keys();
        let mut not_compared: BTreeMap<u32, String> = all.map(|step| (step, reason.to_owned())).collect();
        not_compared.insert(0, reason.to_owned());
        Self {
            names,
            not_compared,
            outcome: Ok(Vec::new()),
            ..Self::could_not_run(scenario, String::new())
        }
    }

    /// Adds steps that were not compared, and why.
    #[must_use]
    pub fn without(mut self, steps: BTreeMap<u32, String>) -> Self {
        self.not_compared.extend(steps);
        self
    }

    /// Adds what the scenario itself expects and was not shown: the legacy's side is what was expected.
    #[must_use]
    pub fn with_missed(mut self, missed: &[Missed]) -> Self {
        let differences = missed.iter().map(|missed| Difference {
            scenario: self.scenario.clone(),
            step: missed.step,
            label: missed.label.clone(),
            path: missed.what.path.clone(),
            kind: match missed.what.found {
                Some(_) => Kind::Value,
                None => Kind::Missing,
            },
            legacy: Some(missed.what.expected.clone()),
            engine: missed.what.found.clone(),
        });
        let differences: Vec<_> = differences.collect();
        if let Ok(all) = &mut self.outcome {
            all.extend(differences);
        }
        self
    }

    /// Adds what the engine's side hid before it was compared.
    #[must_use]
    pub fn with_masked(mut self, masked: &Masked) -> Self {
        self.masked.add(masked);
        self
    }

    /// A difference in the words of the register.
    fn worded(&self, difference: &Difference) -> Difference {
        let side = |side: usize, value: &Option<Value>| {
            let wording = Wording {
                names: &self.names,
                started_at_us: self.started_at_us.and_then(|both| both.get(side).copied()),
                is_heard: difference.path.starts_with("/sockets/"),
            };
            value.as_ref().map(|value| wording.side(&difference.path, value))
        };
        Difference {
            legacy: side(0, &difference.legacy),
            engine: side(1, &difference.engine),
            ..difference.clone()
        }
    }

    /// A scenario that could not run.
    #[must_use]
    pub fn could_not_run(scenario: &str, reason: String) -> Self {
        Self {
            scenario: scenario.to_owned(),
            names: StepNames::default(),
            started_at_us: None,
            steps: Vec::new(),
            not_compared: BTreeMap::new(),
            unseen: None,
            noisy: Vec::new(),
            outcome: Err(reason),
            masked: Masked::default(),
            is_alone: false,
            legacy_side: LegacySide::Recorded,
            slack: None,
            broken: None,
            earlier: Vec::new(),
        }
    }
}

/// By how much later than the register says a side did what it did: each step with the least and the most that it was
/// late, in microseconds. What was early has a negative number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slack(Vec<(u32, i64, i64)>);

impl Slack {
    /// Of these steps.
    #[must_use]
    pub fn new(steps: impl IntoIterator<Item = (u32, i64, i64)>) -> Self {
        Self(steps.into_iter().collect())
    }

    /// Of what a step shows: it was made in this step or in one before.
    fn until(&self, step: u32) -> Vec<RangeInclusive<i64>> {
        let past = self.0.iter().filter(|(at, ..)| *at <= step);
        past.map(|(_, least, most)| *least..=*most).collect()
    }
}

/// The outcomes; an accepted difference is a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything compared is the same.
    Same,
    /// All that differs is expected, and all that is expected differs.
    Accepted,
    /// There is no legacy side: neither a recording nor a server. It does what it says itself, and nothing was compared.
    Alone,
    /// Something differs that is not expected, or something expected differs no longer.
    Different,
    /// No step could be compared.
    NotCompared,
    /// It could not run: the engine does not start, or there is nothing to compare with.
    CouldNotRun,
}

/// A place that an entry names and that does not show the difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unmet {
    /// The entry.
    pub entry: String,
    /// The step; 0 where the entry names none.
    pub step: u32,
    /// What the entry calls the step; nothing where it names none.
    pub name: Option<String>,
    /// The path.
    pub path: String,
}

/// A difference that an entry accepted until its last day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expired {
    /// Where it stands in [`Verdict::different`], from 0.
    pub difference: usize,
    /// The entry.
    pub entry: String,
}

/// What was found about one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `<area>/<name>`.
    pub scenario: String,
    /// The outcome of what was compared.
    pub outcome: Outcome,
    /// What the steps are called, by their places; also what is seen once they are over.
    pub steps: BTreeMap<u32, String>,
    /// How many steps were compared.
    pub compared_steps: usize,
    /// How many steps were held against what the scenario itself says, because there is no legacy side; nothing where there
    /// is one.
    pub alone_steps: Option<usize>,
    /// Accepted differences, each with the entry that accepts it.
    pub accepted: Vec<(String, Difference)>,
    /// Differences that nothing accepts.
    pub different: Vec<Difference>,
    /// Which of them entries would accept that have expired.
    pub expired: Vec<Expired>,
    /// Places that should differ and do not.
    pub unmet: Vec<Unmet>,
    /// Steps that were not compared and why; step 0 stands for the whole scenario.
    pub not_compared: BTreeMap<u32, String>,
}

/// All verdicts, and what is wrong with the register itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// In the order in which the scenarios were given.
    pub verdicts: Vec<Verdict>,
    /// Entries whose last day is past.
    pub expired_entries: Vec<String>,
}

/// Judges what ran.
#[must_use]
pub fn judge(register: &Register, ran: &[Ran], today: Date) -> Judgement {
    let (alive, expired): (Vec<&Entry>, Vec<&Entry>) =
        register.entries.iter().partition(|entry| entry.is_alive(today));
    Judgement {
        verdicts: ran
            .iter()
            .map(|one| verdict_of_all(&alive, &expired, one))
            .collect(),
        expired_entries: expired.iter().map(|one| one.id.clone()).collect(),
    }
}

/// The verdict on a scenario that ran once or several times: what any run shows counts.
fn verdict_of_all(entries: &[&Entry], expired: &[&Entry], ran: &Ran) -> Verdict {
    let mut out = verdict(entries, expired, ran);
    for earlier in &ran.earlier {
        out.add(verdict(entries, expired, earlier));
    }
    out
}

impl Verdict {
    /// Adds what another run of the same scenario showed.
    fn add(&mut self, other: Self) {
        for accepted in other.accepted {
            if !self.accepted.contains(&accepted) {
                self.accepted.push(accepted);
            }
        }
        for (at, difference) in other.different.into_iter().enumerate() {
            if self.different.contains(&difference) {
                continue;
            }
            let once = other.expired.iter().find(|expired| expired.difference == at);
            self.expired.extend(once.map(|expired| Expired {
                difference: self.different.len(),
                entry: expired.entry.clone(),
            }));
            self.different.push(difference);
        }
        for unmet in other.unmet {
            if !self.unmet.contains(&unmet) {
                self.unmet.push(unmet);
            }
        }
        for (step, reason) in other.not_compared {
            self.not_compared.entry(step).or_insert(reason);
        }
        self.compared_steps = self.compared_steps.min(other.compared_steps);
        let worst = self.outcome.max(other.outcome);
        let differs = !self.different.is_empty() || !self.unmet.is_empty();
        self.outcome = if differs && worst != Outcome::CouldNotRun {
            Outcome::Different
        } else {
            worst
        };
    }
}

fn verdict(entries: &[&Entry], expired: &[&Entry], ran: &Ran) -> Verdict {
    let (entries, expired) = if ran.is_alone {
        (&[][..], &[][..])
    } else {
        (entries, expired)
    };
    let mut out = Verdict {
        scenario: ran.scenario.clone(),
        outcome: Outcome::NotCompared,
        steps: ran.names.clone().into_all(),
        compared_steps: 0,
        alone_steps: ran.is_alone.then_some(0),
        accepted: Vec::new(),
        different: Vec::new(),
        expired: Vec::new(),
        unmet: Vec::new(),
        not_compared: ran.not_compared.clone(),
    };
    let differences = match &ran.outcome {
        Ok(differences) => differences,
        Err(reason) => {
            out.not_compared.insert(0, reason.clone());
            out.outcome = Outcome::CouldNotRun;
            return out;
        }
    };
    if let Some(reason) = &ran.broken {
        out.not_compared.insert(0, reason.clone());
    }
    for (step, _) in &ran.steps {
        if let Some(reason) = cut_off(entries, ran, *step) {
            out.not_compared.insert(*step, reason);
        } else if !out.not_compared.contains_key(step) {
            *out.alone_steps.as_mut().unwrap_or(&mut out.compared_steps) += 1;
        }
    }
    let compared: Vec<Difference> = differences
        .iter()
        .filter(|difference| !out.not_compared.contains_key(&difference.step))
        .map(|difference| ran.worded(difference))
        .collect();
    let mut accepted_by: Vec<Option<&str>> = vec![None; compared.len()];
    for entry in entries {
        for expectation in &entry.expectations {
            for unmet in meet(entry, expectation, ran, &compared, &mut accepted_by) {
                // A step that was not compared has shown nothing, neither this nor the contrary.
                let is_unseen = ran.unseen == Some(unmet.step);
                let is_noisy =
                    |(step, path): &(u32, String)| *step == unmet.step && covers(&unmet.path, path);
                if !is_unseen
                    && !ran.noisy.iter().any(is_noisy)
                    && !out.not_compared.contains_key(&unmet.step)
                {
                    out.unmet.push(unmet);
                }
            }
        }
    }
    let mut once_accepted_by: Vec<Option<&str>> = vec![None; compared.len()];
    for entry in expired {
        for expectation in &entry.expectations {
            meet(entry, expectation, ran, &compared, &mut once_accepted_by);
        }
    }
    for ((difference, entry), once) in compared.into_iter().zip(accepted_by).zip(once_accepted_by) {
        match entry {
            Some(id) => out.accepted.push((id.to_owned(), difference)),
            None => {
                out.expired.extend(once.map(|entry| Expired {
                    difference: out.different.len(),
                    entry: entry.to_owned(),
                }));
                out.different.push(difference);
            }
        }
    }
    out.outcome = if ran.broken.is_some() {
        Outcome::CouldNotRun
    } else if !out.different.is_empty() || !out.unmet.is_empty() {
        Outcome::Different
    } else if ran.is_alone {
        Outcome::Alone
    } else if !out.accepted.is_empty() {
        Outcome::Accepted
    } else if out.compared_steps == 0 {
        Outcome::NotCompared
    } else {
        Outcome::Same
    };
    out
}

/// Holds an expectation against the differences of one scenario: those that fit are marked with the entry, places that
/// show none come back.
fn meet<'e>(
    entry: &'e Entry,
    expectation: &Expectation,
    ran: &Ran,
    differences: &[Difference],
    accepted_by: &mut [Option<&'e str>],
) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    let is_of_another_side = expectation
        .legacy_side
        .is_some_and(|side| side != ran.legacy_side);
    if is_of_another_side || expectation.except.contains(&ran.scenario) {
        return Vec::new();
    }
    let here = expectation
        .places
        .iter()
        .filter(|place| covers(&place.scenarios, &ran.scenario));
    for place in here {
        let steps: Vec<Option<&String>> = match &place.steps {
            Some(steps) => steps.iter().map(Some).collect(),
            None => vec![None],
        };
        for name in steps {
            let step = name.and_then(|name| ran.names.number(name));
            let (mut seen_here, mut unmet_here) = (false, Vec::new());
            for row in &expectation.rows {
                let mut seen = false;
                for (difference, accepted) in differences.iter().zip(accepted_by.iter_mut()) {
                    let here = name.is_none() || step == Some(difference.step);
                    if here && fits(row, difference, ran) {
                        accepted.get_or_insert(&entry.id);
                        seen = true;
                    }
                }
                // Where the clock ran by itself a moment may be another one, and then it differs in no way.
                let of_moment = ran.slack.is_some() && row.is_of_moment();
                seen_here |= seen;
                if !seen && !of_moment {
                    unmet_here.push(Unmet {
                        entry: entry.id.clone(),
                        step: step.unwrap_or_default(),
                        name: name.cloned(),
                        path: row.path.clone(),
                    });
                }
            }
            if seen_here || expectation.may_be_same.is_none() {
                unmet.append(&mut unmet_here);
            }
        }
    }
    unmet
}

fn fits(row: &Row, difference: &Difference, ran: &Ran) -> bool {
    let [of_legacy, of_engine] = match &ran.slack {
        Some(slack) => slack.each_ref().map(|side| side.until(difference.step)),
        None => [Vec::new(), Vec::new()],
    };
    let side = |wanted: &Constraint, shown: Option<&Value>, later_us: &[RangeInclusive<i64>]| {
        let near = |shown: Option<&Value>| wanted.fits(shown) || wanted.fits_later(shown, later_us);
        near(shown)
            || (covers(EVENT, &difference.path)
                && event_moved_by_one_step(wanted, shown, &ran.names).is_some_and(|moved| near(Some(&moved))))
    };
    covers(&row.path, &difference.path)
        && side(&row.legacy, difference.legacy.as_ref(), &of_legacy)
        && side(&row.engine, difference.engine.as_ref(), &of_engine)
}

/// The step that a value names.
fn step_of(name: &Value, names: &StepNames) -> Option<u32> {
    match name.as_str()? {
        START => Some(0),
        name => names.number(name),
    }
}

/// An event that only one side received, as it is wanted if it came during a neighbouring step ([`Mask::EventStep`]).
fn event_moved_by_one_step(wanted: &Constraint, shown: Option<&Value>, names: &StepNames) -> Option<Value> {
    let Constraint::Equals(Value::Object(wanted)) = wanted else {
        return None;
    };
    let step = |event: &Map<String, Value>| step_of(event.get(AFTER_STEP)?, names);
    let mut moved = shown?.as_object()?.clone();
    let near = step(wanted)?.abs_diff(step(&moved)?) <= 1;
    let at = wanted.get(AFTER_STEP)?.clone();
    near.then(|| {
        moved.insert(AFTER_STEP.to_owned(), at);
        Value::Object(moved)
    })
}

/// Why a step is not compared, if a mended defect has changed what came before it.
fn cut_off(entries: &[&Entry], ran: &Ran, step: u32) -> Option<String> {
    let from = |entry: &Entry| {
        let cut_off = entry.not_compared_from_step.get(&ran.scenario)?;
        let is_here = cut_off.legacy_side.is_none_or(|side| side == ran.legacy_side);
        is_here.then(|| ran.names.number(&cut_off.step)).flatten()
    };
    entries
        .iter()
        .find(|entry| from(entry).is_some_and(|from| step >= from))
        .map(|entry| format!("{}: {}", entry.id, entry.reason))
}
