//! `parity guide`: the staging guide, with what the last run proved.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    output::{say, write_out},
    sign::coverage,
};
use crate::{
    checklist,
    report::{self, guide},
};

/// Arguments of `parity guide`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:\n  \
      0  every item that scenarios can prove is proved\n  \
      1  some are open\n  \
      2  a file cannot be read or written\n\n\
    Examples:\n  parity guide                  # the part on the terminal\n  parity guide --write          # into STAGING_GUIDE.md")]
pub struct Guide {
    /// The run's report; without the file everything is open.
    #[arg(long, default_value = "parity-report/report.json", value_name = "FILE")]
    pub report: PathBuf,
    /// The guide.
    #[arg(long, default_value = "STAGING_GUIDE.md", value_name = "FILE")]
    pub guide: PathBuf,
    /// Write the part into the guide, in the place of the one that is there.
    #[arg(long)]
    pub write: bool,
}

impl Guide {
    /// Prints or writes what the run proved.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        super::exit_code(self.try_run(scenarios))
    }

    fn try_run(&self, scenarios: &Path) -> Result<ExitCode, Box<dyn std::error::Error>> {
        let items = checklist::load(scenarios)?;
        let read = match self.report.exists() {
            true => Some(report::read(&self.report)?),
            false => None,
        };
        let signature = match &read {
            Some(read) => coverage(read, &self.report, scenarios)?,
            None => None,
        };
        let part = guide::render(&items, read.as_ref(), signature.as_ref());
        if self.write {
            let shown = self.guide.display();
            let guide = std::fs::read_to_string(&self.guide).map_err(|error| format!("{shown}: {error}"))?;
            let guide = guide::put_into(&guide, &part).ok_or_else(|| {
                format!(
                    "{shown}: the lines between which the run is written are missing: put in\n{}\n{}",
                    guide::BEGIN,
                    guide::END
                )
            })?;
            report::replace(&self.guide, &guide)?;
        } else {
            write_out(format_args!("{part}"));
        }
        let states = items.iter().map(|item| item.state(read.as_ref()));
        let (mut proved, mut open, mut by_hand) = (0, 0, 0);
        for state in states {
            match state {
                checklist::State::Proved(_) => proved += 1,
                checklist::State::Open(_) => open += 1,
                checklist::State::ByHand => by_hand += 1,
            }
        }
        say!("{proved} items proved, {open} open, {by_hand} for a person to look at");
        Ok(if open == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(super::WRONG)
        })
    }
}
