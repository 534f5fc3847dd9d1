//! How variables are read: blanks do not count, an empty one is not set, and a wrong one is named.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::domain::{coerce::integer_in, fernet::FernetKey};

/// A variable whose value cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{variable} is {value:?}: expected {expected}")]
pub struct InvalidVariable {
    /// The variable's name.
    pub variable: &'static str,
    pub value: String,
    /// What it may be.
    pub expected: &'static str,
}

/// All the variables that cannot be read, reported together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidSettings(pub Vec<InvalidVariable>);

/// Reads variables one by one and keeps what is wrong with them, so that all of it is reported at once.
pub(super) struct Reader<'a> {
    pub(super) variables: &'a BTreeMap<String, String>,
    errors: Vec<InvalidVariable>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a BTreeMap<String, String>) -> Self {
        Self {
            variables,
            errors: Vec::new(),
        }
    }

    /// What was read, unless a variable could not be.
    pub(super) fn finish<T>(self, read: T) -> Result<T, InvalidSettings> {
        if self.errors.is_empty() {
            Ok(read)
        } else {
            Err(InvalidSettings(self.errors))
        }
    }

    pub(super) fn text(&self, names: &[&str]) -> Option<&str> {
        names
            .iter()
            .filter_map(|name| self.variables.get(*name))
            .map(|value| value.trim())
            .find(|value| !value.is_empty())
    }

    pub(super) fn path(&self, names: &[&str]) -> Option<PathBuf> {
        let text = self.text(names)?;
        let expanded = match (text, text.strip_prefix("~/"), self.text(&["HOME"])) {
            ("~" | "~/", _, Some(home)) => PathBuf::from(home),
            (_, Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(text),
        };
        Some(std::path::absolute(&expanded).unwrap_or(expanded))
    }

    pub(super) fn parsed<T>(
        &mut self,
        variable: &'static str,
        default: T,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        match self
            .text(&[variable])
            .map(|value| (value.to_owned(), parse(value)))
        {
            None => default,
            Some((_, Some(value))) => value,
            Some((value, None)) => {
                self.errors.push(InvalidVariable {
                    variable,
                    value,
                    expected,
                });
                default
            }
        }
    }

    pub(super) fn sealing_key(&mut self) -> Option<FernetKey> {
        let variable = "BOREALIS_SECRET_KEY";
        let key = FernetKey::from_text_or_its_base64(self.text(&[variable])?.as_bytes());
        if key.is_none() {
            self.errors.push(InvalidVariable {
                variable,
                value: "…".to_owned(),
                expected: "a Fernet key, 44 characters of URL-safe base64, or base64 of one",
            });
        }
        key
    }

    pub(super) fn whole_number(
        &mut self,
        variable: &'static str,
        default: i64,
        expected: &'static str,
    ) -> i64 {
        self.parsed(variable, default, expected, |text| {
            i64::try_from(integer_in(text)?).ok()
        })
    }

    /// Those of a list separated by commas; none where the variable is not set.
    pub(super) fn list<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        self.parsed(variable, Vec::new(), expected, |value| {
            parts(value).map(parse).collect()
        })
    }

    pub(super) fn switch(&mut self, variable: &'static str, default: bool) -> bool {
        self.parsed(
            variable,
            default,
            "one of 1, true, yes, on, 0, false, no, off",
            |value| match value.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Some(true),
                "0" | "false" | "no" | "off" => Some(false),
                _ => None,
            },
        )
    }
}

/// The parts of a list separated by commas, without blanks.
pub(super) fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}
