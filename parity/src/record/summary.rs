//! What a recording's end tells people: what was written, and what was not.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

/// Everything that somebody should know before the scenario is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Requests that stand in no step, and why. The scenario does not show them.
    pub left_out: Vec<String>,
    /// Questions that were asked again and again, and how often.
    pub folded: Vec<(String, usize)>,
    /// Values that the replay gets or computes anew: their names.
    pub variables: Vec<String>,
    /// Secrets that other texts stand for.
    pub redacted: Vec<String>,
    /// Secrets that stand in the scenario as they are.
    pub written: Vec<String>,
    /// What else is not as it was, each with the number of times.
    pub notes: BTreeMap<String, usize>,
}

impl Summary {
    pub(super) fn left_out(&mut self, what: &str, why: &str) {
        self.left_out.push(format!("{what}: {why}"));
    }

    pub(super) fn folded(&mut self, what: &str, times: usize) {
        self.folded.push((what.to_owned(), times));
    }

    pub(super) fn note(&mut self, note: String) {
        *self.notes.entry(note).or_default() += 1;
    }

    pub(super) fn once(list: &mut Vec<String>, what: String) {
        if !list.contains(&what) {
            list.push(what);
        }
    }
}

fn list<'a>(out: &mut Formatter<'_>, title: &str, lines: impl Iterator<Item = &'a String>) -> fmt::Result {
    let mut lines = lines.peekable();
    if lines.peek().is_some() {
        writeln!(out, "{title}:")?;
    }
    lines.try_for_each(|line| writeln!(out, "  {line}"))
}

impl Display for Summary {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            writeln!(
                out,
                "variables, got or computed anew in each run: {}",
                self.variables.join(", ")
            )?;
        }
        list(
            out,
            "secrets in place of which other texts stand",
            self.redacted.iter(),
        )?;
        list(
            out,
            "secrets that stand in the scenario, because a replay needs them",
            self.written.iter(),
        )?;
        if !self.folded.is_empty() {
            writeln!(out, "asked again and again with one answer, and written once:")?;
        }
        for (what, times) in &self.folded {
            writeln!(out, "  {what} ({times} times)")?;
        }
        list(out, "not in the scenario", self.left_out.iter())?;
        let notes: Vec<String> = self
            .notes
            .iter()
            .map(|(note, times)| match times {
                1 => note.clone(),
                times => format!("{note} ({times} times)"),
            })
            .collect();
        list(out, "to know", notes.iter())
    }
}
