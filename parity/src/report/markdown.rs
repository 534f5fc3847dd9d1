//! `divergences.md`: the table that is signed before a cut-over.
//!
//! One row a defect or decision, and below it the places; at its foot what it was made from, and its own digest.

use super::{ALONE, Counts, EntryNote, OWN, RunReport, Verdict, places, reasons, shown};
use crate::normalize::sha256_hex;
use crate::register::{Area, Outcome};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What stands before the digest in the last line.
const DIGEST: &str = "SHA-256 of everything above this line: ";

/// The entries of one defect or decision.
struct Defect<'a> {
    name: &'a str,
    entries: Vec<&'a EntryNote>,
}

/// The report as Markdown.
#[must_use]
pub fn render(report: &RunReport) -> String {
    let mut out = "# Divergences\n\n".to_owned();
    if let Some(reason) = &report.could_not_run {
        let _ = writeln!(out, "The run could not be done: {}", cell(reason));
        return sign(out, report);
    }
    if let Some(partial) = report.partial {
        let _ = writeln!(
            out,
            "**Partial: {partial}.** Of the others this table says nothing, so it cannot be signed.\n"
        );
    }
    for warning in &report.live.warnings {
        let _ = writeln!(out, "**WARNING: {}**\n", cell(warning));
    }
    let from = &report.provenance;
    let _ = writeln!(out, "- Legacy: {}\n- Engine: {}", from.legacy, from.engine);
    let _ = writeln!(out, "- Compared by: {}\n- Date: {}", from.parity, from.date);
    if let Some(reason) = &report.allowed_not_compared {
        let _ = writeln!(
            out,
            "- That something was not compared is allowed: {}",
            cell(reason)
        );
    }
    let defects = defects(report);
    table(&mut out, report, &defects);
    out.push_str("\n## Counts\n\n| Area | Same | Accepted | Different | Not compared | Alone | Steps compared | Steps not compared |\n");
    out.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for area in Area::ALL {
        counts_row(&mut out, area.name(), Counts::of(report.in_area(area)));
    }
    counts_row(&mut out, "All", Counts::of(&report.judgement.verdicts));
    not_compared(&mut out, report);
    for (heading, lines) in report.live.sections() {
        let _ = writeln!(out, "\n## {heading}\n");
        for line in lines {
            let _ = writeln!(out, "- {}", cell(&line));
        }
    }
    not_looked_at(&mut out, report);
    register(&mut out, report);
    out.push_str("\n## Places\n\nA step is called by its position and its name; `heard` is what the sockets received, `left` what \
                  the server left (tables and files), `asked` what it asked of GitHub.\n");
    for defect in &defects {
        places_of(&mut out, report, defect);
    }
    sign(out, report)
}

/// The table alone.
pub(super) fn divergences(out: &mut String, report: &RunReport) {
    table(out, report, &defects(report));
}

/// The entries by what they rest on, in the order of the areas and of the register.
fn defects(report: &RunReport) -> Vec<Defect<'_>> {
    let mut out: Vec<Defect<'_>> = Vec::new();
    for area in Area::ALL {
        for entry in report.entries.iter().filter(|entry| entry.area == area) {
            match out.iter_mut().find(|defect| defect.name == entry.defect) {
                Some(defect) => defect.entries.push(entry),
                None => out.push(Defect {
                    name: &entry.defect,
                    entries: vec![entry],
                }),
            }
        }
    }
    out
}

