//! What a scenario needs of the server that it runs against, and what of it cannot be compared where the server lacks it.

use std::{sync::LazyLock, time::Duration};

use jiff::{civil::DateTime, tz::TimeZone};
use regex::Regex;
use serde_json::Value;

use super::Capabilities;
use crate::{
    normalize::plausible,
    scenario::{
        literals::literals,
        made::Made,
        model::{Action, Request, RequestBody, Scenario, Step},
        template,
    },
};

/// A date, or a number of seconds, that may be a moment of the day on which a scenario plays.
static MOMENT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\b(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d))?|\b([12]\d{9})\b").ok());

/// What a database of SQLite begins with.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// A day or more before or after the present, in SQL.
static FAR_FROM_NOW: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[-+]\s*\d{5,}|[-+]\d+ days?").ok());

/// What was asked of a run, beyond its targets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A longer wait in real time is none that anybody waits for.
    pub longest_wait: Duration,
    /// Whether scenarios run against servers that others use although they are not made for it.
    pub allow_destructive: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            longest_wait: Duration::from_secs(30),
            allow_destructive: false,
        }
    }
}

/// Why nothing of a scenario can be compared on a server that can do this, if that is so.
#[must_use]
pub fn lacking(
    scenario: &Scenario,
    files: &[(String, Vec<u8>)],
    can: Capabilities,
    limits: Limits,
) -> Option<String> {
    if !can.fresh && scenario.shared.is_none() && !limits.allow_destructive {
        return Some(
            "others use the server, and the scenario is not made for that (`shared:`); --allow-destructive runs it all \
             the same"
                .to_owned(),
        );
    }
    if !can.fresh && !scenario.env.is_empty() {
        return Some(
            "the scenario starts the server with variables of its own, and it runs already".to_owned(),
        );
    }
    if !can.files && (!files.is_empty() || !scenario.files.is_empty()) {
        return Some(
            "the scenario places files before the start, and the server's files cannot be reached".to_owned(),
        );
    }
    if !can.upstream && scenario.upstream.is_some() {
        return Some("the scenario plays GitHub, and the server asks the real one".to_owned());
    }
    if !can.clock {
        if let Some(waited) = waits(scenario).filter(|waited| *waited > limits.longest_wait) {
            return Some(format!(
                "the scenario waits for {} seconds, and the server's clock cannot be set (--longest-wait {})",
                waited.as_secs(),
                limits.longest_wait.as_secs()
            ));
        }
        if let Some(reason) = clock_lacking(scenario, files) {
            return Some(format!("{reason}, and the server's clock cannot be set"));
        }
        if let Some(moment) = moment(scenario, files) {
            return Some(format!(
                "the scenario holds a moment of the day on which it plays ({moment}), and the server's clock cannot be set"
            ));
        }
    }
    scenario.steps.iter().find_map(|step| {
        let reason = match &step.action {
            Action::Restart if !can.restart => "restarts the server, which is not parity's to restart",
            Action::Sql { .. } if !can.database => "changes the database, which cannot be reached",
            Action::File { .. } if !can.files => "places a file, and the server's files cannot be reached",
            Action::Rows { .. } if !can.database && feeds(scenario, step) => {
                "reads from the database what later steps need, and it cannot be reached"
            }
            _ => return None,
        };
        Some(format!("its step `{}` {reason}", step.name))
    })
}

/// Why a step of a scenario that runs cannot be compared, if that is so.
#[must_use]
pub fn step_lacking(step: &Step, can: Capabilities) -> Option<&'static str> {
    matches!(step.action, Action::Rows { .. } if !can.database)
        .then_some("the server's database cannot be reached")
}

/// Why what a server left cannot be compared, if that is so.
#[must_use]
pub fn left_lacking(can: Capabilities) -> Option<&'static str> {
    (!can.database || !can.files).then_some("the server's database and files cannot be reached")
}

/// How a scenario hangs on the time of its recording, beside moments that stand in it.
fn clock_lacking(scenario: &Scenario, files: &[(String, Vec<u8>)]) -> Option<String> {
    let holds = |bytes: &[u8]| bytes.starts_with(DATABASE) && holds_moment(bytes, scenario.started_at_us);
    if files.iter().any(|(_, bytes)| holds(bytes)) {
        return Some("the scenario begins with a database of the day on which it plays".to_owned());
    }
    let makes_code = |step: &&Step| {
        matches!(
            &step.action,
            Action::Make {
                made: Made::Totp(_),
                ..
            }
        )
    };
    if scenario.steps.iter().filter(makes_code).count() > 1 {
        return Some(
            "the scenario makes several one-time codes, which follow from the time of day".to_owned(),
        );
    }
    let far = FAR_FROM_NOW.as_ref()?;
    scenario.steps.iter().find_map(|step| match &step.action {
        Action::Sql { statement, .. } if statement.contains("'now'") && far.is_match(statement) => {
            Some(format!("its step `{}` writes times of other days", step.name))
        }
        Action::Http(request) if recurs(request) => Some(format!(
            "its step `{}` makes a job whose next time follows from the day",
            step.name
        )),
        _ => None,
    })
}

/// Whether a request makes a job that recurs from a given day on.
fn recurs(request: &Request) -> bool {
    let RequestBody::Json(body) = &request.body else {
        return false;
    };
    let text = |name: &str| body.pointer(&format!("/schedule/{name}")).and_then(Value::as_str);
    let once = ["", "once", "immediately"];
    text("start").is_some() && text("type").is_some_and(|kind| !once.contains(&kind))
}

