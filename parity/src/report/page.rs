//! `report.html`: the whole run as one page that needs no network. The verdict, the areas and the register are in its markup;
//! the scenarios are packed into it, and its script lays them out.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    io::{self, Write as _},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::{Counts, Ending, OWN, RunReport, alone, ending, reasons};
use crate::register::{Area, Outcome};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The report as a page.
///
/// # Errors
/// If the report cannot be written as JSON.
pub fn render(report: &RunReport) -> io::Result<String> {
    let is_pass = ending(report) == Ending::Pass;
    let parts = BTreeMap::from([
        ("word", if is_pass { "PASS" } else { "FAIL" }.to_owned()),
        ("class", if is_pass { "pass" } else { "fail" }.to_owned()),
        ("sentence", escape(&sentence(report))),
        ("about", escape(&about(report))),
        ("warnings", warnings(report)),
        ("areas", areas(report)),
        ("entries", entries(report)),
        ("masks", masks(report)),
        ("style", STYLE.to_owned()),
        ("script", SCRIPT.to_owned()),
        ("report", pack(report)?),
    ]);
    // What stands in a part is never looked at again: it may hold anything.
    let mut out = String::with_capacity(PAGE.len() + parts.values().map(String::len).sum::<usize>());
    for (index, piece) in PAGE.split("@@").enumerate() {
        match parts.get(piece).filter(|_| index % 2 == 1) {
            Some(part) => out.push_str(part),
            None => out.push_str(piece),
        }
    }
    Ok(out)
}

/// The report and the area of each scenario, packed.
fn pack(report: &RunReport) -> io::Result<String> {
    let mut value = serde_json::to_value(report)?;
    let areas = report.judgement.verdicts.iter().map(|verdict| {
        let area = Area::of(&verdict.scenario).name();
        (verdict.scenario.clone(), Value::from(area))
    });
    if let Value::Object(members) = &mut value {
        members.insert("areas".to_owned(), Value::Object(areas.collect()));
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(value.to_string().as_bytes())?;
    Ok(BASE64.encode(packed.finish()?))
}

/// The verdict as a sentence that needs no other.
fn sentence(report: &RunReport) -> String {
    let counts = Counts::of(&report.judgement.verdicts);
    let all = counts.scenarios + counts.alone;
    let lone = alone(counts)
        .map(|alone| format!(" {alone}."))
        .unwrap_or_default();
    match ending(report) {
        Ending::Pass if counts.same + counts.accepted == 0 => format!("Nothing was compared.{lone}"),
        Ending::Pass => {
            let defects: std::collections::BTreeSet<_> = report
                .entries
                .iter()
                .filter(|entry| entry.accepted > 0)
                .map(|entry| &entry.defect)
                .collect();
            format!(
                "In all {} scenarios that have a legacy side the engine does what the legacy did, but for what is \
                 expected of it: {} differences, by {} defects and decisions.{lone}",
                counts.same + counts.accepted,
                counts.expected,
                defects.len()
            )
        }
        Ending::Differs => format!(
            "{} of {all} scenarios differ in a way that nobody has accepted.{lone}",
            counts.different
        ),
        Ending::CouldNotRun => match &report.could_not_run {
            Some(reason) => format!("The run could not be done: {reason}"),
            None => format!(
                "{} of {all} scenarios could not run, so nothing can be said of them.",
                counts.could_not_run
            ),
        },
        Ending::NotCompared => format!("Nothing differs that was compared, but not everything was.{lone}"),
        Ending::Interrupted => match report.partial {
            Some(partial) => format!("{partial}. Of the others nothing is known."),
            None => "The run was interrupted.".to_owned(),
        },
    }
}

fn about(report: &RunReport) -> String {
    let from = &report.provenance;
    format!(
        "Legacy: {} · Engine: {}, {} · {} · {}",
        from.legacy, from.engine, from.revision, from.parity, from.date
    )
}

fn warnings(report: &RunReport) -> String {
    let mut out = String::new();
    let mut warn = |text: fmt::Arguments<'_>| {
        let _ = writeln!(out, "<p class=\"warning\">{}</p>", escape(&text.to_string()));
    };
    for warning in &report.live.warnings {
        warn(format_args!("{warning}"));
    }
    if let Some(reason) = &report.allowed_not_compared {
        warn(format_args!(
            "That something was not compared is allowed: {reason}"
        ));
    }
    for (reason, (steps, scenarios)) in reasons(report) {
        warn(format_args!(
            "{steps} steps of {scenarios} scenarios were not compared: {reason}"
        ));
    }
    for expired in &report.judgement.expired_entries {
        warn(format_args!("The register's entry {expired} has expired."));
    }
    for (heading, lines) in report.live.sections() {
        let _ = writeln!(out, "<h2>{}</h2>\n<ul>", escape(heading));
        for line in lines {
            let _ = writeln!(out, "<li>{}</li>", escape(&line));
        }
        out.push_str("</ul>\n");
    }
    if !report.own.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"count\">{} scenarios of policy strict were not run. {}.</p>",
            report.own.len(),
            escape(&OWN.replace('`', ""))
        );
    }
    out
}

