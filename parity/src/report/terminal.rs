//! The report for a person at a terminal.

use super::{Counts, OWN, RunReport, notice_lines, reasons, shown};
use crate::register::Area;
use std::fmt::Write as _;

/// A table of the areas, then everything that needs a look.
#[must_use]
pub fn render(report: &RunReport) -> String {
    let mut out = String::new();
    if let Some(reason) = &report.could_not_run {
        let _ = writeln!(out, "The run could not be done: {reason}");
        return out;
    }
    let provenance = &report.provenance;
    let _ = writeln!(
        out,
        "legacy: {}\nengine: {}\n",
        provenance.legacy, provenance.engine
    );
    let _ = writeln!(
        out,
        "{:<16}{:>8}{:>10}{:>11}{:>14}{:>18}{:>16}",
        "Area", "same", "accepted", "different", "not compared", "steps compared", "unasked events"
    );
    for area in Area::ALL {
        row(&mut out, area.name(), Counts::of(report.in_area(area)));
    }
    row(&mut out, "All", Counts::of(&report.judgement.verdicts));
    for verdict in &report.judgement.verdicts {
        if !verdict.different.is_empty() {
            let _ = writeln!(out, "\n{}: different", verdict.scenario);
        }
        for one in &verdict.different {
            let path = if one.path.is_empty() { "(all)" } else { &one.path };
            let _ = writeln!(out, "  step {}  {}", one.step, one.label);
            let _ = writeln!(out, "    {path}  ({})", kind(one.kind));
            let _ = writeln!(out, "      legacy  {}", shown(one.legacy.as_ref()));
            let _ = writeln!(out, "      engine  {}", shown(one.engine.as_ref()));
        }
    }
    let reasons = reasons(report);
    if !reasons.is_empty() {
        let _ = writeln!(out, "\nNot compared:");
        for (reason, (steps, scenarios)) in reasons {
            let _ = writeln!(out, "  {reason} ({steps} steps in {scenarios} scenarios)");
        }
    }
    if !report.own.is_empty() {
        let _ = writeln!(out, "\nAccess policy `strict`, not compared. {OWN}:");
    }
    for one in &report.own {
        let _ = writeln!(out, "  {}: {}", one.scenario, one.title);
    }
    let unasked = report.judgement.verdicts.iter();
    let unasked: Vec<_> = unasked.filter(|verdict| !verdict.notices.is_empty()).collect();
    if !unasked.is_empty() {
        let _ = writeln!(
            out,
            "\nSeen over sockets, asked for by no step and so not compared:"
        );
    }
    for verdict in unasked {
        let _ = writeln!(
            out,
            "  {}: {}",
            verdict.scenario,
            notice_lines(&verdict.notices).join("; ")
        );
    }
    for id in &report.judgement.unused_entries {
        let _ = writeln!(
            out,
            "\nThe register's entry `{id}` matched nothing: remove it, or correct its paths."
        );
    }
    for id in &report.judgement.expired_entries {
        let _ = writeln!(
            out,
            "\nThe register's entry `{id}` has expired and accepts nothing any more."
        );
    }
    out
}

fn kind(kind: crate::diff::Kind) -> &'static str {
    match kind {
        crate::diff::Kind::Missing => "only the legacy has it",
        crate::diff::Kind::Extra => "only the engine has it",
        crate::diff::Kind::Value => "another value",
        crate::diff::Kind::Type => "another type",
    }
}

fn row(out: &mut String, name: &str, counts: Counts) {
    let steps = counts.compared_steps + counts.not_compared_steps;
    let compared = format!("{} of {steps}", counts.compared_steps);
    let _ = writeln!(
        out,
        "{name:<16}{:>8}{:>10}{:>11}{:>14}{compared:>18}{:>16}",
        counts.same, counts.accepted, counts.different, counts.not_compared, counts.notices
    );
}
