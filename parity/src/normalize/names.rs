//! The names that volatile values get: one value, one name; one name, one value.

use super::forms;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Shorter values are not looked for inside longer text: they could stand there by chance.
const SHORTEST_INSIDE: usize = 16;

/// All names given so far in one transcript.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Names {
    by_value: BTreeMap<String, String>,
    taken: BTreeSet<String>,
    /// SHA-256 in hex of every named value.
    digests: BTreeMap<String, String>,
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Names {
    /// The value's name, given now if it has none yet.
    pub(crate) fn name(&mut self, value: &str, form: &str, place: &str) -> String {
        if let Some(name) = self.by_value.get(value) {
            return name.clone();
        }
        let digest_of = (form == "sha256").then(|| self.digests.get(value)).flatten();
        let wanted = match digest_of {
            Some(token) => format!("<sha256 of {}>", token.trim_matches(['<', '>'])),
            None => format!("<{form} first seen in {place}>"),
        };
        let mut name = wanted.clone();
        let mut count = 1;
        while !self.taken.insert(name.clone()) {
            count += 1;
            name = format!("{} #{count}>", wanted.trim_end_matches('>'));
        }
        self.digests.insert(sha256_hex(value.as_bytes()), name.clone());
        self.by_value.insert(value.to_owned(), name.clone());
        name
    }

    /// The name that a value already has.
    pub(crate) fn known(&self, value: &str) -> Option<&String> {
        self.by_value.get(value)
    }

    /// Names every UUID and install code in a text that no client made, then every other value known so far.
    pub(crate) fn inside(&mut self, text: &str, is_client: impl Fn(&str) -> bool, place: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = 0;
        for found in forms::EMBEDDED.find_iter(text) {
            let value = found.as_str();
            out.push_str(text.get(rest..found.start()).unwrap_or_default());
            if is_client(value) {
                out.push_str(value);
            } else {
                out.push_str(&self.name(value, forms::embedded(value), place));
            }
            rest = found.end();
        }
        out.push_str(text.get(rest..).unwrap_or_default());
        for (value, name) in &self.by_value {
            if value.len() >= SHORTEST_INSIDE
                && value.len() < out.len()
                && out.contains(value.as_str())
                && !is_client(value)
            {
                out = out.replace(value.as_str(), name);
            }
        }
        out
    }
}
