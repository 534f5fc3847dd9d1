//! `parity doctor`: is everything there that a comparison, and a cut-over, need?

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    output::{Form, say, write_out},
    targets::{Targets, variables},
};
use crate::doctor::{Finding, Patients, Verdict, examine};

/// Arguments of `parity doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "Looked at are, on either side: whether it answers, what it calls itself, its certificate, whether an operator \
    can log in, whether agents can verify its certificate with the bundle that they were given, whether `/` is the web client; \
    between them: the clocks, whether the engine takes the legacy's sessions, and, with both root folders, whether the \
    keys are the same. Of a root folder the engine's own check tells the rest: tables, journal, keys, certificate, modes.\n\n\
    Exit codes:\n  \
      0  no problem\n  \
      1  problems, each with its cure\n  \
      2  what is to be looked at cannot be chosen so\n\n\
    Examples:\n  parity doctor --legacy https://legacy.example:5000 --ca bundle.pem --engine https://engine.example:5000\n  \
      parity doctor --legacy-root /srv/borealis --engine-root /srv/copy\n  \
      parity doctor --engine https://engine.example:5000 --insecure --bundle borealis-server-bundle.pem"
)]
pub struct Doctor {
    /// What is looked at.
    #[command(flatten)]
    pub targets: Targets,
    /// The root folder that the legacy works in, where this machine has it.
    #[arg(long, value_name = "FOLDER")]
    pub legacy_root: Option<PathBuf>,
    /// The root folder that the engine is to work in. Looked at with the variables of this process, as the engine would.
    #[arg(long, value_name = "FOLDER")]
    pub engine_root: Option<PathBuf>,
    /// The bundle that agents verify the server with, in PEM form; without it that of the legacy's root folder.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Folder of the legacy's recorded behaviour.
    #[arg(long, default_value = "snapshots", value_name = "FOLDER")]
    pub snapshots: PathBuf,
    /// How the findings are printed.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    pub format: Form,
}

impl Doctor {
    /// Looks, and prints what was found.
    pub fn run(&self, _scenarios: &Path) -> ExitCode {
        match self.look() {
            Ok(findings) => self.print(&findings),
            Err(error) => super::could_not_run(&error),
        }
    }

    fn look(&self) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
        let variables = variables();
        let (legacy, engine) = self.targets.chosen(&variables, false)?;
        let runtime = tokio::runtime::Runtime::new()?;
        let findings = runtime.block_on(examine(&Patients {
            legacy: &legacy,
            engine: &engine,
            snapshots: &self.snapshots,
            legacy_root: self.legacy_root.as_deref(),
            engine_root: self.engine_root.as_deref(),
            bundle: self.bundle.as_deref(),
            variables: &variables,
        }));
        runtime.shutdown_background();
        Ok(findings)
    }

    fn print(&self, findings: &[Finding]) -> ExitCode {
        let count = |verdict: Verdict| findings.iter().filter(|one| one.verdict == verdict).count();
        match self.format {
            Form::Json => write_out(format_args!("{}\n", serde_json::json!(findings))),
            Form::Text => {
                for finding in findings {
                    write_out(format_args!("{finding}\n"));
                }
                say!(
                    "{}, {}, {} as they should be",
                    counted(count(Verdict::Problem), "problem"),
                    counted(count(Verdict::Warning), "warning"),
                    count(Verdict::Ok)
                );
            }
        }
        match count(Verdict::Problem) {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(super::WRONG),
        }
    }
}

fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}
