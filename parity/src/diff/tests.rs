use super::*;

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

fn spans() -> Spans {
    Spans::new(&[(1, 10_000), (2, 20_000)])
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
    let wait = Spans::new(&[(1, 10_000), (2, 1_500_000)]);
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
    let steps = Spans::new(&[(1, 600_000), (2, 700_000), (3, 800_000)]);
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
