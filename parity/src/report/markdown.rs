//! `divergences.md`: the table that is signed before a cut-over.

use super::{Counts, EntryNote, OWN, ReportError, RunReport, reasons, shown, write_text};
use crate::register::Area;
use std::fmt::Write as _;
use std::path::Path;

/// Writes `divergences.md`, over an older one.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, report: &RunReport) -> Result<(), ReportError> {
    write_text(path, &render(report))
}

/// The report as Markdown.
#[must_use]
pub fn render(report: &RunReport) -> String {
    let mut out = "# Divergences\n\n".to_owned();
    if let Some(reason) = &report.could_not_run {
        let _ = writeln!(out, "The run could not be done: {}", cell(reason));
        return out;
    }
    let from = &report.provenance;
    let _ = writeln!(out, "- Legacy: {}\n- Engine: {}", from.legacy, from.engine);
    let _ = writeln!(out, "- Compared by: {}\n- Date: {}\n", from.parity, from.date);
    out.push_str(
        "| Area | Legacy Behaviour | Engine Behaviour | Notes / Links |\n| --- | --- | --- | --- |\n",
    );
    for area in Area::ALL {
        let before = out.len();
        for entry in report.entries.iter().filter(|entry| entry.area == area) {
            accepted_row(&mut out, report, entry);
        }
        for one in report.in_area(area).flat_map(|verdict| &verdict.different) {
            let _ = writeln!(
                out,
                "| {} | {} | {} | **Not accepted.** {}, step {} ({}), `{}` |",
                area.name(),
                code(&shown(one.legacy.as_ref())),
                code(&shown(one.engine.as_ref())),
                one.scenario,
                one.step,
                cell(&one.label),
                cell(&one.path),
            );
        }
        if out.len() == before {
            let compared = Counts::of(report.in_area(area)).compared_steps;
            let note = if compared == 0 {
                "Nothing was compared"
            } else {
                "No divergence seen"
            };
            let _ = writeln!(out, "| {} | | | {note} |", area.name());
        }
    }
    out.push_str("\n## Counts\n\n| Area | Same | Accepted | Different | Not compared | Steps compared | Steps not compared |\n");
    out.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for area in Area::ALL {
        counts_row(&mut out, area.name(), Counts::of(report.in_area(area)));
    }
    counts_row(&mut out, "All", Counts::of(&report.judgement.verdicts));
    out.push_str("\n## Not compared\n\n");
    let reasons = reasons(report);
    if reasons.is_empty() && report.own.is_empty() {
        out.push_str("Everything was compared.\n");
    }
    if !report.own.is_empty() {
        let count = report.own.len();
        let _ = writeln!(
            out,
            "- the access policy `strict`, which the legacy does not have: {count} scenarios, listed below"
        );
    }
    for (reason, (steps, scenarios)) in reasons {
        let _ = writeln!(out, "- {}: {steps} steps in {scenarios} scenarios", cell(reason));
    }
    if !report.own.is_empty() {
        let _ = writeln!(out, "\n## Access policy: what strict refuses\n\n{OWN}.\n");
    }
    for one in &report.own {
        let _ = writeln!(out, "- {}: {}", one.scenario, cell(&one.title));
    }
    let judged = &report.judgement;
    let unmet = judged
        .verdicts
        .iter()
        .flat_map(|verdict| verdict.unmet.iter().map(move |one| (verdict, one)));
    let unmet: Vec<_> = unmet.collect();
    if !unmet.is_empty() || !judged.expired_entries.is_empty() {
        out.push_str("\n## The register\n\n");
    }
    for (verdict, one) in unmet {
        let _ = writeln!(
            out,
            "- `{}` expects a difference in {}, step {}, `{}`, and there is none any more.",
            one.entry,
            verdict.scenario,
            one.step,
            cell(&one.path)
        );
    }
    for id in &judged.expired_entries {
        let _ = writeln!(out, "- `{id}` has expired and accepts nothing any more.");
    }
    out
}

fn accepted_row(out: &mut String, report: &RunReport, entry: &EntryNote) {
    let mut note = format!(
        "{} ({}): {} Since {}",
        entry.defect, entry.id, entry.reason, entry.since
    );
    for (title, text) in [("owner", &entry.owner), ("ticket", &entry.ticket)] {
        if let Some(text) = text {
            let _ = write!(note, ", {title} {text}");
        }
    }
    if report.judgement.expired_entries.contains(&entry.id) {
        note.push_str(". Expired.");
    } else if entry.accepted == 0 {
        note.push_str(". Not seen in this run.");
    } else {
        let _ = write!(note, ". Seen at {} places.", entry.accepted);
    }
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} |",
        entry.area.name(),
        cell(&entry.legacy_behaviour),
        cell(&entry.engine_behaviour),
        cell(&note)
    );
}

fn counts_row(out: &mut String, name: &str, counts: Counts) {
    let _ = writeln!(
        out,
        "| {name} | {} | {} | {} | {} | {} | {} |",
        counts.same,
        counts.accepted,
        counts.different,
        counts.not_compared + counts.could_not_run,
        counts.compared_steps,
        counts.not_compared_steps
    );
}

/// Text that cannot break out of its cell.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\r', '\n'], " ")
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", cell(&text.replace('&', "&amp;")))
}
