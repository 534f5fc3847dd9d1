//! `scenarios/survivors.toml`: which mutants nobody notices, how many they are, and why that is right; and
//! `scenarios/mutants.toml`: how many mutants there have to be.
//!
//! Long because reading both files, holding a campaign against them and noting its numbers belong together, with their tests.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Survivor, operators, tally::Tally};
use crate::{
    mask::Mask,
    register::{Register, covers},
};

/// The format of both files.
const FORMAT: u32 = 1;
/// The file of the survivors.
pub const SURVIVORS: &str = "survivors.toml";
/// The file of the counts.
pub const MUTANTS: &str = "mutants.toml";
/// The part of a hundred that has to be noticed.
pub const LEAST_RATE: f64 = 99.0;
/// So many survivors without a reason are listed.
const MOST_LISTED: usize = 20;

/// Why one of the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// Survivors with one reason.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// The operators.
    operators: Vec<String>,
    /// Patterns of paths; a segment `*` stands for exactly one segment.
    paths: Vec<String>,
    /// Scenarios, where not all are meant.
    #[serde(default)]
    scenarios: Vec<String>,
    /// The row of [`Mask`]'s table that hides them. Either this or an entry.
    #[serde(default)]
    mask: Option<String>,
    /// The entry of the register that accepts whatever stands there.
    #[serde(default)]
    entry: Option<String>,
    /// How many there are, exactly. Either this or `most`.
    count: Option<usize>,
    /// How many there are at most, where it depends on the moment at which something arrived.
    most: Option<usize>,
    /// Why nobody needs to notice them.
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SurvivorsFile {
    format: u32,
    #[serde(default)]
    survivors: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MutantsFile {
    format: u32,
    #[serde(default)]
    mutants: BTreeMap<String, BTreeMap<String, usize>>,
}

/// What the campaign's outcome is held against.
#[derive(Debug)]
pub struct Review {
    folder: PathBuf,
    groups: Vec<Group>,
    mutants: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Group {
    fn explains(&self, survivor: &Survivor) -> bool {
        self.operators.iter().any(|one| one == survivor.operator)
            && self.paths.iter().any(|one| covers(one, &survivor.path))
            && (self.scenarios.is_empty() || self.scenarios.contains(&survivor.scenario))
    }
}

fn read(path: &Path) -> Result<String, ReviewError> {
    std::fs::read_to_string(path).map_err(|source| ReviewError::Io {
        path: path.to_owned(),
        source,
    })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, ReviewError> {
    toml::from_str(text).map_err(|error| ReviewError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

impl Review {
    /// Reads both files of the folder of scenarios. What hides a survivor must be known: a mask, or an entry of the
    /// register.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn load(folder: &Path, register: &Register) -> Result<Self, ReviewError> {
        let (survivors, mutants) = (folder.join(SURVIVORS), folder.join(MUTANTS));
        let groups: SurvivorsFile = parse(&survivors, &read(&survivors)?)?;
        let counts: MutantsFile = parse(&mutants, &read(&mutants)?)?;
        let unreadable = |path: &Path, reason: String| ReviewError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        for (path, format) in [(&survivors, groups.format), (&mutants, counts.format)] {
            if format != FORMAT {
                let reason = format!("format {format}, but this parity reads {FORMAT}");
                return Err(unreadable(path, reason));
            }
        }
        for (at, group) in groups.survivors.iter().enumerate() {
            let known = |name: &String| {
                operators::ALL
                    .iter()
                    .copied()
                    .flatten()
                    .any(|one| one.name == name)
            };
            if let Some(unknown) = group.operators.iter().find(|name| !known(name)) {
                let reason = format!("group {}: no operator is called {unknown}", at + 1);
                return Err(unreadable(&survivors, reason));
            }
            match (&group.mask, &group.entry) {
                (Some(mask), None) if Mask::ALL.iter().any(|known| known.row().id == mask) => {}
                (None, Some(entry)) if register.entries.iter().any(|known| known.id == *entry) => {}
                (Some(unknown), None) => {
                    let reason = format!("group {}: parity has no mask {unknown}", at + 1);
                    return Err(unreadable(&survivors, reason));
                }
                (None, Some(unknown)) => {
                    let reason = format!("group {}: the register has no entry {unknown}", at + 1);
                    return Err(unreadable(&survivors, reason));
                }
                _ => {
                    let reason = format!(
                        "group {}: either `mask` or `entry` says what hides these survivors",
                        at + 1
                    );
                    return Err(unreadable(&survivors, reason));
                }
            }
            if group.count.is_some() == group.most.is_some() {
                let reason = format!(
                    "group {}: either `count` or `most` says how many there are",
                    at + 1
                );
                return Err(unreadable(&survivors, reason));
            }
            if group.reason.trim().is_empty() {
                return Err(unreadable(&survivors, format!("group {} has no reason", at + 1)));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            groups: groups.survivors,
            mutants: counts.mutants,
        })
    }

    fn by_group<'t>(&self, tally: &'t Tally) -> (Vec<usize>, Vec<&'t Survivor>) {
        let mut counts = vec![0; self.groups.len()];
        let mut unexplained = Vec::new();
        for survivor in tally.survivors() {
            match self.groups.iter().position(|group| group.explains(survivor)) {
                Some(at) => counts.get_mut(at).into_iter().for_each(|count| *count += 1),
                None => unexplained.push(survivor),
            }
        }
        (counts, unexplained)
    }

    /// Everything that is not as it should be. The numbers are held against the files only if `whole`: every scenario was
    /// chosen.
    pub fn faults(&self, tally: &Tally, whole: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let (counts, unexplained) = self.by_group(tally);
        for survivor in unexplained.iter().take(MOST_LISTED) {
            let Survivor {
                operator,
                scenario,
                part,
                path,
            } = survivor;
            faults.push(format!("nobody notices {operator} in {scenario}, {part}: {path}"));
        }
        if let Some(more) = unexplained
            .len()
            .checked_sub(MOST_LISTED)
            .filter(|more| *more > 0)
        {
            faults.push(format!(
                "and {more} more survivors that {SURVIVORS} gives no reason for (--json lists all)"
            ));
        }
        if !whole {
            return faults;
        }
        for (at, (group, count)) in self.groups.iter().zip(counts).enumerate() {
            let noted = match (group.count, group.most) {
                (Some(exactly), _) if exactly != count => exactly.to_string(),
                (None, Some(most)) if most < count => format!("at most {most}"),
                _ => continue,
            };
            let (operators, paths) = (group.operators.join(", "), group.paths.join(", "));
            faults.push(format!(
                "{SURVIVORS}, group {}: {count} survivors, but {noted} are noted ({operators} in {paths})",
                at + 1,
            ));
        }
        for (operator, areas) in &self.mutants {
            for (area, least) in areas {
                let made = tally
                    .counts()
                    .get(operator.as_str())
                    .and_then(|areas| areas.get(area));
                let made = made.map_or(0, |count| count.mutants);
                if made < *least {
                    faults.push(format!(
                        "{MUTANTS}: {made} mutants of {operator} in {area}, but {least} are noted"
                    ));
                }
            }
        }
        let rate = tally.whole().rate();
        if rate < LEAST_RATE {
            faults.push(format!(
                "{rate:.2} % of the mutants are noticed, but {LEAST_RATE} % have to be"
            ));
        }
        faults
    }

    /// Notes the numbers of this campaign in both files. Reasons are written by hand.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn note(&self, tally: &Tally) -> Result<(), ReviewError> {
        let mut mutants = format!(
            "# How many mutants `parity prove` makes, by operator and area: fewer are a failure.\n\
             # `parity prove --note` writes this file.\nformat = {FORMAT}\n\n[mutants]\n"
        );
        for (operator, areas) in tally.counts() {
            let areas: Vec<String> = areas
                .iter()
                .map(|(area, count)| format!("{area} = {}", count.mutants))
                .collect();
            // A String takes whatever is written to it.
            let _ = writeln!(mutants, "{operator} = {{ {} }}", areas.join(", "));
        }
        let (counts, _) = self.by_group(tally);
        let exact = self.groups.iter().zip(counts);
        let mut counts = exact.filter_map(|(group, count)| group.count.map(|_| count));
        let survivors = self.folder.join(SURVIVORS);
        let noted: String = read(&survivors)?
            .lines()
            .map(
                |line| match line.strip_prefix("count = ").and_then(|_| counts.next()) {
                    Some(count) => format!("count = {count}\n"),
                    None => format!("{line}\n"),
                },
            )
            .collect();
        for (path, text) in [(survivors, noted), (self.folder.join(MUTANTS), mutants)] {
            std::fs::write(&path, text).map_err(|source| ReviewError::Io { path, source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(survivors: usize, mutants: usize) -> Tally {
        let mut tally = Tally::default();
        for at in 0..mutants {
            tally.count("status", "platform/x", at >= survivors, || Survivor {
                operator: "status",
                scenario: "platform/x".to_owned(),
                part: "step 1".to_owned(),
                path: "answer/status".to_owned(),
            });
        }
        tally
    }

    fn review(survivors: &str, mutants: &str) -> (tempfile::TempDir, Result<Review, ReviewError>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(SURVIVORS), format!("format = 1\n{survivors}")).unwrap();
        std::fs::write(
            folder.path().join(MUTANTS),
            format!("format = 1\n[mutants]\n{mutants}"),
        )
        .unwrap();
        let review = Review::load(folder.path(), &Register::default());
        (folder, review)
    }

    const GROUP: &str = "[[survivors]]\noperators = [\"status\"]\npaths = [\"answer/*\"]\nmask = \"moment\"\ncount = 1\nreason = \"R\"\n";

    #[test]
    fn a_survivor_without_a_reason_and_one_that_survives_no_longer_are_faults() {
        let (_folder, review) = review(GROUP, "status = { platform = 200 }\n");
        let review = review.unwrap();
        assert_eq!(review.faults(&tally(1, 200), true), [""; 0]);
        assert_eq!(review.faults(&tally(2, 200), true).len(), 1, "one more");
        assert_eq!(review.faults(&tally(0, 200), true).len(), 1, "one less");
        assert_eq!(review.faults(&tally(1, 199), true).len(), 1, "fewer mutants");
        assert_eq!(
            review.faults(&tally(1, 90), false),
            [""; 0],
            "a part of the scenarios"
        );
        let (_folder, none) = self::review("", "");
        assert_eq!(
            none.unwrap().faults(&tally(1, 200), false).len(),
            1,
            "without a reason"
        );
    }

    #[test]
    fn where_moments_decide_there_are_at_most_so_many() {
        let (folder, review) = review(&GROUP.replace("count = 1", "most = 2"), "");
        let review = review.unwrap();
        for (survivors, faults) in [(0, 0), (2, 0), (3, 1)] {
            assert_eq!(
                review.faults(&tally(survivors, 1000), true).len(),
                faults,
                "{survivors}"
            );
        }
        review.note(&tally(1, 1000)).unwrap();
        let text = std::fs::read_to_string(folder.path().join(SURVIVORS)).unwrap();
        assert!(text.contains("\nmost = 2\n"), "{text}");
    }

    #[test]
    fn too_few_that_are_noticed_are_a_fault() {
        let (_folder, review) = review(&GROUP.replace("count = 1", "count = 3"), "");
        let review = review.unwrap();
        assert_eq!(review.faults(&tally(3, 300), true), [""; 0]);
        assert_eq!(review.faults(&tally(3, 299), true).len(), 1);
    }

    #[test]
    fn noting_writes_the_numbers_and_keeps_the_reasons() {
        let (folder, review) = review(GROUP, "status = { platform = 200 }\n");
        review.unwrap().note(&tally(5, 1000)).unwrap();
        let noted = Review::load(folder.path(), &Register::default()).unwrap();
        assert_eq!(noted.faults(&tally(5, 1000), true), [""; 0]);
        assert_eq!(noted.faults(&tally(5, 999), true).len(), 1);
        let text = std::fs::read_to_string(folder.path().join(SURVIVORS)).unwrap();
        assert_eq!(
            text,
            format!("format = 1\n{}", GROUP.replace("count = 1", "count = 5"))
        );
    }

    #[test]
    fn files_with_mistakes_are_refused() {
        for wrong in [
            GROUP.replace("[\"status\"]", "[\"statis\"]"),
            GROUP.replace("\"R\"", "\" \""),
            GROUP.replace("count = 1\n", "count = 1\nmost = 2\n"),
            GROUP.replace("mask = \"moment\"\n", ""),
            GROUP.replace("\"moment\"", "\"momentum\""),
            GROUP.replace("mask = \"moment\"", "entry = \"no-such-entry\""),
            GROUP.replace("count = 1\n", ""),
        ] {
            let (_folder, review) = review(&wrong, "");
            assert!(review.is_err(), "{wrong}");
        }
    }
}
