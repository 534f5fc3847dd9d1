//! Reading and checking the register's text.

use super::{Area, Constraint, Entry, Expectation, Place, Register, Row, StepName, covers};
use jiff::civil::Date;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The format that this program reads.
const FORMAT: u32 = 2;

/// Why the register cannot be used: every mistake in it.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or has an unknown table. The message shows the line.
    #[error("{path}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// Entries that break the rules, all of them.
    #[error("{}", lines(.0))]
    Entries(Vec<Mistake>),
}

/// What is wrong with one entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub path: PathBuf,
    /// The line at which the entry begins.
    pub line: usize,
    /// The entry's id, where it has a readable one.
    pub entry: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            entry,
            reason,
        } = self;
        write!(out, "{}:{line}: entry `{entry}`: {reason}", path.display())
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
    lines.join("\n")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegister {
    #[serde(default)]
    format: u32,
    /// Long values that several rows name.
    #[serde(default)]
    values: BTreeMap<String, Value>,
    #[serde(default)]
    divergence: Vec<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    id: String,
    defect: String,
    area: Area,
    #[serde(default, rename = "expect")]
    expectations: Vec<RawExpectation>,
    legacy_behaviour: String,
    engine_behaviour: String,
    reason: String,
    since: String,
    owner: Option<String>,
    ticket: Option<String>,
    expires: Option<String>,
    #[serde(default)]
    not_compared_from_step: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpectation {
    at: BTreeMap<String, RawSteps>,
    #[serde(default)]
    except: Vec<String>,
    differ: Vec<RawRow>,
    why_loose: Option<String>,
}

/// `"any"`, or a list of steps.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawSteps {
    Word(String),
    These(Vec<RawStep>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawStep {
    Number(u32),
    Name(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    path: String,
    legacy: Option<Value>,
    engine: Option<Value>,
}

/// Reads the register from a file.
///
/// # Errors
/// If it cannot be read or breaks a rule.
pub fn load(path: &Path) -> Result<Register, RegisterError> {
    let text = std::fs::read_to_string(path).map_err(|source| RegisterError::Io {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// Reads the register's text; `path` is for messages.
///
/// # Errors
/// If it breaks a rule.
pub fn parse(path: &Path, text: &str) -> Result<Register, RegisterError> {
    let syntax = |reason: String| RegisterError::Syntax {
        path: path.to_owned(),
        reason,
    };
    let raw: RawRegister = toml::from_str(text).map_err(|error| syntax(error.to_string()))?;
    if raw.format != FORMAT {
        return Err(syntax(format!(
            "the register has format {}, and this program reads {FORMAT}; the first line says it: `format = {FORMAT}`",
            raw.format
        )));
    }
    let mut ids = BTreeSet::new();
    let mut register = Register::default();
    let mut mistakes = Vec::new();
    for entry in raw.divergence {
        let at = line(text, entry.span().start);
        let entry = entry.into_inner();
        let id = entry
            .get("id")
            .and_then(toml::Value::as_str)
            .unwrap_or("?")
            .to_owned();
        let read = RawEntry::deserialize(entry)
            .map_err(|error| error.message().to_owned())
            .and_then(|raw_entry| check(raw_entry, &raw.values))
            .and_then(|entry| {
                if ids.insert(id.clone()) {
                    Ok(entry)
                } else {
                    Err("the id is used twice".to_owned())
                }
            });
        match read {
            Ok(entry) => register.entries.push(entry),
            Err(reason) => mistakes.push(Mistake {
                path: path.to_owned(),
                line: at,
                entry: id,
                reason,
            }),
        }
    }
    if mistakes.is_empty() {
        Ok(register)
    } else {
        Err(RegisterError::Entries(mistakes))
    }
}

impl Register {
    /// Patterns that fit none of the scenarios that there are, with the entry that has them.
    #[must_use]
    pub fn unknown_scenarios(&self, known: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        for entry in &self.entries {
            for pattern in entry.scenarios() {
                if !known.iter().any(|scenario| covers(pattern, scenario)) {
                    out.push(format!("entry `{}`: there is no scenario `{pattern}`", entry.id));
                }
            }
        }
        out
    }
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn date(field: &str, text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| format!("`{field}` is no date like 2026-11-25"))
}

fn check(raw: RawEntry, values: &BTreeMap<String, Value>) -> Result<Entry, String> {
    for (field, text) in [
        ("id", &raw.id),
        ("defect", &raw.defect),
        ("legacy_behaviour", &raw.legacy_behaviour),
        ("engine_behaviour", &raw.engine_behaviour),
        ("reason", &raw.reason),
    ] {
        if text.trim().is_empty() {
            return Err(format!("`{field}` is empty"));
        }
    }
    if raw.expectations.is_empty() && raw.not_compared_from_step.is_empty() {
        return Err("it accepts nothing: neither `expect` nor `not_compared_from_step`".to_owned());
    }
    Ok(Entry {
        since: date("since", &raw.since)?,
        expires: raw
            .expires
            .as_deref()
            .map(|text| date("expires", text))
            .transpose()?,
        expectations: raw
            .expectations
            .into_iter()
            .map(|one| expectation(one, values))
            .collect::<Result<_, _>>()?,
        id: raw.id,
        defect: raw.defect,
        area: raw.area,
        legacy_behaviour: raw.legacy_behaviour,
        engine_behaviour: raw.engine_behaviour,
        reason: raw.reason,
        owner: raw.owner,
        ticket: raw.ticket,
        not_compared_from_step: raw.not_compared_from_step,
    })
}

fn expectation(raw: RawExpectation, values: &BTreeMap<String, Value>) -> Result<Expectation, String> {
    if raw.at.is_empty() || raw.differ.is_empty() {
        return Err("an `expect` needs places in `at` and rows in `differ`".to_owned());
    }
    let places: Vec<Place> = raw
        .at
        .into_iter()
        .map(|(scenarios, steps)| {
            let steps = steps_of(&scenarios, steps)?;
            Ok(Place { scenarios, steps })
        })
        .collect::<Result<_, String>>()?;
    let rows: Vec<Row> = raw
        .differ
        .into_iter()
        .map(|one| row(one, values))
        .collect::<Result<_, _>>()?;
    let is_pattern = |text: &str| text.split('/').any(|segment| segment == "*");
    let loose = places
        .iter()
        .any(|place| place.steps.is_none() || is_pattern(&place.scenarios))
        || rows
            .iter()
            .any(|row| is_pattern(&row.path) || row.legacy.is_loose() || row.engine.is_loose());
    match (&raw.why_loose, loose) {
        (None, true) => Err(
            "it has patterns (`*`, `any`, `matches`, `has`) in place of exact places and values: \
             `why_loose` says why nothing exact will do"
                .to_owned(),
        ),
        (Some(why), true) if why.trim().is_empty() => Err("`why_loose` is empty".to_owned()),
        (Some(_), false) => Err("`why_loose` stands where everything is exact".to_owned()),
        _ => Ok(Expectation {
            places,
            except: raw.except,
            rows,
            why_loose: raw.why_loose,
        }),
    }
}

fn steps_of(scenario: &str, raw: RawSteps) -> Result<Option<Vec<StepName>>, String> {
    let named = |name: &str| match name {
        "asked" => Ok(StepName::Asked),
        "heard" => Ok(StepName::Heard),
        "left" => Ok(StepName::Left),
        other => Err(format!(
            "`{other}` in the steps of {scenario} is neither a number nor `asked`, `heard` or `left`"
        )),
    };
    match raw {
        RawSteps::Word(word) if word == "any" => Ok(None),
        RawSteps::Word(word) => named(&word).map(|step| Some(vec![step])),
        RawSteps::These(steps) if steps.is_empty() => Err(format!("`at` names no step of {scenario}")),
        RawSteps::These(steps) => steps
            .into_iter()
            .map(|step| match step {
                RawStep::Number(number) => Ok(StepName::Number(number)),
                RawStep::Name(name) => named(&name),
            })
            .collect::<Result<_, _>>()
            .map(Some),
    }
}

fn row(raw: RawRow, values: &BTreeMap<String, Value>) -> Result<Row, String> {
    let RawRow { path, legacy, engine } = raw;
    if !path.is_empty() && !path.starts_with('/') {
        return Err(format!("the path `{path}` does not begin with `/`"));
    }
    if path.split('/').any(|segment| segment == "**") {
        return Err(format!("the path `{path}` has `**`: name the places"));
    }
    if legacy.is_none() && engine.is_none() {
        return Err(format!("`{path}` says of neither side what it shows"));
    }
    let side = |side: &str, raw: Option<Value>| {
        constraint(raw, values).map_err(|reason| format!("`{side}` of `{path}`: {reason}"))
    };
    Ok(Row {
        legacy: side("legacy", legacy)?,
        engine: side("engine", engine)?,
        path,
    })
}

/// A plain value is that value; a table says what it must be.
fn constraint(raw: Option<Value>, values: &BTreeMap<String, Value>) -> Result<Constraint, String> {
    let members = match raw {
        None => return Ok(Constraint::Absent),
        Some(Value::Object(members)) => members,
        Some(plain) => return Ok(Constraint::Equals(plain)),
    };
    let one = || {
        let mut members = members.iter();
        let (Some(one), None) = (members.next(), members.next()) else {
            return None;
        };
        Some((one.0.as_str(), one.1))
    };
    match one() {
        Some(("equals", value)) => Ok(Constraint::Equals(value.clone())),
        // TOML has no null.
        Some(("null", Value::Bool(true))) => Ok(Constraint::Equals(Value::Null)),
        Some(("has", Value::Object(members))) => Ok(Constraint::Has(Map::clone(members))),
        Some(("matches", Value::String(text))) => Regex::new(text)
            .map(Constraint::Matches)
            .map_err(|error| format!("`matches`: {error}")),
        Some(("value", Value::String(name))) => values
            .get(name)
            .map(|value| Constraint::Equals(value.clone()))
            .ok_or_else(|| format!("`[values]` has no `{name}`")),
        // JSON in a text: values with nulls in them.
        Some(("json", Value::String(text))) => serde_json::from_str(text)
            .map(Constraint::Equals)
            .map_err(|error| format!("`json`: {error}")),
        _ => Err(
            "a table has exactly one of `equals`, `null = true`, `has`, `matches`, `value`, `json`"
                .to_owned(),
        ),
    }
}