fn table(out: &mut String, report: &RunReport, defects: &[Defect<'_>]) {
    out.push_str(
        "\n| Area | Defect or decision | Legacy behaviour | Engine behaviour | Why | Places | Since |\n",
    );
    out.push_str("| --- | --- | --- | --- | --- | ---: | --- |\n");
    for verdict in &report.judgement.verdicts {
        for one in &verdict.different {
            let _ = writeln!(
                out,
                "| {} | **Not accepted** | {} | {} | {}, {} ({}), `{}` | 1 | |",
                Area::of(&verdict.scenario).name(),
                code(&shown(one.legacy.as_ref())),
                code(&shown(one.engine.as_ref())),
                one.scenario,
                cell(&places::step(verdict, one.step, None)),
                cell(&one.label),
                cell(&one.path),
            );
        }
    }
    for defect in defects {
        defect_row(out, report, defect);
    }
    for area in Area::ALL {
        let named = defects
            .iter()
            .flat_map(|defect| &defect.entries)
            .any(|entry| entry.area == area);
        let differs = report.in_area(area).any(|verdict| !verdict.different.is_empty());
        if !named && !differs {
            let note = match Counts::of(report.in_area(area)).compared_steps {
                0 => "Nothing was compared",
                _ => "No divergence seen",
            };
            let _ = writeln!(out, "| {} | | | | {note} | 0 | |", area.name());
        }
    }
}

fn defect_row(out: &mut String, report: &RunReport, defect: &Defect<'_>) {
    let each = |text: fn(&EntryNote) -> String| -> Vec<String> {
        defect.entries.iter().map(|entry| text(entry)).collect()
    };
    let seen = |entry: &&EntryNote| {
        places::of(report, &entry.id)
            .values()
            .map(|steps| steps.len())
            .sum::<usize>()
    };
    let since = |entry: &EntryNote| -> String {
        let mut text = entry.since.clone();
        for (title, more) in [
            ("owner", &entry.owner),
            ("ticket", &entry.ticket),
            ("until", &entry.expires),
        ] {
            if let Some(more) = more {
                let _ = write!(text, ", {title} {more}");
            }
        }
        if report.judgement.expired_entries.contains(&entry.id) {
            text.push_str(", **expired**");
        }
        text
    };
    let mut areas: Vec<&str> = Vec::new();
    for entry in &defect.entries {
        if !areas.contains(&entry.area.name()) {
            areas.push(entry.area.name());
        }
    }
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {} |",
        areas.join(", "),
        cell(defect.name),
        joined(&each(|entry| entry.legacy_behaviour.clone())),
        joined(&each(|entry| entry.engine_behaviour.clone())),
        joined(&each(|entry| entry.reason.clone())),
        defect.entries.iter().map(seen).sum::<usize>(),
        joined(
            &defect
                .entries
                .iter()
                .map(|entry| since(entry))
                .collect::<Vec<_>>()
        ),
    );
}

/// The texts of a defect's entries in one cell: each text once, with the numbers of the entries that have it.
fn joined(texts: &[String]) -> String {
    let mut by_text: Vec<(&str, Vec<String>)> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let number = (at + 1).to_string();
        match by_text.iter_mut().find(|(known, _)| known == text) {
            Some((_, numbers)) => numbers.push(number),
            None => by_text.push((text, vec![number])),
        }
    }
    match by_text.as_slice() {
        [(text, _)] => cell(text),
        several => {
            let texts: Vec<String> = several
                .iter()
                .map(|(text, numbers)| format!("({}) {}", numbers.join(", "), cell(text)))
                .collect();
            texts.join("<br>")
        }
    }
}

fn places_of(out: &mut String, report: &RunReport, defect: &Defect<'_>) {
    let _ = writeln!(out, "\n### {}\n", cell(defect.name));
    let several = defect.entries.len() > 1;
    for (at, entry) in defect.entries.iter().enumerate() {
        let places = places::of(report, &entry.id);
        let number = if several {
            format!("({}) ", at + 1)
        } else {
            String::new()
        };
        let count = places.values().map(|steps| steps.len()).sum::<usize>();
        let seen = match (count, report.judgement.expired_entries.contains(&entry.id)) {
            (_, true) => format!("expired{}, accepts nothing any more", report.last_day(&entry.id)),
            (0, _) => "not seen in this run".to_owned(),
            (1, _) => "1 place".to_owned(),
            (count, _) => format!("{count} places"),
        };
        let _ = writeln!(out, "- {number}`{}`, {seen}", entry.id);
        for line in places::lines(report, &places) {
            let _ = writeln!(out, "  - {}", cell(&line));
        }
    }
}

