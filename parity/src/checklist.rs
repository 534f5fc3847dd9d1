//! `scenarios/checklist.toml`: what has to be seen before a cut-over. Scenarios name the items that they show.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;

use crate::{
    register::Outcome,
    report::{self, RunReport},
    scenario::library::{self, Entry},
};

/// The checklist's file in the folder of scenarios.
pub const FILE: &str = "checklist.toml";
/// Where the scenarios are that servers take which others use.
const SHARED: &str = "staging/";
/// The version that is read.
const FORMAT: u32 = 1;

/// The checklist cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChecklistError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no checklist, or does not fit the scenarios: every fault.
    #[error("{0}")]
    Faulty(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    item: Vec<Written>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    what: String,
    by_hand: Option<String>,
}

/// Something that has to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What scenarios call it.
    pub id: String,
    /// What has to be seen.
    pub what: String,
    /// How a person looks at it, where no scenario can show it.
    pub by_hand: Option<String>,
    /// The scenarios that show it.
    pub scenarios: Vec<String>,
}

/// What a run says about an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// These scenarios came out as expected.
    Proved(Vec<String>),
    /// These did not, or did not run.
    Open(Vec<String>),
    /// A person has to look.
    ByHand,
}

impl Item {
    /// What a run says about it; without one everything is open. Two servers that others use are shown by the scenarios that
    /// are made for them, recordings by all others: either of them is enough, and none may have come out otherwise.
    #[must_use]
    pub fn state(&self, report: Option<&RunReport>) -> State {
        if self.by_hand.is_some() {
            return State::ByHand;
        }
        let proved = |scenario: &String| -> Option<bool> {
            let mut verdicts = report?.judgement.verdicts.iter();
            let verdict = verdicts.find(|verdict| verdict.scenario == *scenario)?;
            let is_whole = report::left_out(report?, verdict).is_empty();
            match verdict.outcome {
                Outcome::Same | Outcome::Accepted if is_whole => Some(true),
                // What was held against itself alone proves nothing of the legacy, and refutes nothing.
                Outcome::Alone if is_whole => None,
                _ => Some(false),
            }
        };
        let those = |scenarios: &[&String], are_meant: fn(Option<bool>) -> bool| -> Vec<String> {
            let meant = scenarios.iter().filter(|scenario| are_meant(proved(scenario)));
            meant.map(|scenario| (*scenario).clone()).collect()
        };
        let failed = those(&self.scenarios.iter().collect::<Vec<_>>(), |proved| {
            proved == Some(false)
        });
        let (shared, own): (Vec<_>, Vec<_>) = self
            .scenarios
            .iter()
            .partition(|scenario| scenario.starts_with(SHARED));
        let is_whole =
            |group: &[&String]| !group.is_empty() && those(group, |proved| proved != Some(true)).is_empty();
        if !failed.is_empty() {
            State::Open(failed)
        } else if is_whole(&own) || is_whole(&shared) {
            let all: Vec<_> = self.scenarios.iter().collect();
            State::Proved(those(&all, |proved| proved == Some(true)))
        } else {
            let group = if own.is_empty() { &shared } else { &own };
            State::Open(those(group, |proved| proved != Some(true)))
        }
    }
}

/// Reads the checklist of a folder of scenarios.
///
/// # Errors
/// If it or the scenarios cannot be read, or they do not fit together.
pub fn load(scenarios: &Path) -> Result<Vec<Item>, ChecklistError> {
    let path = scenarios.join(FILE);
    let io = |path: &Path, source| ChecklistError::Io {
        path: path.display().to_string(),
        source,
    };
    let text = std::fs::read_to_string(&path).map_err(|source| io(&path, source))?;
    let entries = library::load(scenarios).map_err(|source| io(scenarios, source))?;
    read(&text, &entries).map_err(|faults| {
        let lines = faults.iter().map(|fault| format!("{}: {fault}", path.display()));
        ChecklistError::Faulty(lines.collect::<Vec<_>>().join("\n"))
    })
}

