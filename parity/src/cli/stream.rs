//! `parity run --format json`: what happens, as one JSON object a line, for programs that follow a run.

use std::path::Path;

use serde_json::{Value, json};

use super::output::write_out;
use crate::{
    report::{Counts, Ending, Folder, RunReport, ending},
    runner::{RunError, RunEvents},
    scenario::model::Scenario,
    signature::Coverage,
    transcript::Transcript,
};

/// Prints a line as soon as something happens. Every line has a member `event`:
///
/// - `begun` (`scenarios`: how many were chosen), `started` and `finished` (`scenario`, and `error` where it could not run);
/// - once all are over, `verdict` for each of them (`outcome`, `expected`, `unexpected`, `unmet`, `not_compared`, and
///   `alone_steps`: a number where there is no legacy side);
/// - `ended` (`ending`, `exit_code`, the counts, `seconds`, `reports`, and `signature` where somebody has signed);
///   `scenarios` are those with a legacy side, `alone` those without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream;

fn line(value: &Value) {
    write_out(format_args!("{value}\n"));
}

impl RunEvents for Stream {
    fn scenario_started(&self, scenario: &Scenario) {
        line(&json!({"event": "started", "scenario": scenario.name}));
    }

    fn scenario_finished(&self, scenario: &Scenario, result: Result<&Transcript, &RunError>) {
        line(&match result {
            Ok(_) => json!({"event": "finished", "scenario": scenario.name}),
            Err(error) => {
                json!({"event": "finished", "scenario": scenario.name, "error": error.to_string()})
            }
        });
    }
}

/// The first line.
pub(super) fn begun(scenarios: usize) {
    line(&json!({"event": "begun", "scenarios": scenarios}));
}

/// The last lines.
pub(super) fn ended(report: &RunReport, folder: &Folder, coverage: Option<&Coverage>, seconds: f64) {
    for verdict in &report.judgement.verdicts {
        line(&json!({
            "event": "verdict",
            "scenario": verdict.scenario,
            "outcome": verdict.outcome,
            "compared_steps": verdict.compared_steps,
            "alone_steps": verdict.alone_steps,
            "expected": verdict.accepted.len(),
            "unexpected": verdict.different.len(),
            "unmet": verdict.unmet.len(),
            "not_compared": verdict.not_compared,
        }));
    }
    let counts = Counts::of(&report.judgement.verdicts);
    let ending = ending(report);
    let shown = |path: &Path| path.display().to_string();
    line(&json!({
        "event": "ended",
        "ending": word(ending),
        "exit_code": ending.code(),
        "scenarios": counts.scenarios,
        "alone": counts.alone,
        "alone_steps": counts.alone_steps,
        "compared_steps": counts.compared_steps,
        "not_compared_steps": counts.not_compared_steps,
        "expected": counts.expected,
        "unexpected": counts.unexpected,
        "unmet": counts.unmet,
        "could_not_run": counts.could_not_run,
        "seconds": seconds,
        "reports": [shown(&folder.markdown()), shown(&folder.page()), shown(&folder.json()), shown(&folder.junit())],
        "signature": coverage.map(|coverage| json!({
            "by": coverage.by, "at": coverage.at, "covers": coverage.changes.is_empty(), "changes": coverage.changes,
        })),
    }));
}

fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Pass => "pass",
        Ending::Differs => "differs",
        Ending::CouldNotRun => "could_not_run",
        Ending::NotCompared => "not_compared",
        Ending::Interrupted => "interrupted",
    }
}