fn not_compared(out: &mut String, report: &RunReport) {
    out.push_str("\n## Not compared\n\n");
    let reasons = reasons(report);
    let lone = report.judgement.verdicts.iter();
    let lone: Vec<&Verdict> = lone.filter(|verdict| verdict.outcome == Outcome::Alone).collect();
    if reasons.is_empty() && report.own.is_empty() && lone.is_empty() {
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
    if !lone.is_empty() {
        let steps: usize = lone.iter().filter_map(|verdict| verdict.alone_steps).sum();
        let names: Vec<&str> = lone.iter().map(|verdict| verdict.scenario.as_str()).collect();
        let _ = writeln!(
            out,
            "- {ALONE}: {steps} steps in {} scenarios: {}",
            names.len(),
            names.join(", ")
        );
    }
    if !report.own.is_empty() {
        let _ = writeln!(out, "\n## Access policy: what strict refuses\n\n{OWN}.\n");
    }
    for one in &report.own {
        let _ = writeln!(out, "- {}: {}", one.scenario, cell(&one.title));
    }
}

fn not_looked_at(out: &mut String, report: &RunReport) {
    out.push_str(
        "\n## What parity does not look at\n\nOf every answer, event, row and file that was compared, this and nothing else. \
         `parity prove` changes what the engine showed in thousands of places and holds what nobody notices against this table \
         and the register.\n\n| Not looked at | Compared instead | Why | Places in this run |\n| --- | --- | --- | ---: |\n",
    );
    for row in &report.not_looked_at {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            cell(&row.what),
            cell(&row.instead),
            cell(&row.reason),
            row.places
        );
    }
}

fn register(out: &mut String, report: &RunReport) {
    let judged = &report.judgement;
    let unmet = |verdict: &Verdict| !verdict.unmet.is_empty();
    if judged.verdicts.iter().any(unmet) || !judged.expired_entries.is_empty() {
        out.push_str("\n## The register\n\n");
    }
    for verdict in &judged.verdicts {
        for one in &verdict.unmet {
            let _ = writeln!(
                out,
                "- `{}` expects a difference in {}, {}, `{}`, and there is none any more.",
                one.entry,
                verdict.scenario,
                cell(&places::step(verdict, one.step, one.name.as_deref())),
                cell(&one.path)
            );
        }
    }
    let mut missed: BTreeMap<&str, usize> = BTreeMap::new();
    for expired in judged.verdicts.iter().flat_map(|verdict| &verdict.expired) {
        *missed.entry(&expired.entry).or_default() += 1;
    }
    for id in &judged.expired_entries {
        let last = report.last_day(id);
        let count = missed.get(id.as_str()).copied().unwrap_or_default();
        let _ = writeln!(
            out,
            "- `{id}` has expired{last} and accepts nothing any more; {count} of the differences that are not accepted were \
             its own."
        );
    }
}

/// Adds what the table was made from, and its digest.
fn sign(mut out: String, report: &RunReport) -> String {
    let from = &report.provenance;
    let _ = writeln!(out, "\n---\n\n{}, {}\n", from.engine, from.revision);
    let digest = sha256_hex(out.as_bytes());
    let _ = writeln!(out, "{DIGEST}{digest}");
    out
}

/// What a table says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// It is as it was written.
    Whole,
    /// Something was changed since.
    Changed,
    /// It has no digest in its last line, or something stands behind it.
    Without,
}

/// Whether a table is as it was written.
#[must_use]
pub fn verify(text: &str) -> Signed {
    let Some((above, digest)) = text.rsplit_once(DIGEST) else {
        return Signed::Without;
    };
    match digest.strip_suffix('\n') {
        Some(digest) if !digest.contains('\n') => {
            if digest == sha256_hex(above.as_bytes()) {
                Signed::Whole
            } else {
                Signed::Changed
            }
        }
        _ => Signed::Without,
    }
}

fn counts_row(out: &mut String, name: &str, counts: Counts) {
    let _ = writeln!(
        out,
        "| {name} | {} | {} | {} | {} | {} | {} | {} |",
        counts.same,
        counts.accepted,
        counts.different,
        counts.not_compared + counts.could_not_run,
        counts.as_it_says,
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
