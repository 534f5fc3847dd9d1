//! `signature.json`: who accepted what a run showed, and whether a later run still shows just that.

use std::{collections::BTreeSet, fmt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    normalize::sha256_hex,
    report::{Ending, ReportError, RunReport, ending},
    target::REVISION_UNKNOWN,
};

/// The file's name, beside the reports.
pub const FILE: &str = "signature.json";
/// The version that is written and read.
const FORMAT: u32 = 1;

/// A signed run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The version of this structure.
    pub format: u32,
    /// Who signed.
    pub by: String,
    /// When, as UTC.
    pub at: String,
    /// Why it was signed although something spoke against it.
    pub despite: Option<String>,
    /// What was compared with what.
    pub legacy: String,
    /// The engine's revision.
    pub revision: String,
    /// The day of the run.
    pub run: String,
    /// SHA-256 of the register.
    pub register_sha256: String,
    /// SHA-256 of the table as it was signed.
    pub table_sha256: String,
    /// Each scenario and the SHA-256 of its verdict: outcome, differences, what was not compared.
    pub verdicts: Vec<(String, String)>,
    /// SHA-256 of all of the above: whoever changes one of them by hand is seen.
    pub seal: String,
}

/// Why nothing was signed, or a signature says nothing.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// Something speaks against it.
    #[error("{0}. Whoever signs all the same says why with --despite REASON")]
    Refused(String),
    /// It cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] ReportError),
}

/// Whether a signature covers a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Who signed.
    pub by: String,
    /// When.
    pub at: String,
    /// What is otherwise now; nothing where the signature covers the run.
    pub changes: Vec<String>,
}

impl fmt::Display for Coverage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, at, changes } = self;
        if changes.is_empty() {
            write!(
                out,
                "Signed by {by} on {at}: the signature covers what this run showed"
            )
        } else {
            write!(
                out,
                "Signed by {by} on {at}, but the signature does not cover what this run showed: {}",
                changes.join("; ")
            )
        }
    }
}

impl Signature {
    /// Signs a run.
    ///
    /// # Errors
    /// Something speaks against it and `despite` gives no reason.
    pub fn of(
        report: &RunReport,
        register: &[u8],
        table: &[u8],
        by: &str,
        at: String,
        despite: Option<String>,
    ) -> Result<Self, SignatureError> {
        if by.trim().is_empty() {
            return Err(SignatureError::Refused(
                "nobody signs with a blank name".to_owned(),
            ));
        }
        if let (Some(reason), None) = (objection(report), &despite) {
            return Err(SignatureError::Refused(reason));
        }
        let mut signature = Self {
            format: FORMAT,
            by: by.to_owned(),
            at,
            despite,
            legacy: report.provenance.legacy.clone(),
            revision: report.provenance.revision.clone(),
            run: report.provenance.date.clone(),
            register_sha256: sha256_hex(register),
            table_sha256: sha256_hex(table),
            verdicts: verdicts(report),
            seal: String::new(),
        };
        signature.seal = signature.digest();
        Ok(signature)
    }

    fn digest(&self) -> String {
        let unsealed = Self {
            seal: String::new(),
            ..self.clone()
        };
        sha256_hex(json!(unsealed).to_string().as_bytes())
    }

    /// Reads a signature; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read, has another format, or was changed by hand.
    pub fn read(path: &Path) -> Result<Option<Self>, SignatureError> {
        let unreadable = |reason: String| SignatureError::Unreadable {
            path: path.display().to_string(),
            reason,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let signature: Self =
            serde_json::from_str(&text).map_err(|error| unreadable(format!("no signature: {error}")))?;
        if signature.format != FORMAT {
            return Err(unreadable(format!(
                "format {} is not known, this parity reads {FORMAT}",
                signature.format
            )));
        }
        if signature.seal != signature.digest() {
            return Err(unreadable(
                "it was changed after it was signed: sign again".to_owned(),
            ));
        }
        Ok(Some(signature))
    }

    /// The signature as text.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Whether it covers a run, made with this register.
    #[must_use]
    pub fn covers(&self, report: &RunReport, register: &[u8]) -> Coverage {
        let mut changes = Vec::new();
        let from = &report.provenance;
        if self.legacy != from.legacy {
            changes.push(format!("the legacy is {}, it was {}", from.legacy, self.legacy));
        }
        if self.revision != from.revision {
            changes.push(format!(
                "the engine is {}, it was {}",
                from.revision, self.revision
            ));
        }
        if self.register_sha256 != sha256_hex(register) {
            changes.push("the register was changed".to_owned());
        }
        let now = verdicts(report);
        let (signed, unsigned): (Vec<_>, Vec<_>) = now
            .iter()
            .filter(|one| !self.verdicts.contains(one))
            .map(|(scenario, _)| scenario.as_str())
            .partition(|scenario| self.verdicts.iter().any(|(one, _)| one == scenario));
        for (what, scenarios) in [("another verdict on", signed), ("nobody has signed", unsigned)] {
            if !scenarios.is_empty() {
                let scenarios = scenarios.into_iter().collect();
                changes.push(format!("{what} {}", list(&scenarios)));
            }
        }
        let missing: BTreeSet<&str> = self
            .verdicts
            .iter()
            .map(|(scenario, _)| scenario.as_str())
            .filter(|scenario| !now.iter().any(|(one, _)| one == scenario))
            .collect();
        if !missing.is_empty() {
            changes.push(format!("no verdict on {}", list(&missing)));
        }
        Coverage {
            by: self.by.clone(),
            at: self.at.clone(),
            changes,
        }
    }
}

/// What speaks against signing a run.
fn objection(report: &RunReport) -> Option<String> {
    match ending(report) {
        Ending::Pass if report.provenance.revision.contains("changes that are in no commit") => Some(
            "the engine was built from sources with changes that are in no commit, so nobody can build it again".to_owned(),
        ),
        Ending::Pass if report.provenance.revision.starts_with(REVISION_UNKNOWN) => Some(format!(
            "which engine this was cannot be told ({}): sign a run of the build that is put in place",
            report.provenance.revision
        )),
        Ending::Pass if report.judgement.verdicts.iter().all(|one| one.compared_steps == 0) => {
            Some("nothing of it was compared with the legacy".to_owned())
        }
        Ending::Pass => None,
        _ => Some("the run did not pass".to_owned()),
    }
}

/// Each scenario and the digest of its verdict. An event that may come one step earlier or later is no other verdict.
fn verdicts(report: &RunReport) -> Vec<(String, String)> {
    let verdicts = report.judgement.verdicts.iter();
    let verdicts = verdicts.map(|verdict| {
        let mut verdict = verdict.clone();
        let is_event = |path: &str| path.starts_with("/sockets/") && path.contains("/events/");
        verdict
            .accepted
            .retain(|(_, difference)| !is_event(&difference.path));
        let digest = sha256_hex(json!(verdict).to_string().as_bytes());
        (verdict.scenario.clone(), digest)
    });
    verdicts.collect()
}

/// A few names, and how many more there are.
fn list(names: &BTreeSet<&str>) -> String {
    const FEW: usize = 3;
    let few: Vec<_> = names.iter().take(FEW).copied().collect();
    match names.len().checked_sub(FEW) {
        Some(more) if more > 0 => format!("{} and {more} more scenarios", few.join(", ")),
        _ => few.join(", "),
    }
}
