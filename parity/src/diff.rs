//! Two normalised transcripts become a list of differences.
//!
//! Long because every kind of value is compared in one walk.

mod aliases;
mod alignment;
mod display;
mod opened;
mod stamps;

pub(crate) use stamps::EARLIEST_START_US;
pub use stamps::{BothSpans, Spans};

use crate::mask::{DURATIONS, Mask, Masked};
use crate::normalize::{NormalStep, Normalized, is_shortest, join};
use aliases::Aliases;
use display::Displays;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use stamps::Stamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is different about a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only the legacy has it.
    Missing,
    /// Only the engine has it.
    Extra,
    /// Both have it, of one type, with different values.
    Value,
    /// Both have it, with different types.
    Type,
}

/// One place at which the two sides differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// `<area>/<name>`.
    pub scenario: String,
    /// The step's number.
    pub step: u32,
    /// The step in one line, for people.
    pub label: String,
    /// The place, as a JSON pointer: `/status`, `/headers/vary`, `/body/approvals/0/guid`, `/rows/2/status`.
    pub path: String,
    /// The kind of difference.
    pub kind: Kind,
    /// The legacy's value; none where it has nothing there. A JSON null is a value.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub legacy: Option<Value>,
    /// The engine's value; none where it has nothing there.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub engine: Option<Value>,
}

/// Serde would read a null as "nothing there"; here nothing is an absent field, and a null is a value.
fn present<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

/// The last segment of the path of a difference in the order of an object's members.
pub const ORDER: &str = "<order>";

/// Compares what the legacy showed with what the engine showed.
#[must_use]
pub fn diff(legacy: &Normalized, engine: &Normalized, spans: &BothSpans) -> Vec<Difference> {
    diff_and_count(legacy, engine, spans).0
}

/// As [`diff`]; says also how often each mask of the comparison was used.
#[must_use]
pub fn diff_and_count(
    legacy: &Normalized,
    engine: &Normalized,
    spans: &BothSpans,
) -> (Vec<Difference>, Masked) {
    let mut comparison = Comparison::new(legacy, engine, spans);
    let mut out = Vec::new();
    for (number, left, right) in paired(legacy, engine) {
        if legacy.did_not_look_at(number) {
            comparison.masked.note(Mask::NobodyLooked);
            continue;
        }
        out.append(&mut comparison.step(left, right));
    }
    (out, comparison.masked)
}

/// A step's number, and what either side showed in it.
pub(crate) type Paired<'a> = (u32, Option<&'a NormalStep>, Option<&'a NormalStep>);

/// The steps of both sides, in their order.
pub(crate) fn paired<'a>(legacy: &'a Normalized, engine: &'a Normalized) -> Vec<Paired<'a>> {
    let ours: BTreeMap<u32, &NormalStep> = engine.steps.iter().map(|step| (step.step, step)).collect();
    let theirs: BTreeMap<u32, &NormalStep> = legacy.steps.iter().map(|step| (step.step, step)).collect();
    let numbers: BTreeSet<u32> = theirs.keys().chain(ours.keys()).copied().collect();
    numbers
        .into_iter()
        .map(|number| (number, theirs.get(&number).copied(), ours.get(&number).copied()))
        .collect()
}

/// A comparison step by step: all that one step leaves to the next are the names that are tied to each other.
#[derive(Clone, Debug)]
pub(crate) struct Comparison<'a> {
    scenario: &'a str,
    starts: (i64, i64),
    spans: &'a BothSpans,
    aliases: Aliases,
    displays: Displays,
    /// How often each mask was used.
    masked: Masked,
}

impl PartialEq for Comparison<'_> {
    /// Whether what follows is judged in the same way: the ties and times in words decide, the counts do not.
    fn eq(&self, other: &Self) -> bool {
        self.aliases == other.aliases && self.displays == other.displays
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(legacy: &'a Normalized, engine: &Normalized, spans: &'a BothSpans) -> Self {
        Self {
            scenario: &legacy.scenario,
            starts: (legacy.started_at_us, engine.started_at_us),
            spans,
            aliases: Aliases::default(),
            displays: Displays::default(),
            masked: Masked::default(),
        }
    }

    /// Compares the next step.
    pub(crate) fn step(&mut self, left: Option<&NormalStep>, right: Option<&NormalStep>) -> Vec<Difference> {
        let Some(step) = right.or(left) else {
            return Vec::new();
        };
        self.displays.note(left, right);
        let mut walk = Walk {
            displays: &self.displays,
            scenario: self.scenario,
            step: step.step,
            label: &step.label,
            spans: self.spans,
            aliases: &mut self.aliases,
            masked: &mut self.masked,
            starts: self.starts,
            stamps: Vec::new(),
            retry_after: (retry_after(left), retry_after(right)),
            out: Vec::new(),
        };
        match (left, right) {
            (Some(left), Some(right)) => {
                let filled = opened::by_the_contract(&left.seen, &right.seen);
                walk.values("", filled.as_ref().unwrap_or(&left.seen), &right.seen);
            }
            (left, right) => walk.one_sided("", left.map(|step| &step.seen), right.map(|step| &step.seen)),
        }
        walk.identity();
        walk.out
    }
}

