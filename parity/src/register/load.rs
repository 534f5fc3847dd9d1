//! Reading and checking the register's text.
//!
//! Long because each part of an entry has its own mistakes, and each is told with its place.

use super::{Area, Constraint, CutOff, Entry, Expectation, KnownScenarios, LegacySide, Place, Register, Row};
use jiff::civil::Date;
use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml_edit::{Item, Table};

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
    /// The line at which the entry or its block begins.
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
        write!(out, "{}:{line}:1: entry `{entry}`: {reason}", path.display())
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
    /// None yet where it stands there empty.
    #[serde(rename = "expect")]
    expectations: Option<Vec<RawExpectation>>,
    legacy_behaviour: String,
    engine_behaviour: String,
    reason: String,
    since: String,
    owner: Option<String>,
    ticket: Option<String>,
    expires: Option<String>,
    #[serde(default)]
    not_compared_from_step: BTreeMap<String, RawCutOff>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpectation {
    /// What `same_as` calls the rows.
    name: Option<String>,
    at: BTreeMap<String, RawSteps>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    differ: Vec<RawRow>,
    /// The expectation whose rows these are, too.
    same_as: Option<String>,
    why_loose: Option<String>,
    may_be_same: Option<String>,
    legacy_side: Option<LegacySide>,
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

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    path: String,
    legacy: Option<Value>,
    engine: Option<Value>,
}

/// A step, or one that counts only with one kind of legacy.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawCutOff {
    Always(RawStep),
    With { step: RawStep, legacy_side: LegacySide },
}

/// Reads the register from a file.
///
/// # Errors
/// If it cannot be read or breaks a rule.
pub fn load(path: &Path, known: &KnownScenarios) -> Result<Register, RegisterError> {
    let text = std::fs::read_to_string(path).map_err(|source| RegisterError::Io {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text, known)
}

/// Reads the register's text; `path` is for messages.
///
/// # Errors
/// If it breaks a rule, or names a scenario or step that is not there.
pub fn parse(path: &Path, text: &str, known: &KnownScenarios) -> Result<Register, RegisterError> {
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
    let lines = Lines::of(text);
    let mut read = Vec::new();
    for entry in raw.divergence {
        let at = lines.at(entry.span().start);
        let entry = entry.into_inner();
        let id = entry.get("id").and_then(toml::Value::as_str).unwrap_or("?");
        let id = id.to_owned();
        let entry = RawEntry::deserialize(entry).map_err(|error| error.message().to_owned());
        read.push((at, id, entry));
    }
    let (named, mut faults) = named_rows(&read);
    let shared = Shared {
        values: &raw.values,
        named: &named,
        known,
    };
    let mut ids = BTreeSet::new();
    let mut register = Register::default();
    for (at, id, entry) in read {
        let mut wrong = Vec::new();
        match entry {
            Ok(entry) => register.entries.extend(check(entry, &shared, &mut wrong)),
            Err(reason) => wrong.push((None, reason)),
        }
        if !ids.insert(id.clone()) {
            wrong.push((None, "the id is used twice".to_owned()));
        }
        // Only a fault has to know where the blocks of its entry stand.
        let blocks = if wrong.is_empty() {
            Vec::new()
        } else {
            blocks(text, &lines, at)
        };
        let line = |block: Option<usize>| block.and_then(|block| blocks.get(block).copied());
        faults.extend(
            wrong
                .into_iter()
                .map(|(block, reason)| (line(block).unwrap_or(at), id.clone(), reason)),
        );
    }
    if faults.is_empty() {
        register.values = raw.values;
        return Ok(register);
    }
    faults.sort_by_key(|(at, _, _)| *at);
    let mistakes = faults.into_iter().map(|(line, entry, reason)| Mistake {
        path: path.to_owned(),
        line,
        entry,
        reason,
    });
    Err(RegisterError::Entries(mistakes.collect()))
}

/// An entry with its line and id, or why it cannot be read.
type Read = (usize, String, Result<RawEntry, String>);

/// What all entries of the file share.
struct Shared<'a> {
    values: &'a BTreeMap<String, Value>,
    /// The rows of the expectations that have a name.
    named: &'a BTreeMap<String, Vec<RawRow>>,
    known: &'a KnownScenarios,
}

