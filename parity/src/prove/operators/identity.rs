//! Ids: which of them are one.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use serde_json::{Value, json};

use super::{Change, Operator};
use crate::{
    normalize::{pattern, sha256_hex},
    prove::subject::{Site, Subject, sites},
    transcript::Transcript,
};

/// What a server makes up, wherever it stands in a text: ids, codes, digests, and random texts of 32 characters or more.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}",
        r"|\b[0-9A-F]{4}(?:-[0-9A-F]{4}){7}\b|\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\b[A-Za-z0-9_-]{64}\b|^[A-Za-z0-9+/]{43}=$"
    ))
});

/// What of a whole transcript operators know.
#[derive(Debug)]
pub struct Known {
    /// Unix microseconds at which the scenario begins.
    pub started_at_us: i64,
    /// Every id, in the order in which they were first seen.
    ids: Vec<String>,
}

impl Known {
    /// Looks through a transcript.
    pub fn of(transcript: &mut Transcript) -> Self {
        let (mut seen, mut ids) = (BTreeSet::new(), Vec::new());
        for subject in Subject::all(transcript) {
            for site in sites(transcript, &subject) {
                for id in ids_in(&site.value) {
                    if seen.insert(id.clone()) {
                        ids.push(id);
                    }
                }
            }
        }
        Self {
            started_at_us: transcript.started_at_us,
            ids,
        }
    }

    /// The id of the same form that was seen last before this one; where this is the first, the next one.
    fn other(&self, id: &str) -> Option<&String> {
        let at = self.ids.iter().position(|known| known == id)?;
        let (before, after) = self.ids.split_at_checked(at)?;
        let alike = |other: &&String| form(other) == form(id) && other.as_str() != id;
        before
            .iter()
            .rev()
            .find(alike)
            .or_else(|| after.iter().find(alike))
    }
}

fn ids_in(value: &Value) -> Vec<String> {
    let text = value.as_str().unwrap_or_default();
    ID.find_iter(text)
        .map(|found| found.as_str().to_owned())
        .collect()
}

/// The kinds of its characters.
fn form(id: &str) -> (usize, bool, bool) {
    let any = |class: fn(&char) -> bool| id.chars().any(|one| class(&one));
    (
        id.len(),
        any(char::is_ascii_uppercase),
        any(char::is_ascii_lowercase),
    )
}

/// An id of the same form that is nowhere else.
fn fresh(id: &str) -> String {
    let digest =
        sha256_hex(format!("fresh {id}").as_bytes()) + &sha256_hex(format!("fresher {id}").as_bytes());
    id.chars()
        .zip(digest.chars())
        .map(|(old, new)| match old {
            'a'..='f' | '0'..='9' => new,
            'A'..='F' => new.to_ascii_uppercase(),
            other => other,
        })
        .collect()
}

/// The first pairs of ids of one form, each with the path at which the first stands.
pub(super) fn pairs(sites: &[Site]) -> Vec<(String, String, String)> {
    let mut seen: Vec<(String, String)> = Vec::new();
    for site in sites {
        for id in ids_in(&site.value) {
            if !seen.iter().any(|(_, known)| *known == id) {
                seen.push((site.path.clone(), id));
            }
        }
    }
    let next = |at: usize, id: &str| {
        let mut rest = seen.iter().skip(at + 1).map(|(_, other)| other);
        rest.find(|other| form(other) == form(id)).cloned()
    };
    seen.iter()
        .enumerate()
        .filter_map(|(at, (path, id))| Some((path.clone(), id.clone(), next(at, id)?)))
        .collect()
}

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "id-swapped",
        sentence: "an id that was seen before in place of another one of the same form",
        change: Change::Value(|known, site| {
            let id = ids_in(&site.value).into_iter().next()?;
            let other = known.other(&id)?;
            Some(json!(site.value.as_str()?.replacen(&id, other, 1)))
        }),
    },
    Operator {
        name: "id-fresh",
        sentence: "an id that is nowhere else in place of one",
        change: Change::Value(|_, site| {
            let id = ids_in(&site.value).into_iter().next()?;
            Some(json!(site.value.as_str()?.replacen(&id, &fresh(&id), 1)))
        }),
    },
    Operator {
        name: "ids-merged",
        sentence: "two ids are one, everywhere in an answer, table or file",
        change: Change::Merge,
    },
];
