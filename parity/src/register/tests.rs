//! Long because it is a list: one test for each thing that an entry can say, and for each mistake in it.

use super::*;
use crate::diff::{Difference, Kind};
use serde_json::{Value, json};
use std::path::Path;

const TEXT: &str = r#"
format = 2

[values]
"the crash page" = "<!doctype html>"

[[divergence]]
id = "wrong-types"
defect = "ENR-1"
area = "Enrollment"
legacy_behaviour = "500"
engine_behaviour = "400"
reason = "A crash is no answer"
since = "2026-11-20"
expires = "2026-12-31"
not_compared_from_step = { "enrollment/cut" = "POST x 4" }

[[divergence.expect]]
name = "400 in place of 500"
at = { "enrollment/x" = ["POST x", "left"] }
differ = [
  { path = "/status", legacy = 500, engine = 400 },
]

[[divergence.expect]]
why_loose = "the error names what was wrong with the value"
at = { "enrollment/y" = "any" }
differ = [
  { path = "/rows/*/status", legacy = { value = "the crash page" }, engine = { matches = "^4" } },
  { path = "/rows/*/more", engine = { null = true } },
]
"#;

/// What four steps are called.
fn names() -> StepNames {
    StepNames::new(["POST x", "POST x 2", "POST x 3", "POST x 4"])
}

fn read(text: &str) -> Result<Register, RegisterError> {
    let scenarios = ["enrollment/x", "enrollment/y", "enrollment/cut"];
    let known = KnownScenarios::new(scenarios.map(|name| (name.to_owned(), names())));
    parse(Path::new("divergences.toml"), text, &known)
}

