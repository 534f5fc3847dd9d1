//! What hangs on when a step happened to come, where a clock runs by itself: it says nothing of either server.

use serde_json::{Map, Value};

use crate::{
    diff::{BothSpans, Difference, EARLIEST_START_US, Spans},
    normalize::is_display,
    register::Slack,
    scenario::{
        clock::ScenarioClock,
        model::{Action, Scenario},
    },
    transcript::{Body, Seen, Transcript},
};

const SECOND_US: i64 = 1_000_000;

/// Whether two cookies of one account are one follows from whether a second began between them. Where both may be so on either
/// side, as the steps lay, it says nothing.
pub(super) fn same_second(difference: &Difference, spans: &BothSpans, starts: [i64; 2]) -> bool {
    let first_seen = |side: &Option<Value>| -> Option<u32> {
        let text = side.as_ref()?.as_str()?;
        let (step, _) = text
            .strip_prefix("<signed first seen in step ")?
            .split_once(' ')?;
        step.parse().ok()
    };
    let (Some(legacy), Some(engine)) = (first_seen(&difference.legacy), first_seen(&difference.engine))
    else {
        return false;
    };
    // One side shows the cookie of the earlier step again, the other one a cookie of the later step.
    let (earlier, later) = (legacy.min(engine), legacy.max(engine));
    let seconds = |spans: &Spans, start: i64, step: u32| {
        let second = |at: i64| start.saturating_add(at).div_euclid(SECOND_US);
        let (began, ended) = spans.moments(step)?;
        Some((second(began), second(ended)))
    };
    let may_be_both = |spans: &Spans, start: i64, is_one: bool| -> Option<bool> {
        let (first, second) = (seconds(spans, start, earlier)?, seconds(spans, start, later)?);
        Some(if is_one {
            second.0 <= first.1
        } else {
            first.0 < second.1
        })
    };
    let [legacy_start, engine_start] = starts;
    difference.path.ends_with("/<signed>/name")
        && legacy != engine
        && may_be_both(&spans.legacy, legacy_start, legacy < engine) == Some(true)
        && may_be_both(&spans.engine, engine_start, engine < legacy) == Some(true)
}

/// Whether the answers to a HEAD say that the bodies have other lengths, and these hold the time as people read it, which is
/// longer on some days and hours: what a side whose clock ran says is the length of the body that it gave for the asking.
pub(super) fn length_of_a_time<'t>(
    difference: &Difference,
    mut ran: impl Iterator<Item = &'t Transcript>,
) -> bool {
    let Some(asked) = difference.label.strip_prefix("HEAD ") else {
        return false;
    };
    let path = asked.split(' ').next();
    let says_so = |run: &Transcript| {
        let head = run.observations.iter().find(|one| one.step == difference.step);
        let length = head.and_then(|head| match &head.seen {
            Seen::Answer { headers, .. } => content_length(headers),
            _ => None,
        });
        length.is_some_and(|wanted| {
            run.observations.iter().any(|one| match &one.seen {
                Seen::Answer {
                    body: Body::Json(body),
                    length,
                    ..
                } => {
                    let get = one
                        .label
                        .strip_prefix("GET ")
                        .map(|asked| asked.split(' ').next());
                    get == Some(path) && *length == wanted && holds_display(body)
                }
                _ => false,
            })
        })
    };
    difference.path == "/headers/content-length" && ran.all(says_so)
}

fn content_length(headers: &[(String, String)]) -> Option<usize> {
    let mut found = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    found.next()?.1.parse().ok()
}

/// Whether a body holds the time as people read it.
fn holds_display(body: &Value) -> bool {
    let mut members = body.as_object().into_iter().flat_map(Map::values);
    members.any(|member| member.as_str().is_some_and(is_display))
}

/// How far times may lie from those that the register expects where a clock ran by itself: step by step as far as it ran
/// ahead or behind. The engine's times in the register are those at which the recorded steps were over, the legacy's are
/// some moment of the recorded step.
pub(super) fn slack(
    scenario: &Scenario,
    legacy: Option<&Transcript>,
    engine: &Transcript,
) -> Option<[Slack; 2]> {
    let mut runs = legacy.into_iter().chain([engine]);
    runs.any(|run| run.run.clock_ran).then(|| {
        [
            // A recording shows what the register expects of it.
            legacy.map_or_else(Slack::default, |run| late(scenario, run, true)),
            late(scenario, engine, false),
        ]
    })
}