struct Walk<'a> {
    scenario: &'a str,
    step: u32,
    label: &'a str,
    spans: &'a BothSpans,
    aliases: &'a mut Aliases,
    displays: &'a Displays,
    masked: &'a mut Masked,
    starts: (i64, i64),
    /// Stamps that passed one by one: their path and both sides.
    stamps: Vec<(String, Stamp, Stamp)>,
    /// The whole seconds of `retry_after` in the bodies of both sides.
    retry_after: (Option<String>, Option<String>),
    out: Vec<Difference>,
}

/// The whole seconds of `retry_after` in a body.
fn retry_after(step: Option<&NormalStep>) -> Option<String> {
    let text = step?.seen.pointer("/body/retry_after")?.as_number()?.to_string();
    Some(text.split_once('.')?.0.to_owned())
}

impl Walk<'_> {
    fn push(&mut self, path: &str, kind: Kind, legacy: Option<&Value>, engine: Option<&Value>) {
        self.out.push(Difference {
            scenario: self.scenario.to_owned(),
            step: self.step,
            label: self.label.to_owned(),
            path: path.to_owned(),
            kind,
            legacy: legacy.cloned(),
            engine: engine.cloned(),
        });
    }

    fn one_sided(&mut self, path: &str, legacy: Option<&Value>, engine: Option<&Value>) {
        match (legacy, engine) {
            (Some(value), None) => self.push(path, Kind::Missing, Some(value), None),
            (None, Some(value)) => self.push(path, Kind::Extra, None, Some(value)),
            (Some(legacy), Some(engine)) => self.values(path, legacy, engine),
            (None, None) => {}
        }
    }

    fn values(&mut self, path: &str, legacy: &Value, engine: &Value) {
        if let (Some(left), Some(right)) = (Stamp::read(legacy), Stamp::read(engine)) {
            if stamps::equal(&left, &right, self.spans, self.step, self.starts) {
                if self.starts.0 + left.offset_us != self.starts.1 + right.offset_us {
                    self.masked.note(Mask::Moment);
                }
                self.stamps.push((path.to_owned(), left, right));
            } else {
                self.push(path, Kind::Value, Some(legacy), Some(engine));
            }
            return;
        }
        match (legacy, engine) {
            (Value::Object(left), Value::Object(right)) => self.objects(path, left, right),
            (Value::Array(left), Value::Array(right)) if alignment::is_aligned(path) => {
                for (at, one, other) in alignment::pairs(left, right) {
                    self.one_sided(&join(path, &at.to_string()), one, other);
                }
            }
            (Value::Array(left), Value::Array(right)) => {
                for at in 0..left.len().max(right.len()) {
                    self.one_sided(&join(path, &at.to_string()), left.get(at), right.get(at));
                }
            }
            (Value::String(left), Value::String(right)) => {
                // Even equal texts may differ: one of their names can be tied to another one.
                let equal = self.aliases.equal(left, right);
                if !equal {
                    self.push(path, Kind::Value, Some(legacy), Some(engine));
                }
            }
            (Value::Number(left), Value::Number(right)) => {
                let same_type =
                    left.to_string().contains(['.', 'e', 'E']) == right.to_string().contains(['.', 'e', 'E']);
                if !same_type {
                    self.push(path, Kind::Type, Some(legacy), Some(engine));
                } else if !self.equal_numbers(path, left, right) {
                    self.push(path, Kind::Value, Some(legacy), Some(engine));
                }
            }
            _ if type_of(legacy) != type_of(engine) => {
                self.push(path, Kind::Type, Some(legacy), Some(engine));
            }
            _ if legacy != engine => self.push(path, Kind::Value, Some(legacy), Some(engine)),
            _ => {}
        }
    }

    fn objects(&mut self, path: &str, left: &Map<String, Value>, right: &Map<String, Value>) {
        let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
        for key in keys {
            self.one_sided(&join(path, key), left.get(key), right.get(key));
        }
        // Members that one side lacks are told above; their neighbours stand in the same order nevertheless.
        let order = |one: &Map<String, Value>, other: &Map<String, Value>| -> Vec<String> {
            one.keys()
                .filter(|key| other.contains_key(*key))
                .cloned()
                .collect()
        };
        let (one, other) = (order(left, right), order(right, left));
        if one.len() < left.len() || other.len() < right.len() {
            self.masked.note(Mask::OneSided);
        }
        if one != other {
            self.push(
                &join(path, ORDER),
                Kind::Value,
                Some(&json!(one)),
                Some(&json!(other)),
            );
        }
    }

    /// Exact stamps that are equal to each other on one side of an answer must be so on the other; of what stands beside
    /// the steps, those of one row or event, because the others come from different moments.
    fn identity(&mut self) {
        let mut together: BTreeMap<String, Vec<(String, Stamp, Stamp)>> = BTreeMap::new();
        for stamp in std::mem::take(&mut self.stamps) {
            if stamp.1.is_exact() {
                together
                    .entry(alignment::element(&stamp.0))
                    .or_default()
                    .push(stamp);
            }
        }
        for exact in together.into_values() {
            self.identity_of(&exact);
        }
    }

    fn identity_of(&mut self, exact: &[(String, Stamp, Stamp)]) {
        let mut by_legacy: BTreeMap<i64, (&str, i64)> = BTreeMap::new();
        let mut by_engine: BTreeMap<i64, (&str, i64)> = BTreeMap::new();
        for (path, left, right) in exact {
            let (l, e) = (left.offset_us, right.offset_us);
            let first = by_legacy.entry(l).or_insert((path, e));
            let split = (first.1 != e).then_some(first.0);
            let apart_by_engine = first.1.abs_diff(e);
            let first = by_engine.entry(e).or_insert((path, l));
            let merged = (first.1 != l).then_some(first.0);
            let apart_by_legacy = first.1.abs_diff(l);
            // A recording means it; of a clock that runs, readings next to each other can fall into one microsecond.
            let by_chance = split.is_none_or(|_| self.spans.legacy.may_coincide(apart_by_engine))
                && merged.is_none_or(|_| self.spans.engine.may_coincide(apart_by_legacy));
            if let Some(other) = split.or(merged) {
                if by_chance {
                    self.masked.note(Mask::Moment);
                    continue;
                }
                let tie = |equal: bool| {
                    json!(format!(
                        "{} {other}",
                        if equal {
                            "same instant as"
                        } else {
                            "another instant than"
                        }
                    ))
                };
                self.push(
                    path,
                    Kind::Value,
                    Some(&tie(split.is_some())),
                    Some(&tie(split.is_none())),
                );
            }
        }
    }
}

