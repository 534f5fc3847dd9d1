//! Long because it is a list: what each report says of runs of every kind.

use super::page as render_page;
use super::*;
use crate::diff::{BothSpans, Difference, Kind};
use crate::normalize::normalize;
use crate::register::{Ran, StepNames, Unmet, judge};
use crate::transcript::{Body, Observation, Seen, StatusLine, Transcript};
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
        steps: StepNames::new(["login admin", "GET x"]).into_all(),
        compared_steps: usize::from(!matches!(outcome, Outcome::NotCompared | Outcome::Alone)),
        alone_steps: (outcome == Outcome::Alone).then_some(7),
        accepted: Vec::new(),
        different: different.into_iter().collect(),
        expired: Vec::new(),
        unmet: Vec::new(),
        not_compared: (outcome == Outcome::NotCompared)
            .then(|| (0, "no | server".to_owned()))
            .into_iter()
            .collect(),
    }
}

fn report(outcomes: &[Outcome]) -> RunReport {
    let verdicts = outcomes
        .iter()
        .map(|outcome| verdict("enrollment/x", *outcome))
        .collect();
    let judgement = Judgement {
        verdicts,
        expired_entries: Vec::new(),
    };
    RunReport::new(Provenance::default(), judgement, &Register::default())
}

#[test]
fn what_a_run_ends_with() {
    let ends = |outcomes: &[Outcome]| ending(&report(outcomes)).code();
    assert_eq!(ends(&[Outcome::Same, Outcome::Accepted]), 0);
    assert_eq!(
        ends(&[Outcome::Same, Outcome::NotCompared, Outcome::Different]),
        1
    );
    assert_eq!(ends(&[]), 2);
    assert_eq!(ends(&[Outcome::Different, Outcome::CouldNotRun]), 2);
    assert_eq!(ends(&[Outcome::Same, Outcome::NotCompared]), 3);
    let allowed = |outcomes: &[Outcome]| {
        let report = report(outcomes).allowing_not_compared(Some("no database here".to_owned()));
        (
            ending(&report).code(),
            terminal(&report).contains("is allowed: no database here"),
        )
    };
    assert_eq!(allowed(&[Outcome::Same, Outcome::NotCompared]), (0, true));
    assert_eq!(allowed(&[Outcome::Different]), (1, true));
    let failed = RunReport::failed(Provenance::default(), "x".to_owned());
    assert_eq!(ending(&failed), Ending::CouldNotRun);
}

#[test]
fn the_last_line_says_whether_all_is_well() {
    let took = std::time::Duration::from_millis(1250);
    assert_eq!(
        last_line(&report(&[Outcome::Same]), took, Some(411.6)),
        "PASS: 1 scenarios, 1 steps compared, 0 differences expected, 0 not expected, 0 expected and not seen, 0 steps \
         not compared, 0 scenarios could not run, 1.2 s, at most 412 MB"
    );
    let failed = last_line(&report(&[Outcome::Different]), took, None);
    assert!(
        failed.starts_with("FAIL, something differs: ") && failed.ends_with(" 1.2 s"),
        "{failed}"
    );
}

#[test]
fn every_output_says_apart_which_scenarios_had_nothing_to_be_compared_with() {
    const WORDS: &str =
        "2 more scenarios have no legacy side: 14 of their steps were held against what they say themselves";
    let mut report = report(&[Outcome::Same, Outcome::Alone, Outcome::Alone]);
    for (verdict, name) in report.judgement.verdicts.iter_mut().zip(["x", "y", "z"]) {
        verdict.scenario = format!("staging/{name}");
    }
    assert_eq!(ending(&report), Ending::Pass);
    let line = last_line(&report, std::time::Duration::ZERO, None);
    assert!(
        line.starts_with("PASS: 1 scenarios, 1 steps compared, "),
        "{line}"
    );
    assert!(line.ends_with(&format!("; {WORDS}, 0.0 s")), "{line}");

    let text = terminal(&report);
    let row = text.lines().find(|line| line.starts_with("All ")).unwrap();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns, ["All", "1", "0", "0", "0", "2", "1", "of", "1"]);
    assert!(
        text.contains("Alone. No legacy side, ") && text.contains("\n  staging/y, staging/z\n"),
        "{text}"
    );

    let table = markdown(&report);
    assert!(table.contains("| All | 1 | 0 | 0 | 0 | 2 | 1 | 0 |"), "{table}");
    assert!(
        table.contains("what the scenario itself says: 14 steps in 2 scenarios: staging/y, staging/z\n"),
        "{table}"
    );
    assert!(!table.contains("Everything was compared"), "{table}");

    let xml = junit(&report).unwrap();
    assert!(xml.contains("tests=\"3\" skipped=\"2\""), "{xml}");
    assert_eq!(
        xml.matches("<skipped message=\"No legacy side, ").count(),
        2,
        "{xml}"
    );

    let page = render_page(&report).unwrap();
    let sentence = page.split("class=\"sentence\">").nth(1).unwrap();
    assert!(
        sentence.starts_with("In all 1 scenarios that have a legacy side "),
        "{page}"
    );
    assert!(
        sentence
            .split("</p>")
            .next()
            .unwrap()
            .ends_with(&format!(" {WORDS}.")),
        "{page}"
    );
    let cells =
        ["1", "0", "0", "0", "2", "0", "1"].map(|number| format!("<td class=\"number\">{number}</td>"));
    assert!(page.contains(&cells.concat()), "{page}");

    let part = guide::render(&[], Some(&report), None);
    assert!(part.contains(WORDS), "{part}");

    let alone = self::report(&[Outcome::Alone]);
    let page = render_page(&alone).unwrap();
    assert!(
        page.contains(">Nothing was compared. 1 more scenario has no legacy side"),
        "{page}"
    );
}

