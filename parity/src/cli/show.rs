//! `parity show`: one scenario, step by step.

use std::{path::Path, process::ExitCode};

use clap::Args;

use serde_json::{Value, json};

use super::output::{complain, say};
use crate::{
    runner::step_label,
    scenario::{
        library,
        model::{Action, FileSource},
    },
};

/// Arguments of `parity show`.
#[derive(Debug, Args)]
pub struct Show {
    /// `<area>/<name>`, as `parity list` prints it.
    pub scenario: String,
}

impl Show {
    /// Prints the scenario's steps.
    pub fn run(&self, scenarios: &Path) -> ExitCode {
        let entry = library::find(scenarios, &self.scenario);
        let scenario = match &entry.scenario {
            Ok(scenario) => scenario,
            Err(error) => {
                for fault in error.faults() {
                    complain!("{}", fault.in_file(&entry.path));
                }
                return ExitCode::from(super::COULD_NOT_RUN);
            }
        };
        say!("{}\n{}\n", scenario.name, scenario.title);
        for agent in &scenario.agents {
            say!("agent {}: {}", agent.name, agent.hostname);
        }
        for (path, source) in &scenario.files {
            match source {
                FileSource::Link(to) => say!("link before the start: {path} -> {to}"),
                FileSource::Mode(_, mode) => say!("file before the start: {path} (mode {mode:04o})"),
                _ => say!("file before the start: {path}"),
            }
        }
        for step in &scenario.steps {
            say!("{:>4}  {}", step.id, step.name);
            let label = step_label(step);
            if label != step.name {
                say!("      {label}");
            }
            if let Action::Socket(socket) = &step.action
                && let Some(texts) = shortened(&socket.texts())
            {
                say!("      {texts}");
            }
            if !step.note.is_empty() {
                say!("      {}", step.note);
            }
            if !step.expect.is_empty() {
                say!("      expects {}", step.expect.value());
            }
            let names: Vec<_> = step.captures.iter().map(|(name, _)| name.as_str()).collect();
            if !names.is_empty() {
                say!("      captures {}", names.join(", "));
            }
        }
        ExitCode::SUCCESS
    }
}

/// What a client sends or connects with, cut where it gets long; nothing where it is nothing.
fn shortened(texts: &Value) -> Option<String> {
    const LONGEST: usize = 160;
    if texts.is_null() || *texts == json!([]) || *texts == json!({}) {
        return None;
    }
    let text = texts.to_string();
    if text.chars().count() <= LONGEST {
        return Some(text);
    }
    Some(text.chars().take(LONGEST).chain("…".chars()).collect())
}
