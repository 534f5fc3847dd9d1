//! The main job as a test: every scenario against the engine, compared with what the legacy answered.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parity::{
    campaign::{Campaign, CampaignError, Places},
    register::{self, KnownScenarios, LegacySide, Outcome},
    report::{self, Ending},
    runner::{RunEvents, Silent},
    scenario::{library, model::Scenario},
};
use tokio::sync::Notify;

fn places() -> Places {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Places {
        scenarios: top.join("scenarios"),
        snapshots: top.join("snapshots"),
    }
}

/// The blocks of the register with patterns in place of exact places and values. Each says why; one more needs a reason here.
const LOOSE: usize = 10;
/// How many more there may be that count only with a legacy that runs.
const LOOSE_OF_SERVERS: usize = 10;

/// A day on which no entry has expired; the run itself is held against the real one.
const TODAY: jiff::civil::Date = jiff::civil::date(2026, 11, 25);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_differs_from_the_legacy_but_what_the_register_accepts() {
    let campaign = Campaign::prepare(places(), &[]).unwrap();
    assert!(!campaign.is_empty());
    let report = campaign.run(4, TODAY, Arc::new(Silent)).await;
    assert_eq!(
        report::ending(&report),
        Ending::Pass,
        "{}",
        report::terminal(&report)
    );
    let accepted = report
        .judgement
        .verdicts
        .iter()
        .filter(|verdict| verdict.outcome == Outcome::Accepted)
        .count();
    assert!(accepted > 0, "the register's entries are what this run rests on");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_register_the_mended_defects_show_as_differences() {
    let folder = tempfile::tempdir().unwrap();
    let area = folder.path().join("enrollment");
    std::fs::create_dir(&area).unwrap();
    std::fs::copy(
        places().scenarios.join("enrollment/codes_wrong_types.yaml"),
        area.join("codes_wrong_types.yaml"),
    )
    .unwrap();
    std::fs::write(folder.path().join("divergences.toml"), "format = 2\n").unwrap();
    let campaign = Campaign::prepare(
        Places {
            scenarios: folder.path().to_owned(),
            ..places()
        },
        &[],
    )
    .unwrap();
    let report = campaign.run(1, TODAY, Arc::new(Silent)).await;
    assert_eq!(report::ending(&report), Ending::Differs);
    let text = report::terminal(&report);
    assert!(
        text.contains("enrollment/codes_wrong_types") && text.contains("/status"),
        "{text}"
    );
}

/// What a run of a single scenario of this text shows at the terminal, and how it ends.
async fn alone(name: &str, text: &str) -> (String, Ending) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    std::fs::write(folder.path().join("divergences.toml"), "format = 2\n").unwrap();
    let places = Places {
        scenarios: folder.path().to_owned(),
        ..places()
    };
    let campaign = Campaign::prepare(places, &[]).unwrap();
    let report = campaign.run(1, TODAY, Arc::new(Silent)).await;
    (report::terminal(&report), report::ending(&report))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_start_is_no_success() {
    let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nenv: {BOREALIS_ACCESS_POLICY: none}\nsteps:\n  \
        - {get: /health, expect: {status: 200}}\n";
    let (shown, ending) = alone("platform/no_start.yaml", text).await;
    assert_eq!(ending, Ending::CouldNotRun);
    assert!(shown.contains("BOREALIS_ACCESS_POLICY"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_scenario_is_not_held_against_answers_to_another_one() {
    let name = "platform/health_and_its_methods.yaml";
    let text = std::fs::read_to_string(places().scenarios.join(name)).unwrap();
    let (shown, ending) = alone(name, &text.replacen("title: ", "title: Other words # ", 1)).await;
    assert_ne!(ending, Ending::CouldNotRun, "a title is no request: {shown}");
    let (shown, ending) = alone(name, &text.replacen("get: /health", "get: /healthy", 1)).await;
    assert_eq!(ending, Ending::CouldNotRun);
    assert!(shown.contains("the scenario was edited since"), "{shown}");
}

#[test]
fn an_unknown_name_is_told() {
    let error = Campaign::prepare(places(), &["enrolment".to_owned()]).unwrap_err();
    assert!(
        matches!(&error, CampaignError::Unknown(name) if name == "enrolment"),
        "{error}"
    );
}

/// Says when the third scenario begins: with one at a time two are over then.
struct Third(AtomicUsize, Notify);

impl RunEvents for Third {
    fn scenario_started(&self, _scenario: &Scenario) {
        if self.0.fetch_add(1, Ordering::Relaxed) == 2 {
            self.1.notify_one();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_reports_what_ran_and_that_it_is_partial() {
    let campaign = Campaign::prepare(places(), &["enrollment".to_owned()]).unwrap();
    let chosen = campaign.len();
    let third = Arc::new(Third(AtomicUsize::new(0), Notify::new()));
    let stop = {
        let third = Arc::clone(&third);
        async move { third.1.notified().await }
    };
    let report = campaign.run_until(stop, 1, TODAY, third).await;
    let partial = report.partial.unwrap();
    assert_eq!(
        (partial.chosen, report.judgement.verdicts.len()),
        (chosen, partial.ran)
    );
    assert!((1..chosen).contains(&partial.ran), "{partial}");
    assert_eq!(report::ending(&report), Ending::Interrupted);
}

#[test]
fn the_register_has_no_more_loose_blocks_than_it_had() {
    let entries = library::load(&places().scenarios).unwrap();
    let path = places().scenarios.join(register::FILE);
    let register = register::load(&path, &KnownScenarios::of(&entries)).unwrap();
    let loose = |of_servers: bool| -> Vec<&str> {
        let expectations = register.entries.iter().flat_map(|entry| &entry.expectations);
        expectations
            .filter(|one| (one.legacy_side == Some(LegacySide::Server)) == of_servers)
            .filter_map(|one| one.why_loose.as_deref())
            .collect()
    };
    assert_eq!(loose(false).len(), LOOSE, "{:#?}", loose(false));
    assert_eq!(loose(true).len(), LOOSE_OF_SERVERS, "{:#?}", loose(true));
    assert_eq!(register.loose(), LOOSE + LOOSE_OF_SERVERS);
}