#[test]
fn a_place_that_differs_no_longer_is_told() {
    let mut report = report(&[Outcome::Different]);
    report.judgement.verdicts[0].unmet.push(Unmet {
        entry: "old".to_owned(),
        step: 2,
        name: Some("GET x".to_owned()),
        path: "/status".to_owned(),
    });
    assert!(
        terminal(&report)
            .contains("  step 2 `GET x`  /status\n    no longer differs as the register's entry `old` says")
    );
    assert!(
        markdown(&report).contains("- `old` expects a difference in enrollment/x, step 2 `GET x`, `/status`")
    );
}

#[test]
fn scenarios_of_the_project_s_own_are_listed_and_counted_nowhere() {
    let own = OwnScenario {
        scenario: "access/nobody".to_owned(),
        title: "Nobody gets | in".to_owned(),
    };
    let alone = report(&[]).with_own(vec![own.clone()]);
    assert_eq!(ending(&alone), Ending::CouldNotRun, "nothing was compared");
    let report = report(&[Outcome::Same]).with_own(vec![own]);
    assert_eq!(ending(&report), Ending::Pass);
    assert!(terminal(&report).contains("  access/nobody: Nobody gets | in"));
    let table = markdown(&report);
    assert!(table.contains("## Access policy: what strict refuses"));
    assert!(table.contains("- access/nobody: Nobody gets \\| in"));
    assert!(table.contains("| All | 1 | 0 | 0 | 0 | 0 |"));
    assert!(!table.contains("Everything was compared"));
}

#[test]
fn a_ci_system_is_told_what_was_not_compared_and_what_did_not_come_to_its_end() {
    let mut part = verdict("enrollment/x", Outcome::Same);
    part.not_compared.insert(4, "no database here".to_owned());
    let judgement = Judgement {
        verdicts: vec![part],
        expired_entries: Vec::new(),
    };
    let report = RunReport::new(Provenance::default(), judgement, &Register::default());
    assert!(junit(&report).unwrap().contains("in part: no database here"));
    let partial = Partial { ran: 1, chosen: 28 };
    let text = junit(&report.interrupted(Some(partial))).unwrap();
    assert!(
        text.contains("it was interrupted after 1 of 28 scenarios"),
        "{text}"
    );
    assert!(text.contains("errors=\"1\""), "{text}");
}

#[test]
fn a_stored_report_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let report = report(&[Outcome::Different, Outcome::NotCompared]);
    let folder = Folder::take(folder.path()).unwrap();
    folder.write(&report).unwrap();
    folder.write(&report).unwrap();
    let path = folder.json();
    assert_eq!(read(&path).unwrap(), report);
    std::fs::write(&path, format!("{{\"format\": {}}}", FORMAT + 1)).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("too new"));
}

#[test]
fn reports_for_people_show_what_differs() {
    let report = report(&[Outcome::Different, Outcome::NotCompared]);
    let text = terminal(&report);
    assert!(
        text.contains("step 2 `GET x`  GET /x")
            && text.contains("legacy  null")
            && text.contains("engine  (nothing)")
    );
    let table = markdown(&report);
    assert!(table.contains(
        "| Area | Defect or decision | Legacy behaviour | Engine behaviour | Why | Places | Since |"
    ));
    assert!(table.contains(
        "| Enrollment | **Not accepted** | <code>null</code> | <code>(nothing)</code> | enrollment/x, step 2 `GET x`"
    ));
    assert!(table.contains("- no \\| server: 0 steps in 1 scenarios"));
    assert!(table.contains("| GitHub | | | | Nothing was compared | 0 | |"));
}