impl Walk<'_> {
    /// Whether two numbers of one type are equal, or a mask says that their difference is none.
    fn equal_numbers(&mut self, path: &str, legacy: &Number, engine: &Number) -> bool {
        // By their text: a float would make 1.10 of 1.1, and lose the last digits of large numbers.
        if legacy.as_str() == engine.as_str() {
            // Which of them are equal is chance, so all are counted: a run's numbers are the same in every run.
            if is_event_step(path) {
                self.masked.note(Mask::EventStep);
            }
            return true;
        }
        if path == "/headers/content-length"
            && let (Some(left), Some(right)) = (legacy.as_i64(), engine.as_i64())
            && self
                .displays
                .explains(self.label, self.step, (left, right), self.spans, self.starts)
        {
            return true;
        }
        let mask = self.hides(path, legacy, engine);
        mask.into_iter().for_each(|mask| self.masked.note(mask));
        mask.is_some()
    }

    /// The mask that hides the difference of two numbers.
    fn hides(&self, path: &str, legacy: &Number, engine: &Number) -> Option<Mask> {
        if is_event_step(path) {
            let may = self.spans.may_be_one_event(legacy.as_u64()?, engine.as_u64()?);
            return may.then_some(Mask::EventStep);
        }
        if opened::is_the_decided_limit(path, legacy, engine) {
            return Some(Mask::PayloadLimit);
        }
        // The header holds the whole seconds of what the body says, whose own difference is looked at there.
        if path == "/headers/retry-after" {
            let as_in_the_body = self.retry_after == (Some(legacy.to_string()), Some(engine.to_string()));
            return as_in_the_body.then_some(Mask::Duration);
        }
        let field = path.rsplit('/').next().unwrap_or_default();
        let whole = |number: &Number| number.is_i64() || number.is_u64();
        if !DURATIONS.contains(&field) || whole(legacy) || whole(engine) {
            return None;
        }
        if !(is_shortest(legacy) && is_shortest(engine)) {
            return None;
        }
        let equal = self
            .spans
            .equal_durations(legacy.as_f64()?, engine.as_f64()?, self.step);
        equal.then_some(Mask::Duration)
    }
}

/// Whether it stands there after which step a socket received an event.
fn is_event_step(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').collect();
    matches!(segments.as_slice(), ["", "sockets", _, "events", _, "after_step"])
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