/// The lines at which the blocks of the entry begin that itself begins in a line.
fn blocks(text: &str, lines: &Lines, entry_at: usize) -> Vec<usize> {
    let Ok(document) = toml_edit::Document::parse(text) else {
        return Vec::new();
    };
    let at = |table: &Table| table.span().map(|span| lines.at(span.start));
    let entries = document.get("divergence").and_then(Item::as_array_of_tables);
    let entry = entries.and_then(|all| all.iter().find(|entry| at(entry) == Some(entry_at)));
    let blocks = entry.and_then(|entry| entry.get("expect")?.as_array_of_tables());
    blocks.into_iter().flatten().filter_map(at).collect()
}

/// What is wrong with an entry: its line, its id and the reason.
type Wrong = (usize, String, String);

/// The rows that have a name, and the names that are used twice.
fn named_rows(read: &[Read]) -> (BTreeMap<String, Vec<RawRow>>, Vec<Wrong>) {
    let (mut named, mut faults) = (BTreeMap::new(), Vec::new());
    for (at, id, entry) in read {
        let expectations = entry.iter().flat_map(|entry| &entry.expectations).flatten();
        for (name, one) in expectations.filter_map(|one| Some((one.name.clone()?, one))) {
            if one.same_as.is_some() {
                let reason = format!("the rows `{name}` are those of another expectation: name that one");
                faults.push((*at, id.clone(), reason));
            } else if named.insert(name.clone(), one.differ.clone()).is_some() {
                faults.push((*at, id.clone(), format!("the name `{name}` is used twice")));
            }
        }
    }
    (named, faults)
}

/// Where the lines of a text end.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line of a place, counted from 1.
    fn at(&self, place: usize) -> usize {
        self.0.partition_point(|end| *end < place) + 1
    }
}

fn date(field: &str, text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| format!("`{field}` is no date like 2026-11-25"))
}

/// What is wrong, and with which block of the entry.
type Faults = Vec<(Option<usize>, String)>;

/// The entry that is written, as far as nothing is wrong with it; what is wrong comes to `wrong`.
fn check(raw: RawEntry, shared: &Shared<'_>, wrong: &mut Faults) -> Option<Entry> {
    for (field, text) in [
        ("id", Some(&raw.id)),
        ("defect", Some(&raw.defect)),
        ("legacy_behaviour", Some(&raw.legacy_behaviour)),
        ("engine_behaviour", Some(&raw.engine_behaviour)),
        ("reason", Some(&raw.reason)),
        ("owner", raw.owner.as_ref()),
        ("ticket", raw.ticket.as_ref()),
    ] {
        if text.is_some_and(|text| text.trim().is_empty()) {
            wrong.push((None, format!("`{field}` is empty")));
        }
    }
    if raw.expectations.is_none() && raw.not_compared_from_step.is_empty() {
        let reason = "it accepts nothing: neither `expect` nor `not_compared_from_step`";
        wrong.push((None, reason.to_owned()));
    }
    let mut told = |result: Result<Date, String>| match result {
        Ok(date) => Some(date),
        Err(reason) => {
            wrong.push((None, reason));
            None
        }
    };
    let since = told(date("since", &raw.since));
    let expires = raw.expires.as_deref().map(|text| told(date("expires", text)));
    let mut expectations = Vec::new();
    for (at, one) in raw.expectations.unwrap_or_default().into_iter().enumerate() {
        let mut in_block = Vec::new();
        match expectation(one, shared, &mut in_block) {
            Ok(one) => expectations.push(one),
            Err(reason) => in_block.push(reason),
        }
        wrong.extend(in_block.into_iter().map(|reason| (Some(at), reason)));
    }
    let mut not_compared_from_step = BTreeMap::new();
    for (scenario, cut_off) in raw.not_compared_from_step {
        let (step, legacy_side) = match cut_off {
            RawCutOff::Always(step) => (step, None),
            RawCutOff::With { step, legacy_side } => (step, Some(legacy_side)),
        };
        let mut faults: Vec<String> = shared.known.scenario_fault(&scenario).into_iter().collect();
        if let Some(step) = step_name(&scenario, step, shared.known, &mut faults) {
            not_compared_from_step.insert(scenario, CutOff { step, legacy_side });
        }
        wrong.extend(faults.into_iter().map(|reason| (None, reason)));
    }
    Some(Entry {
        id: raw.id,
        defect: raw.defect,
        area: raw.area,
        expectations,
        legacy_behaviour: raw.legacy_behaviour,
        engine_behaviour: raw.engine_behaviour,
        reason: raw.reason,
        since: since?,
        owner: raw.owner,
        ticket: raw.ticket,
        expires: expires.flatten(),
        not_compared_from_step,
    })
}