/// What one side showed: an answer, a connection, an acknowledgement and an event.
fn transcript(status: u16, event: Option<serde_json::Value>) -> Transcript {
    let seen = [
        (
            "GET /x?a=1 as admin",
            Seen::Answer {
                line: StatusLine {
                    version: "1.1".to_owned(),
                    status,
                    reason: "OK".to_owned(),
                },
                headers: vec![("Content-Type".to_owned(), "text/plain".to_owned())],
                body: Body::Text("hello".to_owned()),
                length: 5,
                form: None,
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
        last_step: 4,
        observations: observations.collect(),
        ..Transcript::default()
    }
}

#[test]
fn the_reports_of_a_small_transcript() {
    let legacy = transcript(200, Some(json!({"success": true})));
    let engine = transcript(503, None);
    let spans = BothSpans::of_replay(&[(1, 1000), (2, 2000), (3, 3000), (4, 4000)]);
    let names = StepNames::new([
        "GET x",
        "ui connects",
        "ui emits macro_status",
        "ui receives macro_status",
    ]);
    let ran = Ran::compare(&normalize(&legacy), &normalize(&engine), &spans, names);
    let day = jiff::civil::date(2026, 11, 25);
    let judgement = judge(&Register::default(), &[ran], day);
    let provenance = Provenance {
        legacy: "legacy 6df391f21a63".to_owned(),
        engine: "engine 0".to_owned(),
        revision: "revision 0".to_owned(),
        parity: "parity 0".to_owned(),
        date: day.to_string(),
    };
    let report = RunReport::new(provenance, judgement, &Register::default());
    insta::assert_snapshot!("terminal", terminal(&report));
    insta::assert_snapshot!("markdown", markdown(&report));
}

fn note(id: &str, defect: &str, area: Area) -> EntryNote {
    EntryNote {
        id: id.to_owned(),
        defect: defect.to_owned(),
        area,
        legacy_behaviour: "It crashes.".to_owned(),
        engine_behaviour: format!("It answers 400 for {id}."),
        reason: "A crash is no answer.".to_owned(),
        since: "2026-11-25".to_owned(),
        owner: None,
        ticket: None,
        expires: None,
        accepted: 0,
    }
}

#[test]
fn the_table_has_one_row_a_defect_and_its_places_below() {
    let shown = |scenario: &str, places: &[(&str, u32)]| {
        let mut verdict = verdict(scenario, Outcome::Accepted);
        let difference = |step: u32| Difference {
            scenario: scenario.to_owned(),
            step,
            label: String::new(),
            path: "/status".to_owned(),
            kind: Kind::Value,
            legacy: Some(json!(500)),
            engine: Some(json!(400)),
        };
        verdict.accepted = places
            .iter()
            .map(|(id, step)| ((*id).to_owned(), difference(*step)))
            .collect();
        verdict
    };
    // Two steps, so what the server left is the fifth.
    let verdicts = vec![
        shown("enrollment/a", &[("one", 1), ("one", 1), ("two", 2), ("one", 5)]),
        shown("enrollment/b", &[("one", 1), ("one", 5)]),
        shown("enrollment/c", &[("one", 5)]),
        shown("enrollment/d", &[]),
    ];
    let judgement = Judgement {
        verdicts,
        expired_entries: Vec::new(),
    };
    let mut report = RunReport::new(Provenance::default(), judgement, &Register::default());
    report.entries = vec![
        note("one", "X-1", Area::Enrollment),
        note("other", "X-2", Area::Enrollment),
        note("two", "X-1", Area::Other),
    ];
    let table = markdown(&report);
    let row = "| Enrollment, Other | X-1 | It crashes. | (1) It answers 400 for one.<br>(2) It answers 400 for two. | \
               A crash is no answer. | 6 | 2026-11-25 |";
    assert!(table.contains(row), "{table}");
    assert!(
        table.contains("| Enrollment | X-2 | It crashes. | It answers 400 for other. |"),
        "{table}"
    );
    let places = table
        .split("### X-1")
        .nth(1)
        .unwrap()
        .split("---")
        .next()
        .unwrap();
    insta::assert_snapshot!(places, @r"
    - (1) `one`, 5 places
      - enrollment/a, enrollment/b: 1 `login admin`
      - all 4 scenarios of this run but enrollment/d: `left`
    - (2) `two`, 1 place
      - enrollment/a: 2 `GET x`

    ### X-2

    - `other`, not seen in this run
    ");
}

#[test]
fn a_terminal_shows_the_first_differences_of_a_scenario_and_how_many_more_there_are() {
    let one = |number: usize| Difference {
        scenario: "a/b".to_owned(),
        step: 1,
        label: "GET /x".to_owned(),
        path: format!("/headers/x-{number}"),
        kind: Kind::Missing,
        legacy: Some(json!("y")),
        engine: None,
    };
    let shown = |count: usize| {
        let mut report = report(&[Outcome::Different]);
        for verdict in &mut report.judgement.verdicts {
            verdict.different = (0..count).map(one).collect();
        }
        terminal(&report)
    };
    let all = shown(100);
    assert!(
        all.contains("/headers/x-99 ") && !all.contains("more of this scenario"),
        "{all}"
    );
    let more = shown(10_000);
    assert!(more.contains("/headers/x-99 ") && !more.contains("/headers/x-100 "));
    assert!(more.contains("\n  and 9900 more of this scenario, which the reports list\n"));
}
