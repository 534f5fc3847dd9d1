//! Reading and checking the register's text.

use super::{Area, Constraint, Entry, Match, Pending, Register};
use jiff::civil::Date;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Why the register cannot be used.
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
    /// It is no TOML, or a key is unknown, missing or of a wrong type. The message shows the line.
    #[error("{path}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// An entry contradicts the rules.
    #[error("{path}, line {line}, entry `{entry}`: {reason}")]
    Entry {
        /// The file.
        path: PathBuf,
        /// The line at which the entry's id stands.
        line: usize,
        /// The entry.
        entry: String,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRegister {
    #[serde(default)]
    divergence: Vec<RawEntry>,
    #[serde(default)]
    pending: Vec<RawPending>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPending {
    method: String,
    path: Spanned<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    id: Spanned<String>,
    defect: String,
    area: Area,
    scenarios: Vec<String>,
    #[serde(default, rename = "match")]
    matches: Vec<RawMatch>,
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
struct RawMatch {
    paths: Vec<String>,
    #[serde(default)]
    steps: Vec<u32>,
    legacy: RawConstraint,
    engine: RawConstraint,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConstraint {
    equals: Option<Value>,
    /// TOML has no null.
    #[serde(default)]
    null: bool,
    matches: Option<String>,
    #[serde(default)]
    absent: bool,
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
    let raw: RawRegister = toml::from_str(text).map_err(|error| RegisterError::Syntax {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    let mut ids = BTreeSet::new();
    let mut register = Register::default();
    for entry in raw.divergence {
        let (id, at) = (entry.id.get_ref().clone(), entry.id.span().start);
        let wrong = |reason| RegisterError::Entry {
            path: path.to_owned(),
            line: line(text, at),
            entry: id.clone(),
            reason,
        };
        if !ids.insert(id.clone()) {
            return Err(wrong("the id is used twice".to_owned()));
        }
        register.entries.push(check(entry).map_err(wrong)?);
    }
    for pending in raw.pending {
        let at = pending.path.span().start;
        let pattern = pending.path.into_inner();
        if pending.reason.trim().is_empty() || !pattern.starts_with('/') {
            return Err(RegisterError::Entry {
                path: path.to_owned(),
                line: line(text, at),
                entry: format!("{} {pattern}", pending.method),
                reason: "a pending route has a path from `/` on, and a reason".to_owned(),
            });
        }
        register.pending.push(Pending {
            method: pending.method,
            path: pattern,
            reason: pending.reason,
        });
    }
    Ok(register)
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn date(field: &str, text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| format!("`{field}` is no date like 2026-11-25"))
}

fn check(raw: RawEntry) -> Result<Entry, String> {
    for (field, text) in [
        ("id", raw.id.get_ref()),
        ("defect", &raw.defect),
        ("legacy_behaviour", &raw.legacy_behaviour),
        ("engine_behaviour", &raw.engine_behaviour),
        ("reason", &raw.reason),
    ] {
        if text.trim().is_empty() {
            return Err(format!("`{field}` is empty"));
        }
    }
    if raw.scenarios.is_empty() {
        return Err("`scenarios` names none".to_owned());
    }
    if raw.matches.is_empty() && raw.not_compared_from_step.is_empty() {
        return Err("it accepts nothing: neither a match nor `not_compared_from_step`".to_owned());
    }
    let entry = Entry {
        since: date("since", &raw.since)?,
        expires: raw
            .expires
            .as_deref()
            .map(|text| date("expires", text))
            .transpose()?,
        matches: raw
            .matches
            .into_iter()
            .map(check_match)
            .collect::<Result<_, _>>()?,
        id: raw.id.into_inner(),
        defect: raw.defect,
        area: raw.area,
        scenarios: raw.scenarios,
        legacy_behaviour: raw.legacy_behaviour,
        engine_behaviour: raw.engine_behaviour,
        reason: raw.reason,
        owner: raw.owner,
        ticket: raw.ticket,
        not_compared_from_step: raw.not_compared_from_step,
    };
    match entry
        .not_compared_from_step
        .keys()
        .find(|scenario| !entry.names(scenario))
    {
        Some(other) => Err(format!(
            "`not_compared_from_step` names `{other}`, which `scenarios` does not"
        )),
        None => Ok(entry),
    }
}

fn check_match(raw: RawMatch) -> Result<Match, String> {
    if raw.paths.is_empty() {
        return Err("a match has no `paths`".to_owned());
    }
    if let Some(path) = raw
        .paths
        .iter()
        .find(|path| !path.is_empty() && !path.starts_with('/'))
    {
        return Err(format!("the path `{path}` does not begin with `/`"));
    }
    if let Some(path) = raw
        .paths
        .iter()
        .find(|path| path.split('/').any(|segment| segment == "**"))
    {
        return Err(format!("the path `{path}` has `**`: name the places"));
    }
    Ok(Match {
        paths: raw.paths,
        steps: raw.steps,
        legacy: constraint("legacy", raw.legacy)?,
        engine: constraint("engine", raw.engine)?,
    })
}

fn constraint(side: &str, raw: RawConstraint) -> Result<Constraint, String> {
    match (raw.equals, raw.null, raw.matches, raw.absent) {
        (Some(value), false, None, false) => Ok(Constraint::Equals(value)),
        (None, true, None, false) => Ok(Constraint::Equals(Value::Null)),
        (None, false, Some(text), false) => Regex::new(&text)
            .map(Constraint::Matches)
            .map_err(|error| format!("`{side}.matches`: {error}")),
        (None, false, None, true) => Ok(Constraint::Absent),
        _ => Err(format!(
            "`{side}` needs exactly one of `equals`, `null = true`, `matches`, `absent = true`"
        )),
    }
}
