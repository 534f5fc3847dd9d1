//! `parity list`: the scenarios by area; or the routes and events, with the scenarios that touch them.

use std::{path::Path, process::ExitCode};

use clap::Args;

use super::output::{complain, say};
use crate::{coverage, scenario::library};

/// Arguments of `parity list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only scenarios whose name contains this text.
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// Instead, each route and event of the server with the scenarios that touch it, by access policy. TEXT is looked for in
    /// the routes and events.
    #[arg(long)]
    pub routes: bool,
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
        if self.routes {
            let unread = entries.iter().filter(|entry| entry.scenario.is_err());
            unread.for_each(|entry| complain!("{}: unreadable, so it touches nothing", entry.name));
            let scenarios = entries.iter().filter_map(|entry| entry.scenario.as_ref().ok());
            let filter = self.filter.as_deref().unwrap_or_default();
            for touched in coverage::of(scenarios) {
                if touched.name.contains(filter) {
                    say!("{touched}");
                }
            }
            return ExitCode::SUCCESS;
        }
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
