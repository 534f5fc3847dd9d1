//! What the engine showed in a scenario of the project's own, as text that people read before they approve it.
//!
//! The legacy has nothing to compare such a scenario with. Its approved text lies beside the tests, and no digest
//! guards it: a change is reviewed there. Snapshots of the legacy are facts and look different.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    normalize::{NormalStep, Normalized},
    report::notice_lines,
    scenario::model::{Scenario, Step},
    snapshot::line,
    transcript::{ASKED_AFTER, Notice, NoticeKind},
};

/// The headers that are shown of a step with a note: what a browser is told to do with an answer.
const SHOWN_HEADERS: [&str; 5] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "content-security-policy",
    "strict-transport-security",
    "x-frame-options",
];
/// Shown beside one of the others: every answer has it.
const BESIDE_OTHERS: &str = "x-content-type-options";

/// A line for each step and under it what it showed: status and body, rows, or what came over a socket. Headers are
/// left out but for those that guard browsers, and so are the bodies of an enrollment that stands as one entry in the
/// file: the comparison with the legacy covers them. What arrived and no step asked for stands at the end.
#[must_use]
pub fn render(scenario: &Scenario, seen: &Normalized, notices: &[Notice]) -> String {
    let mut out = format!("{}\n{}\nshown by the engine\n\n", scenario.name, scenario.title);
    // What stands in every table and file is too much to read in each scenario; those of the legacy compare it.
    let shown = |step: &&NormalStep| step.step <= seen.last_step + ASKED_AFTER;
    for step in seen.steps.iter().filter(shown) {
        let written = scenario.steps.iter().find(|one| one.id == step.step);
        if let Some(written) = written.filter(|written| !written.note.is_empty()) {
            let _ = writeln!(out, "      # {}", written.note);
        }
        let _ = writeln!(out, "{:>4}  {}", step.step, step.label);
        let of_one_entry = |written: &Step| {
            scenario
                .steps
                .iter()
                .filter(|one| one.line == written.line)
                .count()
                > 1
        };
        let mut shown = step.seen.clone();
        in_milliseconds(&mut shown);
        let mut lines = lines(&shown, !written.is_some_and(of_one_entry));
        if written.is_some_and(|written| !written.note.is_empty()) {
            lines.extend(header_lines(&shown));
        }
        for line in lines {
            let _ = writeln!(out, "      {line}");
        }
    }
    out.push_str("\nseen over sockets, asked for by no step:\n");
    for line in notice_lines(&without_reasons(notices)) {
        let _ = writeln!(out, "      {line}");
    }
    if notices.is_empty() {
        out.push_str("      nothing\n");
    }
    out
}

/// The clock moves a microsecond with each reading, and background work reads it when it gets its turn: what is below a
/// millisecond is not time.
fn in_milliseconds(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match member.as_i64().filter(|_| name == "offset_us") {
                    Some(offset) => *member = (offset / 1000 * 1000).into(),
                    None => in_milliseconds(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(in_milliseconds),
        _ => {}
    }
}

/// Why a connection ended depends on which side was faster; that it ended does not.
fn without_reasons(notices: &[Notice]) -> Vec<Notice> {
    let mut notices = notices.to_vec();
    for notice in notices.iter_mut().filter(|one| one.kind == NoticeKind::Closed) {
        notice.arguments.clear();
    }
    notices
}

fn lines(seen: &Value, with_body: bool) -> Vec<String> {
    if let Some(status) = seen.get("status") {
        let body = seen.get("body").filter(|_| with_body);
        return vec![body.map_or_else(|| status.to_string(), |body| format!("{status} {}", line(body)))];
    }
    if let Some(rows) = seen.get("rows").and_then(Value::as_array) {
        return if rows.is_empty() {
            vec!["no rows".to_owned()]
        } else {
            rows.iter().map(line).collect()
        };
    }
    let came = |key: &str, nothing: &str| {
        seen.get(key).map(|arguments| {
            vec![if arguments.is_null() {
                nothing.to_owned()
            } else {
                format!("{key} {}", line(arguments))
            }]
        })
    };
    came("acknowledged", "no acknowledgement")
        .or_else(|| came("received", "nothing came"))
        .or_else(|| came("heard", "nothing came"))
        .unwrap_or_else(|| vec![line(seen)])
}

fn header_lines(seen: &Value) -> Vec<String> {
    let line = |name: &&str| {
        let value = seen.get("headers")?.get(*name)?.as_str()?;
        Some(format!("{name}: {value}"))
    };
    let mut lines: Vec<_> = SHOWN_HEADERS.iter().filter_map(&line).collect();
    if !lines.is_empty() {
        lines.extend(line(&BESIDE_OTHERS));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        normalize::normalize,
        runner::{Silent, run_embedded},
    };

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_seen_stands_under_its_step() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\npolicy: strict\nagents: {agent1: {hostname: H}}\nsteps:\n  - {get: /health, note: alive}\n  - head: /health\n  - login: admin\n  - enroll: agent1\n  - rows: SELECT hostname, status FROM devices\n  - rows: SELECT 1 WHERE 0\n  - {socket: ui, as: admin, connect: {}}\n  - {socket: ui, emit: list_agent_windows, ack: true}\n  - {socket: ui, emit: screenshot, ack: true}\n  - {socket: ui, silence: screenshot}\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
        let mut notices = transcript.notices.clone();
        notices.push(Notice {
            client: "ui".to_owned(),
            step: 14,
            kind: NoticeKind::Closed,
            event: String::new(),
            arguments: vec!["the connection broke".into()],
        });
        let mut shown = normalize(&transcript);
        // What a login shows is asserted elsewhere.
        shown
            .steps
            .retain(|step| step.label != "POST /api/auth/login as admin");
        insta::assert_snapshot!(render(&scenario, &shown, &notices));
    }
}
