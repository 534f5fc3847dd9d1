//! Long because each rule of the comparison has its examples.

use super::*;
use crate::scenario::model::Scenario;
use proptest::prelude::*;

const START: i64 = 1_795_448_990_335_000;

fn one(seen: Value) -> Normalized {
    Normalized {
        scenario: "a/b".to_owned(),
        started_at_us: START,
        last_step: 2,
        steps: vec![NormalStep {
            step: 2,
            at_us: 20_000,
            label: "GET /x".to_owned(),
            seen,
        }],
    }
}

fn spans() -> BothSpans {
    BothSpans::of_replay(&[(1, 10_000), (2, 20_000)])
}

fn compare(legacy: Value, engine: Value) -> Vec<(String, Kind)> {
    diff(&one(legacy), &one(engine), &spans())
        .into_iter()
        .map(|found| (found.path, found.kind))
        .collect()
}

fn time(format: &str, offset_us: i64) -> Value {
    json!({ "<time>": { "format": format, "offset_us": offset_us } })
}

#[test]
fn every_kind_has_its_path() {
    let found = compare(
        json!({ "status": 200, "body": { "a": 1, "b": [1, 2], "c/d": null } }),
        json!({ "body": { "b": [1, 3, 4], "a": 1.0, "c/d": null, "e": null }, "status": 500 }),
    );
    let expected = [
        ("/body/a", Kind::Type),
        ("/body/b/1", Kind::Value),
        ("/body/b/2", Kind::Extra),
        ("/body/e", Kind::Extra),
        ("/body/<order>", Kind::Value),
        ("/status", Kind::Value),
        ("/<order>", Kind::Value),
    ];
    assert_eq!(found, expected.map(|(path, kind)| (path.to_owned(), kind)));
}

#[test]
fn a_step_that_only_one_side_has() {
    let mut engine = one(json!({}));
    engine.steps.clear();
    assert_eq!(diff(&one(json!({})), &engine, &spans())[0].kind, Kind::Missing);
}

#[test]
fn exact_stamps_lie_in_the_step_of_the_clock() {
    let equal = |legacy, engine| compare(time("iso.6Z", legacy), time("iso.6Z", engine)).is_empty();
    assert!(equal(15_000, 20_003), "within the span of step 2");
    assert!(equal(3_600_015_000, 3_600_020_003), "with a lifetime of an hour");
    assert!(!equal(5_000, 20_003), "that is step 1");
    assert!(!equal(3_601_015_000, 3_600_020_003), "another lifetime");
    assert!(!equal(15_000, 25_000), "the replay's clock never stood there");
    assert!(equal(-1_500_000, 4), "when the server started");
    assert!(!compare(time("iso.6Z", 15_000), time("iso.6+00:00", 20_003)).is_empty());
}

#[test]
fn whole_seconds_are_floored() {
    let equal = |legacy, engine| compare(time("epoch", legacy), time("epoch", engine)).is_empty();
    assert!(equal(665_000, 665_000));
    assert!(!equal(665_000, 1_665_000));
    let wait = BothSpans::of_replay(&[(1, 10_000), (2, 1_500_000)]);
    let found = |legacy, engine| diff(&one(time("epoch", legacy)), &one(time("epoch", engine)), &wait).len();
    assert_eq!(found(665_000, 1_665_000 - 1_000_000), 0);
    assert_eq!(found(665_000 - 1_000_000, 665_000), 0, "within the wait");
    assert_eq!(found(3_665_000, 4_665_000), 1, "no lifetime of whole minutes");
}

#[test]
fn stamps_that_are_one_instant_stay_one() {
    let pair = |a, b| json!({ "created": time("iso.6Z", a), "updated": time("iso.6Z", b) });
    assert!(compare(pair(15_000, 15_000), pair(20_001, 20_001)).is_empty());
    assert_eq!(compare(pair(15_000, 15_000), pair(20_001, 20_002)).len(), 1);
    assert_eq!(compare(pair(15_000, 15_001), pair(20_001, 20_001)).len(), 1);
}

#[test]
fn durations_are_equal_to_a_tenth() {
    assert!(compare(json!({ "retry_after": 59.95 }), json!({ "retry_after": 59.9 })).is_empty());
    assert!(!compare(json!({ "retry_after": 59.95 }), json!({ "retry_after": 59.5 })).is_empty());
}