/// Whether a database holds a whole number that is a moment near this one; SQLite writes it in four bytes.
fn holds_moment(bytes: &[u8], moment_us: i64) -> bool {
    bytes.windows(4).any(|window| {
        let seconds = window.iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        plausible(seconds * 1_000_000 - moment_us)
    })
}

/// How long all waits of a scenario take together.
fn waits(scenario: &Scenario) -> Option<Duration> {
    let all = scenario.steps.iter().map(|step| match step.action {
        Action::Wait { microseconds } => u64::try_from(microseconds).unwrap_or(0),
        _ => 0,
    });
    Some(Duration::from_micros(all.fold(0, u64::saturating_add)))
}

/// Whether later steps use what a step captures.
fn feeds(scenario: &Scenario, step: &Step) -> bool {
    let later = scenario.steps.iter().filter(|later| later.id > step.id);
    let used: Vec<String> = later
        .flat_map(|later| {
            template::used_in(&crate::scenario::verify::texts(&later.action)).unwrap_or_default()
        })
        .collect();
    step.captures.iter().any(|(name, _)| used.contains(name))
}

/// A moment near the scenario's start that stands in it.
fn moment(scenario: &Scenario, files: &[(String, Vec<u8>)]) -> Option<String> {
    let pattern = MOMENT.as_ref()?;
    let mut texts = literals(scenario, files.iter().map(|(_, bytes)| bytes.as_slice()));
    for step in &scenario.steps {
        if let Action::Sql { statement, .. } | Action::Rows { statement, .. } = &step.action {
            texts.insert(statement.clone());
        }
    }
    texts.iter().find_map(|text| {
        pattern.captures_iter(text).find_map(|found| {
            let at = match (found.get(1), found.get(2), found.get(3)) {
                (Some(day), clock, _) => {
                    let clock = clock.map_or("00:00", |clock| clock.as_str());
                    let civil: DateTime = format!("{}T{clock}:00", day.as_str()).parse().ok()?;
                    TimeZone::UTC.to_timestamp(civil).ok()?.as_microsecond()
                }
                (_, _, Some(seconds)) => seconds.as_str().parse::<i64>().ok()?.checked_mul(1_000_000)?,
                _ => return None,
            };
            let near = plausible(at.checked_sub(scenario.started_at_us)?);
            near.then(|| {
                found
                    .get(0)
                    .map_or_else(String::new, |found| found.as_str().to_owned())
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{embedded, url};

    fn lacks(head: &str, steps: &str, can: Capabilities) -> Option<String> {
        let text = format!("format: 2\ntitle: T\narea: A\nstarted_at: 1795448990\n{head}steps:\n{steps}");
        let scenario = Scenario::read("a/b", &text).unwrap();
        lacking(&scenario, &[], can, Limits::default())
    }

    #[test]
    fn what_a_server_cannot_do_is_told_with_the_step_that_needs_it() {
        let process = Capabilities {
            clock: false,
            upstream: false,
            ..embedded::CAPABILITIES
        };
        let shared = "shared: {}\n";
        for (head, steps, can, reason) in [
            ("", "  - get: /\n", url::CAPABILITIES, "--allow-destructive"),
            (
                "env: {A: b}\nshared: {}\n",
                "  - get: /\n",
                url::CAPABILITIES,
                "variables of its own",
            ),
            (
                shared,
                "  - restart: true\n",
                url::CAPABILITIES,
                "`restart` restarts",
            ),
            (
                shared,
                "  - sql: DELETE FROM x\n",
                url::CAPABILITIES,
                "changes the database",
            ),
            (
                shared,
                "  - {file: x, text: body}\n",
                url::CAPABILITIES,
                "places a file",
            ),
            (
                shared,
                "  - {rows: SELECT 1, capture: {a: /0}}\n  - get: /${a}\n",
                url::CAPABILITIES,
                "later steps need",
            ),
            (
                "files: {a: {text: b}}\nshared: {}\n",
                "  - get: /\n",
                url::CAPABILITIES,
                "before the start",
            ),
            (
                "",
                "  - {wait: 10}\n  - {wait: 21}\n",
                process,
                "waits for 31 seconds",
            ),
            (
                "",
                "  - {get: \"/?at=2026-11-24T09:05\"}\n",
                process,
                "2026-11-24T09:05",
            ),
            (
                "",
                "  - sql: UPDATE x SET y = 1795448999\n",
                process,
                "1795448999",
            ),
            (
                "upstream: {exchanges: []}\n",
                "  - get: /\n",
                process,
                "plays GitHub",
            ),
            (
                "",
                "  - sql: UPDATE x SET y = strftime('%s', 'now') - 90000\n",
                process,
                "times of other days",
            ),
            (
                "",
                "  - {post: /, json: {schedule: {type: daily, start: \"2020-01-01T00:00:00Z\"}}}\n",
                process,
                "follows from the day",
            ),
        ] {
            let found = lacks(head, steps, can).unwrap_or_else(|| panic!("{reason}"));
            assert!(found.contains(reason), "{found}");
            assert_eq!(
                lacks(head, steps, embedded::CAPABILITIES),
                None,
                "the engine in this process can all"
            );
        }
        for (steps, can) in [
            ("  - rows: SELECT 1\n", url::CAPABILITIES),
            ("  - get: /\n", url::CAPABILITIES),
            (
                "  - sql: UPDATE x SET y = '2020-01-01T00:00:00Z', z = 1600000000\n",
                process,
            ),
            ("  - restart: true\n", process),
            ("  - wait: 29\n", process),
        ] {
            assert_eq!(lacks(shared, steps, can), None, "{steps}");
        }
    }
}
