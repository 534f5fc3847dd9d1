//! `parity check`: every scenario can be read and everything it refers to is there.

use std::{path::Path, process::ExitCode};

use clap::Args;

use crate::scenario::{library, verify};

/// Arguments of `parity check`.
#[derive(Debug, Args)]
pub struct Check;

impl Check {
    /// Prints every problem as `file:line: reason`.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        let entries = match library::load(scenarios) {
            Ok(entries) => entries,
            Err(error) => {
                eprintln!("{}: {error}", scenarios.display());
                return ExitCode::from(super::COULD_NOT_RUN);
            }
        };
        let mut problems = 0_usize;
        for entry in &entries {
            match &entry.scenario {
                Err(error) => {
                    problems += 1;
                    println!("{}: {error}", entry.path.display());
                }
                Ok(scenario) => {
                    for problem in verify::problems(scenario, entry.folder()) {
                        problems += 1;
                        println!("{}:{}: {}", entry.path.display(), problem.line, problem.reason);
                    }
                }
            }
        }
        println!("{} scenarios, {problems} problems", entries.len());
        if problems == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(super::WRONG)
        }
    }
}