#[test]
fn the_seconds_of_retry_after_are_those_of_the_body() {
    let answer = |header: u32, body: f64| json!({ "headers": { "retry-after": header }, "body": { "retry_after": body } });
    assert!(compare(answer(60, 60.01), answer(59, 59.99)).is_empty());
    assert!(
        compare(answer(59, 59.99), answer(60, 60.01)).is_empty(),
        "either way"
    );
    assert!(!compare(answer(59, 59.99), answer(58, 59.99)).is_empty());
    let alone = |header: u32| json!({ "headers": { "retry-after": header } });
    assert!(!compare(alone(60), alone(59)).is_empty());
}

#[test]
fn a_step_across_a_seconds_beginning_excuses_no_other_stamp() {
    // The seconds begin at 665,000 and 1,665,000; step 2 lies across the first of them.
    let steps = BothSpans::of_replay(&[(1, 600_000), (2, 700_000), (3, 800_000)]);
    let at_step = |step: u32, stamp: i64| {
        let mut side = one(time("epoch", stamp));
        side.steps[0].step = step;
        side
    };
    let equal = |legacy: i64, engine: i64| diff(&at_step(3, legacy), &at_step(3, engine), &steps).is_empty();
    assert!(
        equal(-335_000, 665_000),
        "made in step 2, before the second began and after"
    );
    assert!(!equal(665_000, 1_665_000), "no step's clock stood there");
    assert!(
        !equal(665_000, -335_000),
        "the replay's clock never stands before the recording's"
    );
    let minutes = 900_000_000;
    assert!(equal(minutes - 335_000, minutes + 665_000), "with a lifetime");
    assert!(!equal(minutes + 665_000, minutes + 1_665_000), "another lifetime");
}

#[test]
fn numbers_are_compared_by_their_text() {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (one, other) in [
        ("1.1", "1.10"),
        ("1.0", "1.00"),
        ("9007199254740993.0", "9007199254740992.0"),
    ] {
        assert!(
            !compare(json!({ "n": number(one) }), json!({ "n": number(other) })).is_empty(),
            "{one} {other}"
        );
    }
    let now = |text: &str| json!({ "retry_after": number(text) });
    assert!(
        !compare(now("59.95"), now("5.995e1")).is_empty(),
        "a duration, too"
    );
}

#[test]
fn a_value_seen_earlier_on_one_side_makes_one_difference() {
    let name = |place: &str| format!("<uuid first seen in step 2 {place}>");
    let found = compare(
        json!({ "body": { "id": name("/body/id"), "other": name("/body/id") } }),
        json!({ "body": { "extra": name("/body/extra"), "id": name("/body/extra"), "other": name("/body/extra") } }),
    );
    assert_eq!(found, [("/body/extra".to_owned(), Kind::Extra)]);
}

/// What one side's server does in a step that has these spans: it begins so long after the one before, and takes so long.
fn running(steps: &[(i64, i64)]) -> Spans {
    let mut now = 0;
    let spans: Vec<_> = (1..)
        .zip(steps)
        .map(|(step, (pause, length))| {
            let began = now + pause;
            now = began + length;
            (step, began, now)
        })
        .collect();
    Spans::new(spans)
}

/// Times, durations and events as one side shows them in its last step.
fn side(started_at_us: i64, steps: u32, shown: &[(&str, i64)]) -> Normalized {
    let of = |kind: &str, us: i64| match kind {
        "retry_after" => {
            let text = format!(
                "{:?}",
                std::time::Duration::from_micros(us.unsigned_abs()).as_secs_f64()
            );
            json!({ "retry_after": serde_json::from_str::<Value>(&text).unwrap() })
        }
        "after_step" => json!({ "after_step": us.rem_euclid(i64::from(steps) + 2) }),
        // A clock shows whole units of its own.
        "epoch" => time(
            kind,
            (started_at_us + us).div_euclid(1_000_000) * 1_000_000 - started_at_us,
        ),
        "iso.3Z" => time(
            kind,
            (started_at_us + us).div_euclid(1_000) * 1_000 - started_at_us,
        ),
        _ => time(kind, us),
    };
    let seen: Map<String, Value> = (0..)
        .zip(shown)
        .map(|(at, (kind, us)): (u32, _)| (format!("{at}"), of(kind, *us)))
        .collect();
    Normalized {
        scenario: "a/b".to_owned(),
        started_at_us,
        last_step: steps,
        steps: vec![NormalStep {
            step: steps,
            at_us: 0,
            label: String::new(),
            seen: json!({ "sockets": { "1 ui": seen } }),
        }],
    }
}

