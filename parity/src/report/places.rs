//! Places for people: steps by name and position, and the places of an entry in few lines.

use super::{RunReport, Verdict};
use crate::scenario::names::AFTER_THE_STEPS;
use std::collections::{BTreeMap, BTreeSet};

/// Above this part of all scenarios a list names those that are missing: one in so many.
const FEW: usize = 3;

/// A step for people: its name, and where it stands. `called` is for a step that is not there.
pub(super) fn step(verdict: &Verdict, number: u32, called: Option<&str>) -> String {
    let known = verdict.steps.get(&number).map(String::as_str);
    match (known.or(called), number) {
        (Some(name), _) if AFTER_THE_STEPS.contains(&name) => format!("`{name}`"),
        (Some(name), 0) => format!("step `{name}`"),
        (Some(name), number) => format!("step {number} `{name}`"),
        (None, 0) => "any step".to_owned(),
        (None, number) => format!("step {number}"),
    }
}

/// Where an entry was seen: the steps of each scenario.
pub(super) fn of<'a>(report: &'a RunReport, entry: &str) -> BTreeMap<&'a str, BTreeSet<u32>> {
    let mut out: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for verdict in &report.judgement.verdicts {
        for (_, difference) in verdict.accepted.iter().filter(|(id, _)| id == entry) {
            out.entry(&verdict.scenario).or_default().insert(difference.step);
        }
    }
    out
}

/// The places in lines: scenarios that show it in steps of the same names and positions share one, and so do those that show
/// it once the steps are over.
pub(super) fn lines(report: &RunReport, places: &BTreeMap<&str, BTreeSet<u32>>) -> Vec<String> {
    let mut by_steps: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for verdict in &report.judgement.verdicts {
        if let Some(steps) = places.get(verdict.scenario.as_str()) {
            let names = steps.iter().map(|number| short(verdict, *number));
            let (after, steps): (Vec<String>, Vec<String>) = names.partition(|name| name.starts_with('`'));
            for names in [steps, after].into_iter().filter(|names| !names.is_empty()) {
                by_steps
                    .entry(names.join(", "))
                    .or_default()
                    .push(&verdict.scenario);
            }
        }
    }
    let mut out: Vec<(Vec<&str>, String)> = by_steps.into_iter().map(|(steps, who)| (who, steps)).collect();
    out.sort();
    out.into_iter()
        .map(|(scenarios, steps)| format!("{}: {steps}", scenario_list(report, &scenarios)))
        .collect()
}

fn short(verdict: &Verdict, number: u32) -> String {
    let step = step(verdict, number, None);
    step.strip_prefix("step ").map(str::to_owned).unwrap_or(step)
}

/// Scenarios by name, or those that are missing where nearly all are meant.
fn scenario_list(report: &RunReport, scenarios: &[&str]) -> String {
    let all = &report.judgement.verdicts;
    let missing: Vec<&str> = all
        .iter()
        .map(|verdict| verdict.scenario.as_str())
        .filter(|scenario| !scenarios.contains(scenario))
        .collect();
    if scenarios.len() < FEW || missing.len() * FEW > all.len() {
        return scenarios.join(", ");
    }
    let but = match missing.as_slice() {
        [] => String::new(),
        missing => format!(" but {}", missing.join(", ")),
    };
    format!("all {} scenarios of this run{but}", all.len())
}
