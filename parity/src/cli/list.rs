//! `parity list`: the scenarios by area.

use std::{path::Path, process::ExitCode};

use clap::Args;

use super::output::{complain, say};
use crate::scenario::library;

/// Arguments of `parity list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only scenarios whose name contains this text.
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
}

impl List {
    /// Prints a line for each scenario.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        let entries = match library::load(scenarios) {
            Ok(entries) => entries,
            Err(error) => {
                complain!("{}: {error}", scenarios.display());
                return ExitCode::from(super::COULD_NOT_RUN);
            }
        };
        let wanted = |name: &str| self.filter.as_deref().is_none_or(|text| name.contains(text));
        for entry in entries.iter().filter(|entry| wanted(&entry.name)) {
            match &entry.scenario {
                Ok(scenario) => say!(
                    "{:<50} {:>3} steps  {}",
                    entry.name,
                    scenario.steps.len(),
                    scenario.title
                ),
                Err(error) => say!("{:<50} unreadable: {error}", entry.name),
            }
        }
        ExitCode::SUCCESS
    }
}