fn register() -> Register {
    read(TEXT).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn difference(scenario: &str, step: u32, path: &str, sides: [Option<Value>; 2]) -> Difference {
    let [legacy, engine] = sides;
    Difference {
        scenario: scenario.to_owned(),
        step,
        label: "POST /x".to_owned(),
        path: path.to_owned(),
        kind: Kind::Value,
        legacy,
        engine,
    }
}

fn status(step: u32, legacy: u16, engine: u16) -> Difference {
    difference(
        "enrollment/x",
        step,
        "/status",
        [Some(json!(legacy)), Some(json!(engine))],
    )
}

/// A scenario of four steps.
fn ran(scenario: &str, differences: Vec<Difference>) -> Ran {
    Ran {
        scenario: scenario.to_owned(),
        names: names(),
        started_at_us: None,
        steps: (1..=7).map(|step| (step, "POST /x".to_owned())).collect(),
        not_compared: BTreeMap::new(),
        masked: crate::mask::Masked::default(),
        outcome: Ok(differences),
        is_alone: false,
        legacy_side: LegacySide::Recorded,
        unseen: None,
        noisy: Vec::new(),
        slack: None,
        broken: None,
        earlier: Vec::new(),
    }
}

/// The runs of one scenario, the last of which is the one that the others stand in.
fn in_several_runs<const N: usize>(runs: [Vec<Difference>; N]) -> Ran {
    let mut runs: Vec<Ran> = runs.map(|shown| ran("enrollment/x", shown)).into();
    let mut last = runs.pop().unwrap();
    last.earlier = runs;
    last
}

#[test]
fn every_run_of_a_scenario_has_to_show_what_is_expected_and_nothing_else() {
    let expected = || vec![status(1, 500, 400), status(7, 500, 400)];
    let (outcome, unmet) = of(in_several_runs([expected(), expected()]));
    assert_eq!((outcome, unmet.len()), (Outcome::Accepted, 0));
    // Once in two runs it no longer differs, whichever run it is.
    for runs in [[Vec::new(), expected()], [expected(), Vec::new()]] {
        let (outcome, unmet) = of(in_several_runs(runs));
        assert_eq!((outcome, unmet.len()), (Outcome::Different, 2));
    }
    // Once in three runs something else is seen.
    let other = || [expected(), vec![status(2, 200, 500)]].concat();
    for runs in [
        [other(), expected(), expected()],
        [expected(), expected(), other()],
    ] {
        let verdict = judged(in_several_runs(runs), "2026-11-25");
        assert_eq!(verdict.outcome, Outcome::Different);
        assert_eq!(verdict.different, [status(2, 200, 500)]);
        assert_eq!(verdict.accepted.len(), 2);
    }
}

fn judged(ran: Ran, today: &str) -> Verdict {
    judge(&register(), &[ran], day(today)).verdicts.remove(0)
}

/// The outcome, and the places that no longer differ.
fn of(ran: Ran) -> (Outcome, Vec<(u32, String)>) {
    let verdict = judged(ran, "2026-11-25");
    let unmet = verdict.unmet.into_iter().map(|one| (one.step, one.path));
    (verdict.outcome, unmet.collect())
}

#[test]
fn every_place_that_an_entry_names_must_show_its_difference() {
    let whole = || vec![status(1, 500, 400), status(7, 500, 400)];
    assert_eq!(of(ran("enrollment/x", whole())), (Outcome::Accepted, vec![]));
    let status = "/status".to_owned();
    assert_eq!(
        of(ran("enrollment/x", whole().split_off(1))),
        (Outcome::Different, vec![(1, status.clone())]),
        "a place that is mended"
    );
    let mut other_value = whole();
    other_value[0].engine = Some(json!(404));
    assert_eq!(
        of(ran("enrollment/x", other_value)),
        (Outcome::Different, vec![(1, status.clone())])
    );
    assert_eq!(
        of(ran("enrollment/x", Vec::new())).1,
        [(1, status.clone()), (7, status)],
        "an entry that is not needed"
    );
    assert_eq!(of(ran("enrollment/z", Vec::new())), (Outcome::Same, vec![]));
}

#[test]
fn an_event_that_one_side_received_may_come_one_step_earlier_or_later() {
    let text = TEXT.replace(
        r#"  { path = "/status", legacy = 500, engine = 400 },"#,
        r#"  { path = "/sockets/ui/events/0", engine = { equals = { after_step = "POST x 2", event = "e", data = 1 } } },"#,
    );
    let register = read(&text.replace(r#"["POST x", "left"]"#, r#"["heard"]"#)).unwrap();
    let outcome = |after: Value, data: u8| {
        let event = json!({ "after_step": after, "event": "e", "data": data });
        let heard = difference("enrollment/x", 6, "/sockets/ui/events/0", [None, Some(event)]);
        let ran = ran("enrollment/x", vec![heard]);
        judge(&register, &[ran], day("2026-11-25"))
            .verdicts
            .remove(0)
            .outcome
    };
    for step in [1, 2, 3] {
        assert_eq!(outcome(json!(step), 1), Outcome::Accepted, "{step}");
    }
    assert_eq!(outcome(json!(4), 1), Outcome::Different);
    assert_eq!(outcome(json!(0), 1), Outcome::Different);
    assert_eq!(outcome(json!(2), 2), Outcome::Different, "another event");
}

#[test]
fn a_pattern_wants_one_difference_and_every_row_its_own() {
    let page = difference(
        "enrollment/y",
        3,
        "/rows/5/status",
        [Some(json!("<!doctype html>")), Some(json!(404))],
    );
    let more = difference("enrollment/y", 2, "/rows/0/more", [None, Some(Value::Null)]);
    assert_eq!(
        of(ran("enrollment/y", vec![page.clone(), more])),
        (Outcome::Accepted, vec![])
    );
    assert_eq!(
        of(ran("enrollment/y", vec![page])),
        (Outcome::Different, vec![(0, "/rows/*/more".to_owned())])
    );
}

#[test]
fn after_its_last_day_an_entry_neither_accepts_nor_expects() {
    let verdict = judged(ran("enrollment/x", vec![status(1, 500, 400)]), "2027-01-01");
    assert_eq!((verdict.outcome, verdict.unmet.len()), (Outcome::Different, 0));
    let judged = judge(&register(), &[], day("2027-01-01"));
    assert_eq!(judged.expired_entries, ["wrong-types"]);
}

#[test]
fn steps_that_are_not_compared_show_nothing() {
    let found = difference("enrollment/cut", 4, "/body", [Some(json!(1)), Some(json!(2))]);
    let verdict = judged(ran("enrollment/cut", vec![found]), "2026-11-25");
    assert_eq!((verdict.outcome, verdict.compared_steps), (Outcome::Same, 3));
    assert!(verdict.not_compared[&4].starts_with("wrong-types"));
    let mut failed = ran("enrollment/x", vec![status(7, 500, 400)]);
    failed.not_compared.insert(1, "the network".to_owned());
    assert_eq!(of(failed), (Outcome::Accepted, vec![]));
    let broken = Ran::could_not_run("enrollment/cut", "no server".to_owned());
    assert_eq!(judged(broken, "2026-11-25").outcome, Outcome::CouldNotRun);
}

#[test]
fn a_scenario_is_cut_off_only_with_the_legacy_of_which_that_is_said() {
    let with_a_server = "{ step = \"POST x 4\", legacy_side = \"server\" }";
    let register = read(&TEXT.replace("\"POST x 4\"", with_a_server)).unwrap();
    for (side, expected) in [
        (LegacySide::Server, Outcome::Same),
        (LegacySide::Recorded, Outcome::Different),
    ] {
        let found = difference("enrollment/cut", 4, "/body", [Some(json!(1)), Some(json!(2))]);
        let mut ran = ran("enrollment/cut", vec![found]);
        ran.legacy_side = side;
        let verdict = judge(&register, &[ran], day("2026-11-25")).verdicts.remove(0);
        assert_eq!(verdict.outcome, expected, "{side:?}");
    }
}

#[test]
fn every_mistake_names_file_line_and_entry() {
    let message = |text: &str| read(text).unwrap_err().to_string();
    let entry = TEXT.split("[[divergence]]").nth(1).unwrap();
    let twice = format!("{TEXT}[[divergence]]{entry}");
    assert_eq!(
        message(&twice),
        "divergences.toml:32:1: entry `wrong-types`: the name `400 in place of 500` is used twice\n\
         divergences.toml:32:1: entry `wrong-types`: the id is used twice"
    );
    let both = twice.replace("2026-11-20", "yesterday");
    assert_eq!(
        message(&both).lines().count(),
        4,
        "all mistakes at once: {}",
        message(&both)
    );
    let of = |from: &str, to: &str| message(&TEXT.replace(from, to));
    assert!(
        of(
            "{ path = \"/status\", legacy = 500, engine = 400 }",
            "{ path = \"/status\" }"
        )
        .contains("neither side")
    );
    assert!(of("reason = \"A", "raeson = \"A").contains("raeson"));
    assert!(of("\"left\"", "\"lift\"").contains("enrollment/x has no step `lift`; the nearest are `left`, "));
    assert!(of("[\"POST x\"", "[2").contains("step 2 is called \"POST x 2\""));
    assert!(of("\"POST x 4\"", "\"POST x 5\"").contains("enrollment/cut has no step `POST x 5`"));
    assert!(
        of("enrollment/y", "enrollment/z")
            .contains("there is no scenario `enrollment/z`; the nearest name is")
    );
    assert!(of("expires = \"2026", "owner = \" \"\nexpires = \"2026").contains("`owner` is empty"));
    assert!(of("why_loose = ", "#").contains("`why_loose` says why"));
    assert!(
        of(
            "at = { \"enrollment/x\" ",
            "why_loose = \"x\"\nat = { \"enrollment/x\" "
        )
        .contains("everything is exact")
    );
    assert!(of("value = \"the crash page\"", "value = \"the page\"").contains("has no `the page`"));
    assert!(of("format = 2", "format = 1").contains("this program reads 2"));
}

#[test]
fn all_mistakes_of_an_entry_are_told_at_once() {
    let text = TEXT
        .replace("[\"POST x\", \"left\"]", "[\"POST z\", 3]")
        .replace("\"any\"", "\"some\"");
    let message = read(&text).unwrap_err().to_string();
    let lines: Vec<&str> = message
        .lines()
        .filter_map(|line| line.split(": entry").next())
        .collect();
    let block = "divergences.toml:18:1";
    assert_eq!(
        lines,
        [block, block, "divergences.toml:25:1"],
        "each at its block: {message}"
    );
}

#[test]
fn rows_are_written_once_and_named_elsewhere() {
    let other = "\n[[divergence.expect]]\nat = { \"enrollment/y\" = [\"POST x 2\"] }\nsame_as = \"400 in place of 500\"\n";
    let text = format!("{TEXT}{other}");
    let entries = read(&text).unwrap().entries;
    let [first, _, last] = entries[0].expectations.as_slice() else {
        panic!("three expectations")
    };
    assert_eq!(last.rows[0].path, first.rows[0].path);
    let unknown = read(&text.replace("same_as = \"400", "same_as = \"300"))
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("no expectation is called `300 in place of 500`"),
        "{unknown}"
    );
    let chain = text.replace("same_as =", "name = \"again\"\nsame_as =");
    assert!(read(&chain).unwrap_err().to_string().contains("name that one"));
}

#[test]
fn a_step_that_is_put_in_moves_no_place_of_the_register() {
    let mut moved = ran("enrollment/x", vec![status(2, 500, 400), status(8, 500, 400)]);
    moved.names = StepNames::new(["GET health", "POST x", "POST x 2", "POST x 3", "POST x 4"]);
    assert_eq!(of(moved), (Outcome::Accepted, vec![]));
}

#[test]
fn what_an_expired_entry_accepted_is_told_as_its_own() {
    let verdict = judged(
        ran("enrollment/x", vec![status(1, 500, 400), status(2, 500, 400)]),
        "2027-01-01",
    );
    let expired = Expired {
        difference: 0,
        entry: "wrong-types".to_owned(),
    };
    assert_eq!((verdict.different.len(), verdict.expired), (2, vec![expired]));
}

#[test]
fn on_a_server_that_others_use_a_place_may_show_all_of_its_rows_or_none() {
    let text =
        "format: 2\ntitle: T\narea: A\nstarted_at: 1\nshared: {}\nsteps:\n  - {name: POST x, post: /x}\n";
    let scenario = crate::scenario::model::Scenario::read("staging/x", text).unwrap();
    let known = KnownScenarios::new([
        ("staging/x".to_owned(), StepNames::of(&scenario)),
        ("enrollment/x".to_owned(), names()),
    ]);
    let register = |place: &str| {
        let text = format!(
            "format = 2\n[[divergence]]\nid = \"e\"\ndefect = \"D\"\narea = \"Other\"\nlegacy_behaviour = \"l\"\n\
             engine_behaviour = \"e\"\nreason = \"r\"\nsince = \"2026-11-20\"\n[[divergence.expect]]\n\
             may_be_same = \"either works in the other's root folder\"\nat = {{ \"{place}\" = [\"POST x\"] }}\n\
             differ = [{{ path = \"/a\", legacy = 1, engine = 2 }}, {{ path = \"/b\", legacy = 1, engine = 2 }}]\n"
        );
        parse(Path::new("divergences.toml"), &text, &known)
    };
    let expected = register("staging/x").unwrap();
    let outcome = |paths: &[&str]| {
        let sides = || [Some(json!(1)), Some(json!(2))];
        let found = paths.iter().map(|path| difference("staging/x", 1, path, sides()));
        let ran = ran("staging/x", found.collect());
        let verdict = judge(&expected, &[ran], day("2026-11-25")).verdicts.remove(0);
        (verdict.outcome, verdict.unmet.len())
    };
    assert_eq!(outcome(&["/a", "/b"]), (Outcome::Accepted, 0));
    assert_eq!(outcome(&[]), (Outcome::Same, 0));
    assert_eq!(
        outcome(&["/a"]),
        (Outcome::Different, 1),
        "half of it is something else"
    );
    let elsewhere = register("enrollment/x").unwrap_err().to_string();
    assert!(
        elsewhere.contains("`may_be_same` at `enrollment/x`: only scenarios for servers that others use"),
        "{elsewhere}"
    );
}

#[test]
fn a_block_for_one_kind_of_legacy_expects_nothing_of_the_other() {
    let register = |extra: &str| {
        let text = format!(
            "format = 2\n[[divergence]]\nid = \"e\"\ndefect = \"D\"\narea = \"Other\"\nlegacy_behaviour = \"l\"\n\
             engine_behaviour = \"e\"\nreason = \"r\"\nsince = \"2026-11-20\"\n[[divergence.expect]]\n{extra}\n\
             at = {{ \"enrollment/x\" = [\"POST x\"] }}\ndiffer = [{{ path = \"/a\", legacy = 1, engine = 2 }}]\n"
        );
        let known = KnownScenarios::new([("enrollment/x".to_owned(), names())]);
        parse(Path::new("divergences.toml"), &text, &known)
    };
    let outcome = |extra: &str, side: LegacySide, differs: bool| {
        let found = differs.then(|| difference("enrollment/x", 1, "/a", [Some(json!(1)), Some(json!(2))]));
        let mut ran = ran("enrollment/x", found.into_iter().collect());
        ran.legacy_side = side;
        let verdict = judge(&register(extra).unwrap(), &[ran], day("2026-11-25"))
            .verdicts
            .remove(0);
        verdict.outcome
    };
    use LegacySide::{Recorded, Server};
    for (extra, side, differs, expected) in [
        ("legacy_side = \"server\"", Server, true, Outcome::Accepted),
        ("legacy_side = \"server\"", Server, false, Outcome::Different),
        ("legacy_side = \"server\"", Recorded, true, Outcome::Different),
        ("legacy_side = \"server\"", Recorded, false, Outcome::Same),
        ("legacy_side = \"recorded\"", Recorded, true, Outcome::Accepted),
        ("legacy_side = \"recorded\"", Server, false, Outcome::Same),
        (
            "legacy_side = \"server\"\nmay_be_same = \"it hangs on a second\"",
            Server,
            false,
            Outcome::Same,
        ),
    ] {
        assert_eq!(
            outcome(extra, side, differs),
            expected,
            "{extra} {side:?} {differs}"
        );
    }
    let wrong = register("legacy_side = \"live\"").unwrap_err().to_string();
    assert!(wrong.contains("unknown variant `live`"), "{wrong}");
    let fixed = register("may_be_same = \"why\"").unwrap_err().to_string();
    assert!(
        fixed.contains("others where `legacy_side = \"server\"`"),
        "{fixed}"
    );
}

#[test]
fn a_scenario_without_a_legacy_side_is_held_against_itself_whatever_the_register_expects() {
    let mut alone = ran("enrollment/x", vec![]);
    alone.is_alone = true;
    let verdict = judged(alone, "2026-11-25");
    assert_eq!(
        (
            verdict.outcome,
            verdict.compared_steps,
            verdict.alone_steps,
            verdict.unmet
        ),
        (Outcome::Alone, 0, Some(7), vec![])
    );
}

#[test]
fn times_fit_only_as_far_as_the_steps_until_then_ran_behind() {
    let second = |second: i64| json!({ "<time>": { "format": "epoch", "second": second } });
    let text = TEXT.replace(
        r#"{ path = "/status", legacy = 500, engine = 400 }"#,
        r#"{ path = "/at", legacy = { equals = { "<time>" = { format = "epoch", second = 5 } } }, engine = { equals = { "<time>" = { format = "epoch", second = 7 } } } }"#,
    );
    let register = read(&text.replace(r#"["POST x", "left"]"#, r#"["POST x"]"#)).unwrap();
    let outcome = |legacy: i64, engine: i64| {
        let sides = [Some(second(legacy)), Some(second(engine))];
        let mut ran = ran("enrollment/x", vec![difference("enrollment/x", 1, "/at", sides)]);
        // The second step took long, after the first had shown its times.
        ran.slack = Some([
            Slack::default(),
            Slack::new([(0, -200_000, 0), (1, 0, 1_500_000), (2, 1_500_000, 60_000_000)]),
        ]);
        judge(&register, &[ran], day("2026-11-25"))
            .verdicts
            .remove(0)
            .outcome
    };
    assert_eq!(outcome(5, 7), Outcome::Accepted);
    assert_eq!(
        outcome(5, 9),
        Outcome::Accepted,
        "1.5 seconds late, and a second began"
    );
    assert_eq!(
        outcome(5, 10),
        Outcome::Different,
        "only a later step was that late"
    );
    assert_eq!(
        outcome(5, 6),
        Outcome::Accepted,
        "nothing is early, but the start"
    );
    assert_eq!(outcome(6, 7), Outcome::Different, "a recording is not late");
}

#[test]
fn loose_blocks_are_counted() {
    assert_eq!(register().loose(), 1);
}

#[test]
fn scenarios_have_areas() {
    assert_eq!(Area::of("platform/github_token_access"), Area::GitHub);
    assert_eq!(Area::of("platform/server_time"), Area::Other);
    assert_eq!(Area::of("device_auth/x"), Area::Authentication);
}

#[test]
fn what_nobody_has_seen_of_the_legacy_is_expected_of_nothing() {
    // A recording of the wire says nothing of tables and files, which is step 7 of four.
    let wire = || vec![status(1, 500, 400)];
    let left = vec![(7, "/status".to_owned())];
    assert_eq!(of(ran("enrollment/x", wire())), (Outcome::Different, left));
    let unseen = Ran {
        unseen: Some(7),
        ..ran("enrollment/x", wire())
    };
    assert_eq!(of(unseen), (Outcome::Accepted, vec![]));
    let noisy = Ran {
        noisy: vec![(1, "/status".to_owned()), (7, "/status".to_owned())],
        ..ran("enrollment/x", vec![])
    };
    assert_eq!(
        of(noisy).1,
        vec![],
        "nor of what the legacy shows otherwise each time"
    );
    let elsewhere = Ran {
        unseen: Some(7),
        ..ran("enrollment/x", vec![])
    };
    assert_eq!(
        of(elsewhere),
        (Outcome::Different, vec![(1, "/status".to_owned())])
    );
}