/// How much later the steps of a run were than the register has them.
fn late(scenario: &Scenario, run: &Transcript, is_legacy: bool) -> Slack {
    let span = |step: u32| run.run.spans.iter().find(|(number, ..)| *number == step);
    let (began, ended) = span(0).map_or((0, 0), |(_, began, ended)| (*began, *ended));
    let before_start = if is_legacy { EARLIEST_START_US } else { 0 };
    let mut all = vec![(0, began, ended - before_start)];
    let mut clock = ScenarioClock::new(scenario.started_at_us);
    let mut behind = ended;
    for step in &scenario.steps {
        let before = clock.at_us();
        clock.advance(step);
        let at = clock.at_us();
        let Some((_, began, ended)) = span(step.id) else {
            continue;
        };
        let until = match step.action {
            // While everybody waits the clocks run alike.
            Action::Wait { .. } => at,
            _ if is_legacy => before,
            _ => at,
        };
        all.push((step.id, behind.min(began - at), behind.max(ended - until)));
        behind = ended - at;
    }
    Slack::new(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        diff::Kind,
        transcript::{Observation, RunNotes, StatusLine},
    };

    /// A run whose clock ran: its steps as (number, began, ended).
    fn ran(spans: &[(u32, i64, i64)]) -> Transcript {
        Transcript {
            run: RunNotes {
                clock_ran: true,
                spans: spans.to_vec(),
                ..RunNotes::default()
            },
            ..Transcript::default()
        }
    }

    #[test]
    fn whether_a_second_began_between_two_logins_is_chance_only_where_one_may_have_begun() {
        let difference = |legacy: u32, engine: u32| {
            let name = |step: u32| {
                json!(format!(
                    "<signed first seen in step {step} /headers/set-cookie/session>"
                ))
            };
            Difference {
                scenario: "a/b".to_owned(),
                step: 2,
                label: "POST /".to_owned(),
                path: "/headers/set-cookie/0/value/<signed>/name".to_owned(),
                kind: Kind::Value,
                legacy: Some(name(legacy)),
                engine: Some(name(engine)),
            }
        };
        let quick = || Spans::new([(1, 100_000, 200_000), (2, 200_000, 300_000)]);
        let slow = || Spans::new([(1, 100_000, 200_000), (2, 1_300_000, 1_400_000)]);
        let across = || Spans::new([(1, 900_000, 950_000), (2, 950_000, 1_050_000)]);
        let says_nothing = |legacy: Spans, engine: Spans, one: &Difference| {
            same_second(one, &BothSpans::new(legacy, engine), [0, 5_000_000])
        };
        let of_legacy = difference(1, 2);
        assert!(says_nothing(across(), across(), &of_legacy));
        assert!(says_nothing(quick(), across(), &of_legacy));
        assert!(says_nothing(quick(), slow(), &of_legacy));
        assert!(
            !says_nothing(slow(), slow(), &of_legacy),
            "the legacy's is the old one a second later"
        );
        assert!(
            !says_nothing(quick(), quick(), &of_legacy),
            "the engine's is new within the second"
        );
        let of_engine = difference(2, 1);
        assert!(says_nothing(slow(), quick(), &of_engine));
        assert!(!says_nothing(quick(), slow(), &of_engine));
        assert!(
            !says_nothing(across(), across(), &difference(2, 2)),
            "another place of one step"
        );
    }

    #[test]
    fn a_head_may_tell_another_length_where_its_body_holds_the_time_for_people() {
        let shown = |step: u32, method: &str, body: Body, length: usize, said: usize| Observation {
            step,
            at_us: 0,
            label: format!("{method} /time as anon"),
            seen: Seen::Answer {
                line: StatusLine {
                    version: "1.1".to_owned(),
                    status: 200,
                    reason: "OK".to_owned(),
                },
                headers: vec![("Content-Length".to_owned(), said.to_string())],
                body,
                length,
                form: None,
            },
        };
        let says_nothing = |display: &str, said: usize| {
            let body = Body::Json(json!({ "display": display }));
            let run = Transcript {
                observations: vec![
                    shown(1, "GET", body, 41, 41),
                    shown(2, "HEAD", Body::Empty, 0, said),
                ],
                ..ran(&[])
            };
            let difference = Difference {
                scenario: "a/b".to_owned(),
                step: 2,
                label: "HEAD /time as anon".to_owned(),
                path: "/headers/content-length".to_owned(),
                kind: Kind::Value,
                legacy: Some(json!(42)),
                engine: Some(json!(said)),
            };
            length_of_a_time(&difference, [&run].into_iter())
        };
        assert!(says_nothing("November 9th 2026 @ 3:52PM", 41));
        assert!(
            !says_nothing("November 9th 2026 @ 3:52PM", 40),
            "another length than its body has"
        );
        assert!(!says_nothing("no time", 41));
    }

    #[test]
    fn a_time_may_be_as_late_as_the_steps_were_until_then() {
        let text =
            "format: 2\ntitle: T\narea: A\nstarted_at: 1\nsteps:\n  - get: /\n  - wait: 60\n  - get: /\n";
        let scenario = Scenario::read("a/b", text).unwrap().with_times([
            Some(10_000),
            Some(60_010_000),
            Some(60_020_000),
        ]);
        let run = ran(&[
            (0, -300_000, 0),
            (1, 1_000, 30_000),
            (2, 60_031_000, 60_032_000),
            (3, 60_033_000, 65_000_000),
        ]);
        assert_eq!(
            late(&scenario, &run, false),
            Slack::new([
                (0, -300_000, 0),
                (1, -9_000, 20_000),
                (2, 20_000, 22_000),
                (3, 13_000, 4_980_000),
            ]),
            "a slow step makes no earlier one late"
        );
        assert_eq!(
            late(&scenario, &run, true),
            Slack::new([
                (0, -300_000, 2_000_000),
                (1, -9_000, 30_000),
                (2, 20_000, 22_000),
                (3, 13_000, 4_990_000),
            ]),
            "of the legacy's steps it is known when they were over"
        );
        let standing = Transcript::default();
        assert_eq!(slack(&scenario, None, &standing), None);
        let [legacy, _] = slack(&scenario, None, &run).unwrap();
        assert_eq!(legacy, Slack::default(), "a recording is not late");
    }
}
