use super::*;
use crate::diff::{Difference, Kind};
use serde_json::json;
use std::path::Path;

const TEXT: &str = r#"
[[divergence]]
id = "wrong-types"
defect = "ENR-1"
area = "Enrollment"
scenarios = ["enrollment/*"]
legacy_behaviour = "500"
engine_behaviour = "400"
reason = "A crash is no answer"
since = "2026-11-20"
expires = "2026-12-31"
not_compared_from_step = { "enrollment/cut" = 4 }

[[divergence.match]]
paths = ["/status", "/rows/*/status"]
legacy = { equals = 500 }
engine = { matches = "^4" }

[[pending]]
method = "GET"
path = "/api/later/*"
reason = "comes later"
"#;

fn register() -> Register {
    parse(Path::new("divergences.toml"), TEXT).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn difference(scenario: &str, step: u32, path: &str, legacy: u16, engine: u16) -> Difference {
    Difference {
        scenario: scenario.to_owned(),
        step,
        label: "POST /x".to_owned(),
        path: path.to_owned(),
        kind: Kind::Value,
        legacy: Some(json!(legacy)),
        engine: Some(json!(engine)),
    }
}

fn ran(scenario: &str, labels: &[&str], differences: Vec<Difference>) -> Ran {
    let steps = labels
        .iter()
        .enumerate()
        .map(|(at, label)| (u32::try_from(at).unwrap() + 1, (*label).to_owned()));
    Ran {
        scenario: scenario.to_owned(),
        steps: steps.collect(),
        not_compared: BTreeMap::new(),
        notices: Vec::new(),
        outcome: Ok(differences),
    }
}

fn outcome(path: &str, legacy: u16, engine: u16, today: &str) -> Outcome {
    let found = difference("enrollment/x", 1, path, legacy, engine);
    let known = ["enrollment/x".to_owned()];
    judge(
        &register(),
        &[ran("enrollment/x", &["POST /x"], vec![found])],
        &known,
        day(today),
    )
    .verdicts[0]
        .outcome
}

#[test]
fn both_values_and_the_path_decide() {
    assert_eq!(outcome("/status", 500, 400, "2026-11-25"), Outcome::Accepted);
    assert_eq!(
        outcome("/rows/3/status", 500, 400, "2026-11-25"),
        Outcome::Accepted
    );
    assert_eq!(
        outcome("/rows/3/4/status", 500, 400, "2026-11-25"),
        Outcome::Different
    );
    assert_eq!(outcome("/status", 500, 500, "2026-11-25"), Outcome::Different);
    assert_eq!(outcome("/status", 200, 400, "2026-11-25"), Outcome::Different);
    assert_eq!(
        outcome("/status", 500, 400, "2027-01-01"),
        Outcome::Different,
        "expired"
    );
}

#[test]
fn unused_only_if_all_its_scenarios_were_compared() {
    let known = ["enrollment/x".to_owned(), "enrollment/y".to_owned()];
    let today = day("2026-11-25");
    let x = ran("enrollment/x", &["POST /x"], Vec::new());
    let y = ran("enrollment/y", &["POST /x"], Vec::new());
    assert!(
        judge(&register(), std::slice::from_ref(&x), &known, today)
            .unused_entries
            .is_empty()
    );
    assert_eq!(
        judge(&register(), &[x, y], &known, today).unused_entries,
        ["wrong-types"]
    );
}

#[test]
fn steps_that_are_not_compared_are_not_the_same() {
    let known = ["enrollment/cut".to_owned()];
    let today = day("2026-11-25");
    let labels = ["POST /a", "GET /api/later/5?x=1 as admin", "POST /b", "POST /c"];
    let found = difference("enrollment/cut", 4, "/body", 1, 2);
    let judged = judge(
        &register(),
        &[ran("enrollment/cut", &labels, vec![found])],
        &known,
        today,
    );
    assert_eq!(judged.verdicts[0].outcome, Outcome::Same);
    assert_eq!(judged.verdicts[0].compared_steps, 2);
    assert_eq!(judged.verdicts[0].not_compared[&2], "comes later");
    assert!(judged.verdicts[0].not_compared[&4].starts_with("wrong-types"));
    let failed = Ran::not_compared("enrollment/cut", "no server".to_owned());
    assert_eq!(
        judge(&register(), &[failed], &known, today).verdicts[0].outcome,
        Outcome::NotCompared
    );
}

#[test]
fn mistakes_name_file_line_and_entry() {
    let message = |text: &str| {
        parse(Path::new("divergences.toml"), text)
            .unwrap_err()
            .to_string()
    };
    let twice = format!("{TEXT}{}", TEXT.split("[[pending]]").next().unwrap());
    assert!(message(&twice).contains("entry `wrong-types`: the id is used twice"));
    assert!(
        message(&TEXT.replace("{ equals = 500 }", "{}"))
            .contains("line 3, entry `wrong-types`: `legacy` needs")
    );
    assert!(message(&TEXT.replace("reason = \"A", "raeson = \"A")).contains("raeson"));
    assert!(message(&TEXT.replace("2026-11-20", "yesterday")).contains("`since` is no date"));
}

#[test]
fn scenarios_have_areas() {
    assert_eq!(Area::of("platform/github_token_access"), Area::GitHub);
    assert_eq!(Area::of("platform/server_time"), Area::Other);
    assert_eq!(Area::of("device_auth/x"), Area::Authentication);
}
