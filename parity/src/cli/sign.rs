//! `parity sign`: who accepts what a run showed.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::output::{complain, say};
use crate::{
    register,
    report::{self, RunReport, Signed, verify_markdown},
    signature::{self, Coverage, Signature, SignatureError},
};

/// Arguments of `parity sign`.
#[derive(Debug, Args)]
#[command(
    after_help = "Signed are the verdicts of the run, the table, the register, and both revisions: signature.json in the folder \
    of the reports holds their digests. `parity run` into that folder says whether the signature still covers what it sees.\n\n\
    Exit codes:\n  \
      0  signed, or (--verify) the signature covers the run\n  \
      1  something speaks against signing, or the signature does not cover the run\n  \
      2  a file cannot be read or written\n\n\
    Examples:\n  parity sign --as \"R. Meyer\"\n  parity sign --verify"
)]
pub struct Sign {
    /// The name of who signs.
    #[arg(long = "as", required_unless_present = "verify", value_name = "NAME")]
    pub by: Option<String>,
    /// Sign although the run did not pass or nobody can build its engine again; the reason stands in the signature.
    #[arg(long, value_name = "REASON")]
    pub despite: Option<String>,
    /// Say whether the signature that is there covers the run.
    #[arg(long, conflicts_with_all = ["by", "despite"])]
    pub verify: bool,
    /// The folder of the run's reports.
    #[arg(
        long,
        visible_alias = "report-dir",
        default_value = "parity-report",
        value_name = "FOLDER"
    )]
    pub report: PathBuf,
}

impl Sign {
    /// Signs, or looks at the signature.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        match self.try_run(scenarios) {
            Ok(code) => code,
            Err(error) => {
                complain!("parity: {error}");
                let refused = error
                    .downcast_ref::<SignatureError>()
                    .is_some_and(|error| matches!(error, SignatureError::Refused(_)));
                ExitCode::from(if refused {
                    super::WRONG
                } else {
                    super::COULD_NOT_RUN
                })
            }
        }
    }

    fn try_run(&self, scenarios: &Path) -> Result<ExitCode, Box<dyn std::error::Error>> {
        let folder = report::Folder::take(&self.report)?;
        let read = report::read(&folder.json())?;
        let table = table(&folder, &read)?;
        let Some(by) = &self.by else {
            let Some(coverage) = coverage(&read, &folder.json(), scenarios)? else {
                complain!("parity: {}: nobody has signed this run", self.report.display());
                return Ok(ExitCode::from(super::WRONG));
            };
            say!("{coverage}");
            return Ok(match coverage.changes.is_empty() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(super::WRONG),
            });
        };
        let signature = Signature::of(
            &read,
            &register_bytes(scenarios)?,
            table.as_bytes(),
            by,
            now(),
            self.despite.clone(),
        )?;
        let path = self.report.join(signature::FILE);
        report::replace(&path, &signature.text()?)?;
        // What is covered, so that nobody takes a run of a few scenarios for one of all.
        say!("{}: signed by {by}", path.display());
        say!("{}", report::last_words(&read));
        Ok(ExitCode::SUCCESS)
    }
}

/// The table of a run: what is signed is what people read.
///
/// # Errors
/// It cannot be read, or is not of this run.
fn table(folder: &report::Folder, read: &RunReport) -> Result<String, String> {
    let shown = folder.markdown();
    let shown = shown.display();
    let table = std::fs::read_to_string(folder.markdown()).map_err(|error| format!("{shown}: {error}"))?;
    if verify_markdown(&table) != Signed::Whole {
        return Err(format!(
            "{shown} is not as the run wrote it: run the comparison again"
        ));
    }
    if table != report::markdown(read) {
        return Err(format!(
            "{shown} and {} do not say the same: run the comparison again",
            folder.json().display()
        ));
    }
    Ok(table)
}

/// Whether the signature beside a report covers its run; nothing where nobody has signed.
///
/// # Errors
/// The signature or the register cannot be read.
pub(super) fn coverage(
    read: &RunReport,
    report: &Path,
    scenarios: &Path,
) -> Result<Option<Coverage>, Box<dyn std::error::Error>> {
    let signature = Signature::read(&report.with_file_name(signature::FILE))?;
    let Some(signature) = signature else {
        return Ok(None);
    };
    Ok(Some(signature.covers(read, &register_bytes(scenarios)?)))
}

fn register_bytes(scenarios: &Path) -> Result<Vec<u8>, String> {
    let path = scenarios.join(register::FILE);
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a signature says when it was made; no scenario sees this"
)]
fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M:%S UTC")
        .to_string()
}