const KINDS: [&str; 5] = ["epoch", "iso.6Z", "iso.3Z", "retry_after", "after_step"];

fn steps() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let length = prop_oneof![0..100_000_i64, 100_000..3_000_000_i64];
    prop::collection::vec((0..300_000_i64, length), 4)
}

/// A stamp of the last steps, near a whole number of seconds away from them.
fn shown() -> impl Strategy<Value = i64> {
    (
        0..4_000_000_i64,
        -3..4_i64,
        prop::sample::select(vec![0, 60, 900]),
    )
        .prop_map(|(moment, seconds, lifetime)| moment + (seconds + lifetime) * 1_000_000)
}

proptest! {
    #[test]
    fn it_does_not_matter_which_side_is_called_the_legacy(
        clocks in prop::collection::vec((0..3_u8, steps(), START..START + 3_000_000), 2),
        pairs in prop::collection::vec((prop::sample::select(KINDS.to_vec()), shown(), -600_000..600_000_i64, -2..3_i64), 1..4),
    ) {
        let spans = |(kind, steps, _): &(u8, Vec<(i64, i64)>, i64)| {
            let mut at = 0;
            let ends: Vec<_> = (1..).zip(steps).map(|(step, (pause, length))| { at += pause + length; (step, at) }).collect();
            match kind { 0 => Spans::recorded(&ends), 1 => Spans::standing(&ends), _ => running(steps) }
        };
        let (one, other) = (&clocks[0], &clocks[1]);
        let first: Vec<_> = pairs.iter().map(|(kind, us, ..)| (*kind, *us)).collect();
        let second: Vec<_> = pairs.iter().map(|(kind, us, off, seconds)| (*kind, us + off + seconds * 1_000_000)).collect();
        let (first, second) = (side(one.2, 4, &first), side(other.2, 4, &second));
        let both = BothSpans::new(spans(one), spans(other));
        let swapped = BothSpans::new(both.engine.clone(), both.legacy.clone());
        let found = |found: Vec<Difference>| -> Vec<String> { found.into_iter().map(|one| one.path).collect() };
        prop_assert_eq!(found(diff(&first, &second, &both)), found(diff(&second, &first, &swapped)));
    }

    /// Two servers with clocks of their own, one slower than the other, do the same: what they show is equal wherever in a
    /// step they look at the clock, also where a second begins meanwhile.
    #[test]
    fn what_two_live_servers_do_alike_is_equal(
        slow in prop::collection::vec((0..300_000_i64, 1..450_000_i64), 4), fast in prop::collection::vec((0..20_000_i64, 1..30_000_i64), 4),
        starts in (START..START + 3_000_000, START..START + 3_000_000),
        made_in in 0_usize..4, moments in (0.0..1.0_f64, 0.0..1.0_f64), lifetime in prop::sample::select(vec![0_i64, 60, 3_600]),
    ) {
        let moment = |steps: &[(i64, i64)], of: usize, part: f64| {
            let before: i64 = steps[..of].iter().map(|(pause, length)| pause + length).sum();
            let (pause, length) = steps[of];
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "less than a second")]
            let within = (length as f64 * part) as i64;
            before + pause + within
        };
        let show = |steps: &[(i64, i64)], part: f64, start: i64| {
            let made = moment(steps, made_in, part);
            let waits = lifetime * 1_000_000 + 60_000_000 - (moment(steps, 3, part) - made);
            let of = [("epoch", made + lifetime * 1_000_000), ("iso.6Z", made + lifetime * 1_000_000), ("iso.3Z", made + 7_000_000), ("retry_after", waits)];
            side(start, 4, &of)
        };
        let spans = BothSpans::new(running(&slow), running(&fast));
        let (one, other) = (show(&slow, moments.0, starts.0), show(&fast, moments.1, starts.1));
        prop_assert_eq!(diff(&one, &other, &spans), []);
        let swapped = BothSpans::new(spans.engine, spans.legacy);
        prop_assert_eq!(diff(&other, &one, &swapped), []);
    }
}

