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
/// An event that comes this long after everything else came of itself also where nobody said that a step was over, in
/// microseconds.
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
    let line = Line::of(&drafts.steps);
    let mut waits = Vec::new();
    for listened in &drafts.heard {
        let emits = drafts
            .steps
            .iter()
            .filter(|step| matches!(&step.sent, Sent::Emit { client, .. } if *client == listened.client));
        let last = emits.map(|step| step.begun).max();
        let is_due = |at: &Moment| last.is_some_and(|last| at.number < last) || line.came_of_itself(at);
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

/// The steps in the order in which they began.
struct Line(Vec<Begun>);

struct Begun {
    number: u64,
    /// When this step and all before it were over.
    over: Moment,
    /// Whether something said that this step was over: an answer, or an acknowledgement.
    is_answered: bool,
}

impl Line {
    fn of(steps: &[Draft]) -> Self {
        let mut line: Vec<Begun> = Vec::new();
        for step in steps {
            line.push(Begun {
                number: step.begun,
                over: line.last().map_or(step.over, |before| step.over.max(before.over)),
                is_answered: matches!(step.shown, Shown::Answer { .. } | Shown::Acknowledged(Some(_))),
            });
        }
        Self(line)
    }

    /// Whether something came that no step had caused directly: none was under way. What a step caused that nobody answers
    /// comes a little later, and what comes before the first one was over comes of it.
    fn came_of_itself(&self, at: &Moment) -> bool {
        let place = self.0.partition_point(|step| step.number < at.number);
        let last = place.checked_sub(1).and_then(|place| self.0.get(place));
        last.is_some_and(|last| {
            at.at_us - last.over.at_us >= BY_ITSELF_US || (last.is_answered && at.number > last.over.number)
        })
    }
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

    /// Acknowledged when `over` passed, if it is later.
    fn emit(begun: u64, over: u64, at_us: i64) -> Draft {
        let sent = Sent::Emit {
            client: "agent".to_owned(),
            event: "e".to_owned(),
            arguments: Vec::new(),
            ack: over > begun,
        };
        let shown = match over > begun {
            true => Shown::Acknowledged(Some(Vec::new())),
            false => Shown::Nothing,
        };
        let over = Moment { number: over, at_us };
        Draft {
            begun,
            over,
            who: None,
            sent,
            shown,
            made: Vec::new(),
            captures: Vec::new(),
        }
    }

    fn heard(number: u64, at_us: i64, event: &str) -> (Moment, String, Vec<Value>) {
        (Moment { number, at_us }, event.to_owned(), Vec::new())
    }

    fn listened(client: &str, events: Vec<(Moment, String, Vec<Value>)>) -> Listened {
        Listened {
            client: client.to_owned(),
            events,
            closed: None,
        }
    }

    /// When what is waited for came, with the client and the event.
    fn waits(mut drafts: Drafts) -> Vec<(u64, String)> {
        wait_for_events(&mut drafts);
        let waits = drafts.steps.iter().filter_map(|step| match &step.sent {
            Sent::Receive { client, event } => Some((step.begun, format!("{client} {event}"))),
            _ => None,
        });
        waits.collect()
    }

    #[test]
    fn what_came_before_a_client_went_on_and_what_came_by_itself_is_waited_for() {
        let drafts = Drafts {
            steps: vec![emit(1, 1, 0), emit(4, 4, 10)],
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
        let expected = [(2, "agent job"), (3, "ui told"), (7, "ui told")];
        assert_eq!(
            waits(drafts),
            expected.map(|(begun, text)| (begun, text.to_owned()))
        );
    }

    #[test]
    fn what_came_while_nothing_was_under_way_is_waited_for_however_soon_it_came() {
        let drafts = Drafts {
            // The second began before the first was answered.
            steps: vec![emit(1, 4, 0), emit(3, 6, 1), emit(9, 10, 2)],
            heard: vec![listened(
                "ui",
                vec![
                    heard(2, 0, "a"),
                    heard(5, 1, "b"),
                    heard(7, 1, "c"),
                    heard(11, 2, "d"),
                ],
            )],
        };
        let expected = [(7, "ui c"), (11, "ui d")];
        assert_eq!(
            waits(drafts),
            expected.map(|(begun, text)| (begun, text.to_owned()))
        );
    }
}
