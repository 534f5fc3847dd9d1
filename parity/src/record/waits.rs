//! What nobody has to do again, and what a replay has to wait for.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    draft::{Draft, Drafts, Listened, Sent, Shown},
    journal::Moment,
    summary::Summary,
};

/// From so many equal answers to one question on, the repeats are left out.
const FOLDED_FROM: usize = 4;
/// An event that comes this long after everything else came of itself, in microseconds.
const BY_ITSELF_US: i64 = 1_000_000;

/// Leaves out what is asked again and again and answered with the same: a page that looks whether anything is new.
pub(super) fn fold(steps: &mut Vec<Draft>, summary: &mut Summary) {
    let mut runs: HashMap<String, (String, Vec<usize>)> = HashMap::new();
    let mut folded = BTreeSet::new();
    let mut take = |run: &[usize], what: &str, summary: &mut Summary| {
        if run.len() >= FOLDED_FROM {
            folded.extend(run.iter().skip(1).copied());
            summary.folded(what, run.len());
        }
    };
    // How often each client has changed something: what it asks afterwards is another question.
    let mut changes: HashMap<Option<String>, u32> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        if matches!(&step.sent, Sent::Http { method, .. } if method != "GET") {
            *changes.entry(step.who.clone()).or_default() += 1;
        }
        let (
            Sent::Http {
                method,
                path,
                headers,
                ..
            },
            Shown::Answer {
                line,
                headers: shown,
                body,
                ..
            },
        ) = (&step.sent, &step.shown)
        else {
            continue;
        };
        let sets = shown
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        if method != "GET" || sets {
            continue;
        }
        let changed = changes.get(&step.who).copied().unwrap_or_default();
        let question = format!("{:?} {changed} {method} {path} {headers:?}", step.who);
        let shown: Vec<_> = shown
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("date"))
            .collect();
        let answer = format!("{line:?} {shown:?} {:x?}", Sha256::digest(body));
        let what = format!("{method} {path}");
        match runs.get_mut(&question) {
            Some((known, run)) if *known == answer => run.push(at),
            Some((known, run)) => {
                take(run, &what, summary);
                *known = answer;
                *run = vec![at];
            }
            None => {
                runs.insert(question, (answer, vec![at]));
            }
        }
    }
    let mut last: Vec<(Vec<usize>, String)> = runs
        .into_values()
        .filter_map(|(_, run)| {
            let step = steps.get(*run.first()?)?;
            let Sent::Http { method, path, .. } = &step.sent else {
                return None;
            };
            Some((run, format!("{method} {path}")))
        })
        .collect();
    last.sort();
    for (run, what) in last {
        take(&run, &what, summary);
    }
    let mut at = 0;
    steps.retain(|_| {
        at += 1;
        !folded.contains(&(at - 1))
    });
}

/// Adds steps that wait for what a client had heard before it went on, and for what came of itself: a replay does not sleep.
pub(super) fn wait_for_events(drafts: &mut Drafts) {
    // When each step begins, and when all of those before and itself are over.
    let mut over = Vec::new();
    for step in &drafts.steps {
        let before: Option<&(u64, Moment)> = over.last();
        over.push((
            step.begun,
            before.map_or(step.over, |(_, before)| step.over.max(*before)),
        ));
    }
    let mut waits = Vec::new();
    for listened in &drafts.heard {
        let emits = drafts
            .steps
            .iter()
            .filter(|step| matches!(&step.sent, Sent::Emit { client, .. } if *client == listened.client));
        let last = emits.map(|step| step.begun).max();
        let is_due = |at: &Moment| {
            let goes_on = last.is_some_and(|last| at.number < last);
            let place = over.partition_point(|(begun, _)| *begun < at.number);
            let before = place.checked_sub(1).and_then(|place| over.get(place));
            goes_on || before.is_some_and(|(_, before)| at.at_us - before.at_us >= BY_ITSELF_US)
        };
        // A step that takes an event takes the first of its name, so those before one that is due are taken too.
        let mut names = BTreeSet::new();
        for (at, event, arguments) in listened.events.iter().rev() {
            if is_due(at) {
                names.insert(event);
            }
            if names.contains(event) {
                waits.push(wait(listened, *at, event, arguments.clone()));
            }
        }
    }
    waits.reverse();
    drafts.steps.extend(waits);
    drafts.steps.sort_by_key(|step| step.begun);
}

fn wait(listened: &Listened, at: Moment, event: &str, arguments: Vec<Value>) -> Draft {
    Draft {
        begun: at.number,
        over: at,
        who: None,
        sent: Sent::Receive {
            client: listened.client.clone(),
            event: event.to_owned(),
        },
        shown: Shown::Received(arguments),
        made: Vec::new(),
        captures: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emit(begun: u64, at_us: i64) -> Draft {
        let sent = Sent::Emit {
            client: "agent".to_owned(),
            event: "e".to_owned(),
            arguments: Vec::new(),
            ack: false,
        };
        let over = Moment { number: begun, at_us };
        Draft {
            begun,
            over,
            who: None,
            sent,
            shown: Shown::Nothing,
            made: Vec::new(),
            captures: Vec::new(),
        }
    }

    #[test]
    fn what_came_before_a_client_went_on_and_what_came_by_itself_is_waited_for() {
        let heard =
            |number: u64, at_us: i64, event: &str| (Moment { number, at_us }, event.to_owned(), Vec::new());
        let listened = |client: &str, events| Listened {
            client: client.to_owned(),
            events,
            closed: None,
        };
        let mut drafts = Drafts {
            steps: vec![emit(1, 0), emit(4, 10)],
            heard: vec![
                listened("agent", vec![heard(2, 1, "job"), heard(5, 11, "told")]),
                // Another client that only looks on, until something comes of itself: those of its name are taken too.
                listened(
                    "ui",
                    vec![
                        heard(3, 2, "told"),
                        heard(6, 12, "job"),
                        heard(7, 2_000_000, "told"),
                    ],
                ),
            ],
        };
        wait_for_events(&mut drafts);
        let waits: Vec<(u64, String)> = drafts
            .steps
            .iter()
            .filter_map(|step| match &step.sent {
                Sent::Receive { client, event } => Some((step.begun, format!("{client} {event}"))),
                _ => None,
            })
            .collect();
        let expected = [(2, "agent job"), (3, "ui told"), (7, "ui told")];
        assert_eq!(waits, expected.map(|(begun, text)| (begun, text.to_owned())));
    }
}
