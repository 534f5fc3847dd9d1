//! What the access policy `strict` refuses: every scenario that the legacy has nothing to compare with runs against the
//! engine, and what it shows must be what was approved. `cargo insta review`, or `INSTA_UPDATE=always cargo test -p
//! parity --test access` and a look at the diff, approves a change.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use parity::{
    approved,
    normalize::normalize,
    runner::{Silent, run_embedded},
    scenario::{
        library::{self, Entry},
        model::Scenario,
    },
    transcript::Seen,
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every scenario of the project's own, with the folder that its files lie in.
fn own() -> Vec<(Scenario, PathBuf)> {
    let read = |entry: Entry| {
        let folder = entry.folder().to_owned();
        (entry.scenario.unwrap(), folder)
    };
    let entries = library::load(&folder("../scenarios")).unwrap();
    let all = entries.into_iter().map(read);
    all.filter(|(scenario, _)| !scenario.has_legacy()).collect()
}

fn approved_name(scenario: &Scenario) -> String {
    scenario.name.replace('/', "__")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_shows_what_was_approved() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut shown = Vec::new();
    for (scenario, folder) in own() {
        let transcript = run_embedded(&scenario, &folder, &Silent).await.unwrap();
        for observation in &transcript.observations {
            if let Seen::Failed { reason } = &observation.seen {
                panic!("{}, step {}: {reason}", scenario.name, observation.step);
            }
        }
        assert_eq!(transcript.missed, [], "{}", scenario.name);
        let text = approved::render(&scenario, &normalize(&transcript), &transcript.notices);
        shown.push((approved_name(&scenario), text));
    }
    assert!(!shown.is_empty());
    settings.bind(|| {
        for (name, text) in shown {
            insta::assert_snapshot!(name, text);
        }
    });
}

#[test]
fn nothing_is_approved_that_no_scenario_shows() {
    let names: BTreeSet<String> = own()
        .iter()
        .map(|(scenario, _)| approved_name(scenario))
        .collect();
    let approved: BTreeSet<String> = std::fs::read_dir(folder("tests/snapshots"))
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().to_string_lossy().into_owned();
            name.strip_suffix(".snap").map(str::to_owned)
        })
        .collect();
    assert_eq!(approved, names);
}
