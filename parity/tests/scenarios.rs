//! The scenarios of the repository are whole, and a file that was written by the importer stays as it is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::path::Path;

use parity::scenario::{emit::to_yaml, library, verify};

#[test]
fn every_scenario_is_readable_and_refers_to_nothing_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let entries = library::load(&folder).unwrap();
    assert!(entries.len() >= 47);
    for entry in &entries {
        let scenario = entry
            .scenario
            .as_ref()
            .unwrap_or_else(|error| panic!("{}: {error}", entry.name));
        assert_eq!(verify::problems(scenario, entry.folder()), [], "{}", entry.name);
        let again = library::find(&folder, &entry.name).scenario.unwrap();
        assert_eq!(to_yaml(&again), to_yaml(scenario));
    }
}