#[test]
fn two_live_servers_are_held_to_the_second() {
    // The legacy's seconds begin at 665,000, 1,665,000 …; the engine's, which started later, at 165,000, 1,165,000 ….
    let (slow, fast) = ([(0, 100_000), (0, 300_000)], [(0, 10_000), (0, 20_000)]);
    let spans = BothSpans::new(running(&slow), running(&fast));
    let starts = (START, START + 500_000);
    let found = |kind: &str, legacy: i64, engine: i64| {
        diff(
            &side(starts.0, 2, &[(kind, legacy)]),
            &side(starts.1, 2, &[(kind, engine)]),
            &spans,
        )
        .len()
    };
    for (kind, legacy, engine) in [
        ("epoch", 350_000, 15_000),
        ("iso.6Z", 350_000, 15_000),
        ("retry_after", 59_650_000, 59_985_000),
    ] {
        let wrong = |by: i64| (found(kind, legacy + by, engine), found(kind, legacy, engine + by));
        assert_eq!(wrong(0), (0, 0), "{kind}");
        for by in [-60, -1, 1, 60] {
            assert_eq!(wrong(by * 1_000_000), (1, 1), "{kind} off by {by} s");
        }
    }
    assert_eq!(found("iso.6Z", 50_000, 15_000), 1, "of the step before");
}

#[test]
fn a_file_s_time_may_be_that_of_the_tick_before_the_step() {
    let steps = [(0, 100_000), (50_000, 100_000)];
    let spans = BothSpans::new(running(&steps), running(&steps));
    let found = |legacy: i64, engine: i64| {
        let shown = |offset| side(START, 2, &[("epoch.float", offset)]);
        diff(&shown(legacy), &shown(engine), &spans).len()
    };
    assert_eq!(found(143_000, 155_000), 0, "7 ms before the second step");
    assert_eq!(found(135_000, 155_000), 1, "a tick is never so long ago");
}

#[test]
fn two_readings_of_a_running_clock_are_one_by_chance_only_where_they_lie_beside_each_other() {
    let running = || running(&[(0, 10_000), (0, 10_000)]);
    let recorded = || Spans::recorded(&[(1, 10_000), (2, 20_000)]);
    let found = |legacy: [i64; 2], engine: [i64; 2], spans: [Spans; 2]| {
        let shown = |[first, second]: [i64; 2]| {
            one(json!({ "body": { "a": time("iso.6Z", first), "b": time("iso.6Z", second) } }))
        };
        let [of_legacy, of_engine] = spans;
        let both = BothSpans::new(of_legacy, of_engine);
        diff(&shown(legacy), &shown(engine), &both).len()
    };
    let (apart, far, at_once) = ([15_000, 15_004], [15_000, 17_000], [16_000, 16_000]);
    assert_eq!(found(apart, at_once, [recorded(), running()]), 0);
    assert_eq!(found(apart, at_once, [running(), running()]), 0);
    assert_eq!(found(at_once, apart, [running(), running()]), 0);
    assert_eq!(
        found(far, at_once, [recorded(), running()]),
        1,
        "two milliseconds are no chance"
    );
    assert_eq!(
        found(at_once, apart, [recorded(), running()]),
        1,
        "a recording means it"
    );
    let standing = || Spans::standing(&[(1, 10_000), (2, 16_000)]);
    assert_eq!(
        found(apart, at_once, [recorded(), standing()]),
        1,
        "a clock that stands is no chance"
    );
}

fn heard_after(step: u32) -> Normalized {
    one(json!({ "sockets": { "1 ui": { "events": [{ "after_step": step, "event": "e", "data": null }] } } }))
}

#[test]
fn an_event_may_be_late_where_a_clock_ran() {
    let ends = [(1, 10_000), (2, 20_000), (3, 30_000), (4, 90_000)];
    let spans = BothSpans::of_replay(&ends);
    let swapped = BothSpans::new(spans.engine.clone(), spans.legacy.clone());
    let heard = heard_after;
    let equal = |legacy, engine, spans: &BothSpans| diff(&heard(legacy), &heard(engine), spans).is_empty();
    assert!(
        equal(3, 1, &spans) && equal(1, 3, &swapped),
        "20 ms late in the recording"
    );
    assert!(!equal(4, 2, &spans), "70 ms late");
    assert!(
        !equal(1, 3, &spans) && !equal(3, 1, &swapped),
        "the replay hears everything before the next step"
    );
    assert!(equal(1, 2, &spans) && equal(2, 1, &spans), "a neighbouring step");
}

