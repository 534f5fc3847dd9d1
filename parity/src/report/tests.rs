use super::*;
use crate::diff::{Difference, Kind, Spans};
use crate::normalize::normalize;
use crate::register::{Ran, judge};
use crate::transcript::{Body, Observation, Seen, Transcript};
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
fn scenarios_of_the_project_s_own_are_listed_and_counted_nowhere() {
    let own = OwnScenario {
        scenario: "access/nobody".to_owned(),
        title: "Nobody gets | in".to_owned(),
    };
    let alone = report(&[]).with_own(vec![own.clone()]);
    assert_eq!(exit_code(&alone, false), 2, "nothing was compared");
    let report = report(&[Outcome::Same]).with_own(vec![own]);
    assert_eq!(exit_code(&report, true), 0);
    assert!(terminal(&report).contains("  access/nobody: Nobody gets | in"));
    let table = markdown(&report);
    assert!(table.contains("## Access policy: what strict refuses"));
    assert!(table.contains("- access/nobody: Nobody gets \\| in"));
    assert!(table.contains("| All | 1 | 0 | 0 | 0 |"));
    assert!(!table.contains("Everything was compared"));
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

/// What one side showed: an answer, a connection, an acknowledgement and an event.
fn transcript(status: u16, event: Option<serde_json::Value>, notices: Vec<Notice>) -> Transcript {
    let seen = [
        (
            "GET /x?a=1 as admin",
            Seen::Answer {
                status,
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                body: Body::Text("hello".to_owned()),
            },
        ),
        (
            "connect as ui",
            Seen::Connected {
                connected: true,
                error: None,
            },
        ),
        (
            "emit macro_status as ui",
            Seen::Acknowledged {
                arguments: Some(Vec::new()),
            },
        ),
        (
            "expect macro_status as ui",
            Seen::Received {
                arguments: event.map(|event| vec![event]),
            },
        ),
    ];
    let observations = (1..).zip(seen).map(|(step, (label, seen))| Observation {
        step,
        at_us: i64::from(step) * 1000,
        label: label.to_owned(),
        seen,
    });
    Transcript {
        scenario: "realtime/sample".to_owned(),
        started_at_us: 1_795_448_990_335_000,
        base: "http://127.0.0.1:39695".to_owned(),
        client_values: Vec::new(),
        observations: observations.collect(),
        notices,
    }
}

#[test]
fn the_reports_of_a_small_transcript() {
    let unasked = |kind, event: &str, argument: serde_json::Value| Notice {
        client: "ui".to_owned(),
        step: 4,
        kind,
        event: event.to_owned(),
        arguments: vec![argument],
    };
    let legacy = transcript(200, Some(json!({"success": true})), Vec::new());
    let engine = transcript(
        503,
        None,
        vec![
            unasked(NoticeKind::NotWaitedFor, "agent_window_list", json!({})),
            unasked(NoticeKind::NotWaitedFor, "agent_window_list", json!([])),
            unasked(NoticeKind::Closed, "", json!("the connection broke")),
        ],
    );
    let spans = Spans::new(&[(1, 1000), (2, 2000), (3, 3000), (4, 4000)]);
    let ran = Ran::compare(&normalize(&legacy), &normalize(&engine), &spans).with_notices(engine.notices);
    let known = [legacy.scenario];
    let day = jiff::civil::date(2026, 11, 25);
    let judgement = judge(&Register::default(), &[ran], &known, day);
    let provenance = Provenance {
        legacy: "legacy 6df391f21a63".to_owned(),
        engine: "engine 0".to_owned(),
        parity: "parity 0".to_owned(),
        date: day.to_string(),
    };
    let report = RunReport::new(provenance, judgement, &Register::default());
    insta::assert_snapshot!("terminal", terminal(&report));
    insta::assert_snapshot!("markdown", markdown(&report));
}
