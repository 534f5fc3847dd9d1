//! Figures as one page that needs no network: what was measured, on which machine, with which settings.

use std::fmt::{Display, Write as _};

use serde::Serialize;

use super::{Comparison, DeliveryReport, Figure, Growth, ListReport, Load, SoakReport, siege::Assault};
use crate::report::page::escape;

/// What one load gave.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Measured {
    Figures { load: Load, figures: Vec<Figure> },
    Lists { report: ListReport },
    Siege { attacks: Vec<Assault> },
    Soak { report: SoakReport },
    Growth { rows: Vec<Growth> },
    Delivery { report: DeliveryReport },
    Channel { comparison: Comparison },
}

/// Where it was measured, and of what.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// The revision of the sources that parity was built from.
    pub revision: String,
    pub processor: String,
    pub processors: usize,
    pub memory: String,
    pub system: String,
    /// The command line.
    pub command: String,
    pub date: String,
}

impl Setting {
    /// Of this machine.
    pub fn here(command: String, date: String) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            text.lines()
                .find_map(|line| Some(line.strip_prefix(name)?.split_once(':')?.1.trim().to_owned()))
                .unwrap_or_else(|| "unknown".to_owned())
        };
        Self {
            revision: env!("BOREALIS_REVISION").to_owned(),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory: field(&read("/proc/meminfo"), "MemTotal"),
            system: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            command,
            date,
        }
    }
}

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>parity bench</title><style>
:root { color-scheme: light dark; --line: #2563eb; --even: #9ca3af; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { display: inline-block; margin: .5rem 1.5rem .5rem 0; } figcaption { font-size: 13px; }
svg { overflow: visible; } .axis { fill: none; stroke: var(--even); } circle { fill: var(--line); } text { font-size: 11px; fill: currentColor; }
polyline { fill: none; stroke: var(--line); stroke-width: 2; } .even { stroke: var(--even); stroke-dasharray: 4 4; }
pre { overflow-x: auto; font-size: 12px; }
</style></head><body><h1>parity bench</h1>
"#;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 140.0;
/// What there is room for above and below a chart: a line of text.
const TEXT: f64 = 16.0;
/// Points that are drawn as such: of more the line shows enough, and of one there is no line.
const MOST_DOTS: usize = 30;

/// The page.
pub fn page(setting: &Setting, all: &[Measured]) -> String {
    let mut out = HEAD.to_owned();
    let rows = [
        ("date", setting.date.clone()),
        ("revision", setting.revision.clone()),
        (
            "machine",
            format!(
                "{} × {}, {}, Linux {}",
                setting.processors, setting.processor, setting.memory, setting.system
            ),
        ),
        ("command", setting.command.clone()),
    ];
    out.push_str("<table>");
    for (name, value) in rows {
        put(
            &mut out,
            format_args!("<tr><th>{name}</th><td>{}</td></tr>", escape(&value)),
        );
    }
    out.push_str("</table>\n");
    for one in all {
        match one {
            Measured::Figures { load, figures } => table(&mut out, *load, figures),
            Measured::Lists { report } => plain(&mut out, "lists", report),
            Measured::Siege { attacks } => {
                let text: String = attacks.iter().map(ToString::to_string).collect();
                plain(&mut out, "siege", &text);
            }
            Measured::Soak { report } => soak(&mut out, report),
            Measured::Growth { rows } => growth(&mut out, rows),
            Measured::Delivery { report } => plain(&mut out, "delivery", report),
            Measured::Channel { comparison } => plain(&mut out, "channel", comparison),
        }
    }
    out.push_str("</body></html>\n");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = out.write_fmt(text);
}

fn plain(out: &mut String, title: &str, text: &impl Display) {
    put(
        out,
        format_args!("<h2>{title}</h2><pre>{}</pre>\n", escape(&text.to_string())),
    );
}

fn table(out: &mut String, load: Load, figures: &[Figure]) {
    put(out, format_args!("<h2>{}</h2><table>", load.name()));
    for figure in figures {
        put(
            out,
            format_args!(
                "<tr><td>{}</td><td class=n>{:.1}</td><td>{}</td></tr>",
                escape(&figure.name),
                figure.value,
                escape(figure.unit)
            ),
        );
    }
    out.push_str("</table>\n");
}

fn soak(out: &mut String, report: &SoakReport) {
    put(
        out,
        format_args!(
            "<h2>soak: {} agents, {} operators</h2>",
            report.devices, report.operators
        ),
    );
    type Column = (&'static str, &'static str, fn(&super::Minute) -> f64);
    #[allow(clippy::cast_precision_loss, reason = "open files and answers of a minute")]
    let columns: [Column; 6] = [
        ("resident", "MB", |one| one.resident),
        ("open files", "", |one| one.open_files as f64),
        ("journal", "MB", |one| one.journal),
        ("log", "MB", |one| one.log),
        ("99 %", "ms", |one| one.most),
        ("answers a minute", "", |one| one.answers as f64),
    ];
    for (name, unit, value) in columns {
        #[allow(clippy::cast_precision_loss, reason = "minutes")]
        let points: Vec<_> = report
            .minutes
            .iter()
            .map(|one| (one.minute as f64, value(one)))
            .collect();
        chart(out, &format!("{name} {unit} by the minute"), &points, &[]);
    }
    plain(out, "slopes and faults", report);
}

/// Each figure as a line between its two sizes, beside the line on which it would be if it grew as the size does.
fn growth(out: &mut String, rows: &[Growth]) {
    out.push_str(
        "<h2>growth</h2><p>Dashed is what a figure would be if it grew as the size does; the line is what it is.</p>",
    );
    for row in rows {
        #[allow(clippy::cast_precision_loss, reason = "thousands of devices")]
        let [small, large] = [row.small, row.large].map(|point| (point.size as f64, point.value));
        let title = format!(
            "{}: {} {} by {} ({:.2} times)",
            row.load.name(),
            row.figure,
            row.unit,
            row.of,
            row.times()
        );
        let even = [(small.0, small.1), (large.0, small.1 * large.0 / small.0)];
        let is_rate = row.unit.ends_with("/s");
        chart(out, &title, &[small, large], if is_rate { &[] } else { &even });
    }
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    put(out, format_args!("<pre>{}</pre>\n", escape(&text)));
}

/// A line, and another one that is drawn dashed beside it.
fn chart(out: &mut String, title: &str, points: &[(f64, f64)], even: &[(f64, f64)]) {
    let all = || points.iter().chain(even);
    let left = all().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let right = all().map(|point| point.0).fold(left, f64::max);
    let top = all().map(|point| point.1).fold(0.0, f64::max);
    let place = |(x, y): &(f64, f64)| {
        let across = if right > left {
            (x - left) / (right - left)
        } else {
            0.5
        };
        let up = if top > 0.0 { y / top } else { 0.0 };
        (across * WIDTH, HEIGHT - up * HEIGHT)
    };
    let line = |points: &[(f64, f64)]| {
        let places = points.iter().map(place);
        let texts: Vec<_> = places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        texts.join(" ")
    };
    let dots: String = if points.len() > MOST_DOTS {
        String::new()
    } else {
        let places = points.iter().map(place);
        places
            .map(|(x, y)| format!("<circle cx={x:.1} cy={y:.1} r=3 />"))
            .collect()
    };
    put(
        out,
        format_args!(
            "<figure><figcaption>{title}</figcaption><svg width={WIDTH} height={} viewBox=\"0 -{TEXT} {WIDTH} {}\" role=img \
             aria-label=\"{title}\"><path class=axis d=\"M0,0V{HEIGHT}H{WIDTH}\"/><text x=4 y=-4>{top:.1}</text>\
             <text x=0 y={below}>{left}</text><text x={WIDTH} y={below} text-anchor=end>{right}</text>\
             <polyline class=even points=\"{}\"/><polyline points=\"{}\"/>{dots}</svg></figure>\n",
            HEIGHT + 2.0 * TEXT,
            HEIGHT + 2.0 * TEXT,
            line(even),
            line(points),
            title = escape(title),
            below = HEIGHT + 13.0,
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Point;

    #[test]
    fn a_page_shows_the_machine_the_figures_and_how_they_grow() {
        let setting = Setting {
            revision: "abc".to_owned(),
            processor: "A <processor>".to_owned(),
            processors: 2,
            memory: "24 GB".to_owned(),
            system: "6.1".to_owned(),
            command: "parity bench growth".to_owned(),
            date: "2026-11-29".to_owned(),
        };
        let point = |size, value| Point { size, value };
        let rows = vec![Growth {
            load: Load::Agents,
            of: "agents",
            figure: "all back after".into(),
            unit: "s",
            small: point(500, 1.0),
            large: point(5000, 8.0),
        }];
        let figures = vec![Figure::new("answers", 10.0, "/s")];
        let load = Load::Refresh;
        let text = page(
            &setting,
            &[Measured::Figures { load, figures }, Measured::Growth { rows }],
        );
        for wanted in [
            "2 × A &lt;processor&gt;, 24 GB, Linux 6.1",
            "<tr><td>answers</td><td class=n>10.0</td><td>/s</td></tr>",
            "agents: all back after s by agents (8.00 times)",
            // From a tenth of the way up to the top is the straight line; the figure stays below it.
            "<polyline class=even points=\"0.0,126.0 320.0,0.0\"/><polyline points=\"0.0,126.0 320.0,28.0\"/>",
            // And the sizes stand below it.
            "<text x=0 y=153>500</text><text x=320 y=153 text-anchor=end>5000</text>",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
}