#[test]
fn an_event_may_come_in_any_step_that_only_looks_on_behind_its_cause() {
    let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n  - get: /health\n  - {socket: ui, receive: a}\n  \
        - rows: SELECT 1\n  - {socket: ui, silence: b}\n  - get: /health\n";
    let scenario = Scenario::read("a/b", text).unwrap();
    let equal = |third_us: i64, legacy: u32, engine: u32| {
        let ends = [
            (1, 0),
            (2, 200_000),
            (3, third_us),
            (4, third_us + 200_000),
            (5, third_us + 400_000),
        ];
        let spans = BothSpans::of_replay(&ends).through(&scenario);
        let heard = heard_after;
        let found = diff(&heard(legacy), &heard(engine), &spans).is_empty();
        assert_eq!(found, diff(&heard(engine), &heard(legacy), &spans).is_empty());
        found
    };
    assert!(
        equal(400_000, 1, 4),
        "all of them look on at what step 1 has caused"
    );
    assert!(!equal(400_000, 2, 5), "step 5 does something");
    assert!(!equal(400_000, 0, 3), "before step 1");
    assert!(
        !equal(6_000_000, 1, 3) && equal(6_000_000, 3, 4),
        "what was due may have been woken in the third, which took 5.8 s"
    );
}

#[test]
fn what_an_event_carries_is_no_step_whatever_it_is_called() {
    let heard = |step: u32, n: u32| {
        one(
            json!({ "sockets": { "1 ui": { "events": [{ "after_step": step, "event": "e", "data": { "after_step": n } }] } } }),
        )
    };
    let found = |engine: &Normalized| diff_and_count(&heard(1, 1), engine, &spans());
    let (different, masked) = found(&heard(2, 2));
    let paths: Vec<_> = different.into_iter().map(|one| one.path).collect();
    assert_eq!(paths, ["/sockets/1 ui/events/0/data/after_step"]);
    let (_, same) = found(&heard(1, 1));
    assert_eq!(
        masked.table(),
        same.table(),
        "how often it came in another step is chance"
    );
}

#[test]
fn how_sessions_are_opened_is_held_against_the_contract_where_the_recording_does_not_say_it() {
    let socket = |opened: Option<Value>| {
        let mut socket = json!({ "events": [], "closed": null });
        if let (Some(opened), Some(members)) = (opened, socket.as_object_mut()) {
            members.insert("opened".to_owned(), opened);
        }
        json!({ "sockets": { "1 ui": socket } })
    };
    let opened = |over: &str, upgrades: Value, interval: u64, most: u64| {
        Some(json!({
            "over": over,
            "says": {
                "sid": "<20 characters>", "upgrades": upgrades, "pingTimeout": 20000, "pingInterval": interval,
                "maxPayload": most,
            },
            "written": "compact",
        }))
    };
    let usual = |over: &str, upgrades: Value| opened(over, upgrades, 25000, 100_000_000);
    let found = |legacy: Option<Value>, engine: Option<Value>| compare(socket(legacy), socket(engine));
    assert_eq!(found(None, usual("websocket", json!([]))), []);
    assert_eq!(found(None, usual("polling", json!(["websocket"]))), []);
    assert_eq!(found(None, opened("websocket", json!([]), 25000, 1_000_000)), []);
    assert_eq!(
        found(
            opened("websocket", json!([]), 25000, 1_000_000),
            usual("websocket", json!([]))
        ),
        []
    );
    let says = |member: &str| vec![(format!("/sockets/1 ui/opened/says/{member}"), Kind::Value)];
    assert_eq!(
        found(None, opened("websocket", json!([]), 26000, 1_000_000)),
        says("pingInterval")
    );
    assert_eq!(
        found(None, opened("websocket", json!([]), 25000, 99_999_999)),
        says("maxPayload")
    );
    // The other way round it is no decision.
    assert_eq!(
        found(
            usual("websocket", json!([])),
            opened("websocket", json!([]), 25000, 1_000_000)
        ),
        says("maxPayload")
    );
    assert_eq!(
        found(None, usual("polling", json!([]))),
        [("/sockets/1 ui/opened/says/upgrades/0".to_owned(), Kind::Missing)]
    );
    let mut order = usual("websocket", json!([])).unwrap();
    let says_of = order["says"].as_object_mut().unwrap();
    let sid = says_of.shift_remove("sid").unwrap();
    says_of.insert("sid".to_owned(), sid);
    assert_eq!(found(None, Some(order)), says("<order>"));
    let (one, other) = (
        opened("websocket", json!([]), 1, 1),
        usual("websocket", json!([])),
    );
    assert_eq!(
        found(one, other).len(),
        2,
        "two live servers are held against each other"
    );
}
