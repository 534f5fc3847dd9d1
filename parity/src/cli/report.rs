//! `parity report`: the reports of a run, made again.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::output::{say, write_out};
use crate::report;

/// Arguments of `parity report`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes:\n  \
      0, 1, 3, 130, 143  what the run ended with\n  \
      2  the run could not be done, or its report cannot be read\n\n\
    Examples:\n  parity report parity-report/report.json --out for-the-manager\n  parity report --schema > report.schema.json")]
pub struct Report {
    /// The `report.json` of a run.
    #[arg(required_unless_present = "schema", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Folder that all reports are written to; without it the table for the terminal is printed.
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Print the JSON schema of report.json.
    #[arg(long, conflicts_with_all = ["file", "out"])]
    pub schema: bool,
}

impl Report {
    /// Reads the run and writes its reports.
    pub fn run(&self) -> ExitCode {
        super::exit_code(self.try_run())
    }

    fn try_run(&self) -> Result<u8, Box<dyn std::error::Error>> {
        let Some(file) = &self.file else {
            write_out(format_args!("{}", report::schema()?));
            return Ok(0);
        };
        let read = report::read(file)?;
        match &self.out {
            None => write_out(format_args!("{}", report::terminal(&read))),
            Some(folder) => {
                let folder = report::Folder::take(folder)?;
                folder.write(&read)?;
                say!("{} written", folder.listing());
            }
        }
        Ok(report::ending(&read).code())
    }
}