fn areas(report: &RunReport) -> String {
    let mut out = String::from(
        "<table><thead><tr><th>Area</th><th class=\"number\">same</th><th class=\"number\">as expected</th>\
         <th class=\"number\">different</th><th class=\"number\">not compared</th><th class=\"number\">alone</th>\
         <th class=\"number\">could not run</th>\
         <th class=\"number\">steps compared</th></tr></thead><tbody>\n",
    );
    for area in Area::ALL {
        let counts = Counts::of(report.in_area(area));
        if report.in_area(area).next().is_none() {
            continue;
        }
        let name = area.name();
        let _ = write!(
            out,
            "<tr><td><a href=\"#search\" data-area=\"{name}\">{name}</a></td>"
        );
        for number in [
            counts.same,
            counts.accepted,
            counts.different,
            counts.not_compared,
            counts.as_it_says,
            counts.could_not_run,
            counts.compared_steps,
        ] {
            let _ = write!(out, "<td class=\"number\">{number}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
    let unexpected = report
        .judgement
        .verdicts
        .iter()
        .filter(|verdict| matches!(verdict.outcome, Outcome::Different | Outcome::CouldNotRun));
    let links: Vec<_> = unexpected
        .map(|verdict| {
            let scenario = escape(&verdict.scenario);
            format!("<a href=\"#scenarios\" data-open=\"{scenario}\">{scenario}</a>")
        })
        .collect();
    if !links.is_empty() {
        let _ = writeln!(out, "<p>To look at: {}</p>", links.join(", "));
    }
    out
}

fn entries(report: &RunReport) -> String {
    if report.entries.is_empty() {
        return "<p class=\"none\">None: nothing of the register is expected in this run.</p>\n".to_owned();
    }
    let mut out = String::from(
        "<table><thead><tr><th>Defect or decision</th><th>The legacy</th><th>The engine</th><th>Why</th>\
         <th class=\"number\">seen</th></tr></thead><tbody>\n",
    );
    for entry in &report.entries {
        let _ = writeln!(
            out,
            "<tr id=\"entry-{}\"><td><b>{}</b><br><code>{}</code><br>{}{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"number\">{}</td></tr>",
            escape(&entry.id),
            escape(&entry.defect),
            escape(&entry.id),
            escape(entry.area.name()),
            entry
                .expires
                .as_ref()
                .map(|day| format!("<br>until {}", escape(day)))
                .unwrap_or_default(),
            escape(&entry.legacy_behaviour),
            escape(&entry.engine_behaviour),
            escape(&entry.reason),
            entry.accepted
        );
    }
    out.push_str("</tbody></table>\n");
    out
}

fn masks(report: &RunReport) -> String {
    let mut out = String::from(
        "<table><thead><tr><th>What</th><th>Compared instead</th><th>Why</th><th class=\"number\">places</th></tr></thead><tbody>\n",
    );
    for mask in &report.not_looked_at {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td></tr>",
            escape(&mask.what),
            escape(&mask.instead),
            escape(&mask.reason),
            mask.places
        );
    }
    out.push_str("</tbody></table>\n");
    out
}

/// A text as markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