/// Reads a checklist; says everything that is wrong with it.
///
/// # Errors
/// Every fault.
pub fn read(text: &str, entries: &[Entry]) -> Result<Vec<Item>, Vec<String>> {
    let file: File = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
    if file.format != FORMAT {
        return Err(vec![format!(
            "format {} is not known, this parity reads {FORMAT}",
            file.format
        )]);
    }
    let mut faults = Vec::new();
    let mut items = Vec::new();
    let mut ids = BTreeSet::new();
    for written in file.item {
        let shown = entries.iter().filter_map(|entry| entry.scenario.as_ref().ok());
        let scenarios: Vec<String> = shown
            .filter(|scenario| scenario.checklist.contains(&written.id))
            .map(|scenario| scenario.name.clone())
            .collect();
        if scenarios.is_empty() == written.by_hand.is_none() {
            faults.push(if scenarios.is_empty() {
                format!(
                    "item `{}`: no scenario shows it, and it does not say how a person does (`by_hand`)",
                    written.id
                )
            } else {
                format!(
                    "item `{}`: scenarios show it, so `by_hand` has no place in it",
                    written.id
                )
            });
        }
        if !ids.insert(written.id.clone()) {
            faults.push(format!("item `{}` stands there twice", written.id));
        }
        items.push(Item {
            id: written.id,
            what: written.what,
            by_hand: written.by_hand,
            scenarios,
        });
    }
    for scenario in entries.iter().filter_map(|entry| entry.scenario.as_ref().ok()) {
        let unknown = scenario.checklist.iter().filter(|id| !ids.contains(*id));
        faults.extend(unknown.map(|id| {
            format!(
                "scenario {} names the item `{id}`, which is not there",
                scenario.name
            )
        }));
    }
    if faults.is_empty() { Ok(items) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{register::Verdict, report::Provenance};

    fn fleet() -> Vec<Entry> {
        library::load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios"))).unwrap()
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let text = "format = 1\n[[item]]\nid = \"jobs\"\nwhat = \"x\"\nby_hand = \"y\"\n[[item]]\nid = \"jobs\"\nwhat = \"x\"\n\
                    [[item]]\nid = \"nobody\"\nwhat = \"x\"\n";
        let faults = read(text, &fleet()).unwrap_err();
        let faults: Vec<_> = faults
            .iter()
            .filter(|fault| !fault.starts_with("scenario"))
            .collect();
        insta::assert_debug_snapshot!(faults, @r#"
        [
            "item `jobs`: scenarios show it, so `by_hand` has no place in it",
            "item `jobs` stands there twice",
            "item `nobody`: no scenario shows it, and it does not say how a person does (`by_hand`)",
        ]
        "#);
        assert!(read("format = 2\nitem = []\n", &[]).unwrap_err()[0].contains("format 2"));
    }

    fn item(by_hand: Option<&str>) -> Item {
        Item {
            id: "a".to_owned(),
            what: "b".to_owned(),
            by_hand: by_hand.map(str::to_owned),
            scenarios: vec!["staging/y".to_owned(), "x/y".to_owned()],
        }
    }

    /// A run in which these came out the same; those that are named twice have two sides.
    fn report(same: &[&str], both_sides: &[&str]) -> RunReport {
        let verdict = |scenario: &&str| Verdict {
            scenario: (*scenario).to_owned(),
            outcome: if both_sides.contains(scenario) {
                Outcome::Same
            } else {
                Outcome::Alone
            },
            steps: BTreeMap::new(),
            compared_steps: 1,
            alone_steps: None,
            accepted: Vec::new(),
            different: Vec::new(),
            expired: Vec::new(),
            unmet: Vec::new(),
            not_compared: BTreeMap::new(),
        };
        let mut report = RunReport::failed(Provenance::default(), String::new());
        report.judgement.verdicts = same.iter().map(verdict).collect();
        report
    }

    #[test]
    fn an_item_is_proved_by_all_of_its_scenarios_of_a_kind_with_both_sides() {
        assert_eq!(item(None).state(None), State::Open(vec!["x/y".to_owned()]));
        assert_eq!(item(Some("look")).state(None), State::ByHand);
        let proved = |by: &[&str]| State::Proved(by.iter().map(|one| (*one).to_owned()).collect());
        let both = ["x/y", "staging/y"];
        assert_eq!(
            item(None).state(Some(&report(&both, &both))),
            proved(&["staging/y", "x/y"])
        );
        assert_eq!(item(None).state(Some(&report(&both, &["x/y"]))), proved(&["x/y"]));
        assert_eq!(
            item(None).state(Some(&report(&both, &["staging/y"]))),
            proved(&["staging/y"])
        );
    }

    #[test]
    fn what_was_held_against_itself_alone_ticks_nothing() {
        let alone = report(&["staging/y"], &[]);
        assert_eq!(
            item(None).state(Some(&alone)),
            State::Open(vec!["x/y".to_owned()])
        );
    }
}