fn expectation(
    raw: RawExpectation,
    shared: &Shared<'_>,
    wrong: &mut Vec<String>,
) -> Result<Expectation, String> {
    let mut raw_rows = raw.differ;
    if let Some(name) = &raw.same_as {
        let others = shared.named.get(name);
        let others = others.ok_or_else(|| {
            format!("no expectation is called `{name}`, of which `same_as` speaks: give one that `name`")
        })?;
        raw_rows.extend(others.iter().cloned());
    }
    if raw.at.is_empty() || raw_rows.is_empty() {
        return Err("an `expect` needs places in `at`, and rows in `differ` or by `same_as`".to_owned());
    }
    for scenario in raw.at.keys().chain(&raw.except) {
        wrong.extend(shared.known.scenario_fault(scenario));
    }
    if let Some(why) = &raw.may_be_same {
        if why.trim().is_empty() {
            wrong.push("`may_be_same` is empty".to_owned());
        }
        let is_server = raw.legacy_side == Some(LegacySide::Server);
        let fixed = raw
            .at
            .keys()
            .filter(|scenario| !is_server && !shared.known.is_shared(scenario));
        wrong.extend(fixed.map(|scenario| {
            format!(
                "`may_be_same` at `{scenario}`: only scenarios for servers that others use (`shared:`) may show it or not, \
                 because nobody has prepared those servers, and others where `legacy_side = \"server\"`"
            )
        }));
    }
    let mut places = Vec::new();
    for (scenarios, steps) in raw.at {
        let steps = steps_of(&scenarios, steps, shared.known, wrong)?;
        places.push(Place { scenarios, steps });
    }
    let rows: Vec<Row> = raw_rows
        .into_iter()
        .map(|one| row(one, shared.values))
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
            name: raw.name,
            why_loose: raw.why_loose,
            may_be_same: raw.may_be_same,
            legacy_side: raw.legacy_side,
        }),
    }
}

fn steps_of(
    scenario: &str,
    raw: RawSteps,
    known: &KnownScenarios,
    wrong: &mut Vec<String>,
) -> Result<Option<Vec<String>>, String> {
    match raw {
        RawSteps::Word(word) if word == "any" => Ok(None),
        RawSteps::Word(word) => Err(format!("`{scenario}` = \"{word}\": steps are a list, or \"any\"")),
        RawSteps::These(steps) if steps.is_empty() => Err(format!("`at` names no step of {scenario}")),
        RawSteps::These(steps) => {
            let names = steps
                .into_iter()
                .filter_map(|step| step_name(scenario, step, known, wrong));
            Ok(Some(names.collect()))
        }
    }
}

fn step_name(
    scenario: &str,
    step: RawStep,
    known: &KnownScenarios,
    wrong: &mut Vec<String>,
) -> Option<String> {
    match step {
        RawStep::Number(number) => {
            wrong.push(known.number_fault(scenario, number));
            None
        }
        RawStep::Name(name) => {
            wrong.extend(known.step_fault(scenario, &name));
            Some(name)
        }
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
