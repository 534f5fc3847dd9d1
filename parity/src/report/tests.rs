use super::*;
use crate::diff::{Difference, Kind};
use serde_json::json;

fn verdict(scenario: &str, outcome: Outcome) -> Verdict {
    let different = (outcome == Outcome::Different).then(|| Difference {
        scenario: scenario.to_owned(),
        step: 2,
        label: "GET /x".to_owned(),
        path: "/body/a".to_owned(),
        kind: Kind::Type,
        legacy: Some(json!(null)),
        engine: None,
    });
    Verdict {
        scenario: scenario.to_owned(),
        outcome,
        compared_steps: usize::from(outcome != Outcome::NotCompared),
        accepted: Vec::new(),
        different: different.into_iter().collect(),
        not_compared: (outcome == Outcome::NotCompared)
            .then(|| (0, "no | server".to_owned()))
            .into_iter()
            .collect(),
        notices: Vec::new(),
    }
}

fn report(outcomes: &[Outcome]) -> RunReport {
    let verdicts = outcomes
        .iter()
        .map(|outcome| verdict("enrollment/x", *outcome))
        .collect();
    let judgement = Judgement {
        verdicts,
        unused_entries: Vec::new(),
        expired_entries: Vec::new(),
    };
    RunReport::new(Provenance::default(), judgement, &Register::default())
}

#[test]
fn exit_codes() {
    assert_eq!(exit_code(&report(&[Outcome::Same, Outcome::Accepted]), true), 0);
    assert_eq!(exit_code(&report(&[Outcome::Same, Outcome::Different]), false), 1);
    assert_eq!(
        exit_code(&report(&[Outcome::Same, Outcome::NotCompared]), false),
        0
    );
    assert_eq!(
        exit_code(&report(&[Outcome::Same, Outcome::NotCompared]), true),
        1
    );
    assert_eq!(exit_code(&report(&[]), false), 2);
    assert_eq!(exit_code(&report(&[Outcome::NotCompared]), false), 2);
    assert_eq!(
        exit_code(&RunReport::failed(Provenance::default(), "x".to_owned()), false),
        2
    );
    let mut unused = report(&[Outcome::Same]);
    unused.judgement.unused_entries.push("old".to_owned());
    assert_eq!(exit_code(&unused, false), 1);
}

#[test]
fn a_stored_report_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let report = report(&[Outcome::Different, Outcome::NotCompared]);
    write_json(&path, &report).unwrap();
    write_json(&path, &report).unwrap();
    assert_eq!(read(&path).unwrap(), report);
    std::fs::write(&path, r#"{"format": 2}"#).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("too new"));
}

#[test]
fn reports_for_people_show_what_differs() {
    let report = report(&[Outcome::Different, Outcome::NotCompared]);
    let text = terminal(&report);
    assert!(
        text.contains("step 2  GET /x")
            && text.contains("legacy  null")
            && text.contains("engine  (nothing)")
    );
    let table = markdown(&report);
    assert!(table.contains("| Area | Legacy Behaviour | Engine Behaviour | Notes / Links |"));
    assert!(table.contains(
        "| Enrollment | <code>null</code> | <code>(nothing)</code> | **Not accepted.** enrollment/x"
    ));
    assert!(table.contains("- no \\| server: 0 steps in 1 scenarios"));
    assert!(table.contains("| GitHub | | | Nothing was compared |"));
}
