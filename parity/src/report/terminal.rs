//! The report for a person at a terminal.

use super::places::step;
use super::{ALONE, Counts, Ending, OWN, RunReport, alone, ending, reasons, shown};
use crate::register::Area;
use crate::register::Outcome;
use std::fmt::Write as _;

/// So many differences of one scenario are printed: whoever reads more of them reads a report.
const MOST: usize = 100;

/// A table of the areas, then everything that needs a look.
#[must_use]
pub fn render(report: &RunReport) -> String {
    let mut out = String::new();
    if let Some(reason) = &report.could_not_run {
        let _ = writeln!(out, "The run could not be done: {reason}");
        return out;
    }
    let provenance = &report.provenance;
    for warning in &report.live.warnings {
        let _ = writeln!(out, "WARNING: {warning}\n");
    }
    let legacy = match provenance.legacy.as_str() {
        "" => "none: nothing was compared",
        legacy => legacy,
    };
    let _ = writeln!(
        out,
        "legacy: {legacy}\nengine: {}, {}\n",
        provenance.engine, provenance.revision
    );
    if let Some(partial) = report.partial {
        let _ = writeln!(out, "Partial: {partial}. Of the others nothing is said.\n");
    }
    let _ = writeln!(
        out,
        "{:<16}{:>8}{:>10}{:>11}{:>14}{:>8}{:>18}",
        "Area", "same", "accepted", "different", "not compared", "alone", "steps compared"
    );
    for area in Area::ALL {
        row(&mut out, area.name(), Counts::of(report.in_area(area)));
    }
    row(&mut out, "All", Counts::of(&report.judgement.verdicts));
    for verdict in &report.judgement.verdicts {
        if !verdict.different.is_empty() || !verdict.unmet.is_empty() {
            let _ = writeln!(out, "\n{}: different", verdict.scenario);
        }
        for one in &verdict.unmet {
            let _ = writeln!(
                out,
                "  {}  {}\n    no longer differs as the register's entry `{}` says: remove the place there, or correct it",
                step(verdict, one.step, one.name.as_deref()),
                one.path,
                one.entry
            );
        }
        for (at, one) in verdict.different.iter().enumerate().take(MOST) {
            let path = if one.path.is_empty() { "(all)" } else { &one.path };
            let _ = writeln!(out, "  {}  {}", step(verdict, one.step, None), one.label);
            let _ = writeln!(out, "    {path}  ({})", kind(one.kind));
            let _ = writeln!(out, "      legacy  {}", shown(one.legacy.as_ref()));
            let _ = writeln!(out, "      engine  {}", shown(one.engine.as_ref()));
            for expired in verdict.expired.iter().filter(|expired| expired.difference == at) {
                let _ = writeln!(out, "      accepted until the entry `{}` expired", expired.entry);
            }
        }
        if let Some(more @ 1..) = verdict.different.len().checked_sub(MOST) {
            let _ = writeln!(out, "  and {more} more of this scenario, which the reports list");
        }
    }
    let reasons = reasons(report);
    if !reasons.is_empty() {
        let _ = writeln!(out, "\nNot compared:");
        for (reason, (steps, scenarios)) in reasons {
            let _ = writeln!(out, "  {reason} ({steps} steps in {scenarios} scenarios)");
        }
    }
    let lone = report.judgement.verdicts.iter();
    let lone: Vec<&str> = lone
        .filter(|verdict| verdict.outcome == Outcome::Alone)
        .map(|verdict| verdict.scenario.as_str())
        .collect();
    if !lone.is_empty() {
        let _ = writeln!(out, "\nAlone. {ALONE}:\n  {}", lone.join(", "));
    }
    for (heading, lines) in report.live.sections() {
        let _ = writeln!(out, "\n{heading}:");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    if !report.own.is_empty() {
        let _ = writeln!(out, "\nAccess policy `strict`, not compared. {OWN}:");
    }
    for one in &report.own {
        let _ = writeln!(out, "  {}: {}", one.scenario, one.title);
    }
    for id in &report.judgement.expired_entries {
        let _ = writeln!(
            out,
            "\nThe register's entry `{id}` has expired{} and accepts nothing any more: mend what it accepted, or decide \
             on it anew.",
            report.last_day(id)
        );
    }
    if let Some(reason) = &report.allowed_not_compared {
        let _ = writeln!(out, "\nThat something was not compared is allowed: {reason}");
    }
    out
}

/// The last line: whether all is well, what was counted, how long it took, and how many megabytes (of a million bytes) were
/// resident at most, where the system tells.
#[must_use]
pub fn last_line(report: &RunReport, took: std::time::Duration, peak: Option<f64>) -> String {
    format!(
        "{}, {:.1} s{}",
        last_words(report),
        took.as_secs_f64(),
        peak.map(|peak| format!(", at most {peak:.0} MB"))
            .unwrap_or_default()
    )
}

/// Whether all is well, and what was counted.
#[must_use]
pub fn last_words(report: &RunReport) -> String {
    let counts = Counts::of(&report.judgement.verdicts);
    let (word, why) = match ending(report) {
        Ending::Pass => ("PASS", ""),
        Ending::Differs => ("FAIL", ", something differs"),
        Ending::CouldNotRun if report.could_not_run.is_none() && counts.scenarios == 0 => {
            ("FAIL", ", nothing was chosen that can be compared")
        }
        Ending::CouldNotRun => ("FAIL", ", something could not run"),
        Ending::NotCompared => ("FAIL", ", something was not compared"),
        Ending::Interrupted => ("FAIL", ", the run was interrupted"),
    };
    format!(
        "{word}{why}: {} scenarios, {} steps compared, {} differences expected, {} not expected, {} expected and not \
         seen, {} steps not compared, {} scenarios could not run{}",
        counts.scenarios,
        counts.compared_steps,
        counts.expected,
        counts.unexpected,
        counts.unmet,
        counts.not_compared_steps,
        counts.could_not_run,
        alone(counts)
            .map(|alone| format!("; {alone}"))
            .unwrap_or_default()
    )
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
        "{name:<16}{:>8}{:>10}{:>11}{:>14}{:>8}{compared:>18}",
        counts.same,
        counts.accepted,
        counts.different,
        counts.not_compared + counts.could_not_run,
        counts.as_it_says
    );
}
