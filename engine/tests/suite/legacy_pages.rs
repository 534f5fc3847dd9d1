//! The pages about the legacy are the specification that code, scenarios and the register cite: what is cited exists, and
//! links lead somewhere.
#![allow(clippy::string_slice, reason = "positions that were found in the same text")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What the ids of defects begin with.
const AREAS: &[&str] = &["ASM", "DEV", "ENR", "INV", "OPR", "PLT", "RT", "SCH"];
/// Where defects and decisions are cited.
const CITING: &[&str] = &["engine", "parity", "scenarios", "migrations"];
/// The pages at the root of the repository.
const ROOT_PAGES: &[&str] = &[
    "README.md",
    "STAGING_GUIDE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

/// The files below a folder whose name ends so.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
            files(&path, endings, found);
        } else if endings.contains(&ending) {
            found.push(path);
        }
    }
}

fn legacy_pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    files(&repository().join("engine/docs/legacy"), &["md"], &mut pages);
    assert!(!pages.is_empty());
    pages
}

/// Whether this is the id of a defect, as `ENR-8`.
fn is_defect(word: &str) -> bool {
    word.split_once('-').is_some_and(|(area, number)| {
        AREAS.contains(&area)
            && !number.is_empty()
            && number.chars().all(|character| character.is_ascii_digit())
    })
}

fn defects(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !character.is_ascii_alphanumeric() && character != '-')
        .filter(|word| is_defect(word))
}

/// The numbers right after the word `decision` or `decisions`: `26`, or `1 and 14`.
fn decisions(line: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for (position, word) in line.match_indices("ecision") {
        let rest = &line[position + word.len()..];
        let Some(rest) = rest.trim_start_matches('s').strip_prefix(' ') else {
            continue;
        };
        for word in rest.split([' ', ',']) {
            let end = word.find(|character: char| !character.is_ascii_digit());
            match word[..end.unwrap_or(word.len())].parse() {
                Ok(number) => numbers.push(number),
                Err(_) if word.is_empty() || word == "and" || word == "to" => continue,
                Err(_) => break,
            }
            if end.is_some() {
                break;
            }
        }
    }
    numbers
}

#[test]
fn every_defect_and_decision_that_is_cited_has_its_entry() {
    let (mut described, mut decided) = (BTreeSet::new(), BTreeSet::new());
    for page in legacy_pages() {
        let text = fs::read_to_string(&page).unwrap();
        for line in text.lines() {
            if let Some((id, _)) = line.strip_prefix("| ").and_then(|row| row.split_once(" | "))
                && is_defect(id)
            {
                assert!(described.insert(id.to_owned()), "{id} has two entries");
            }
            if page.ends_with("decisions.md")
                && let Some((number, _)) = line.split_once(". **")
            {
                decided.extend(number.parse::<u32>());
            }
        }
    }
    assert_eq!(decided, (1..=41).collect());

    let mut citing: Vec<PathBuf> = ROOT_PAGES.iter().map(|page| repository().join(page)).collect();
    for folder in CITING {
        files(
            &repository().join(folder),
            &["rs", "md", "toml", "yaml", "sql", "py"],
            &mut citing,
        );
    }
    let mut unknown = Vec::new();
    let mut cited = 0;
    for file in citing {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            for id in defects(line) {
                cited += 1;
                if !described.contains(id) {
                    unknown.push(format!("{}:{number}: {id}", file.display()));
                }
            }
            for decision in decisions(line) {
                if !decided.contains(&decision) {
                    unknown.push(format!("{}:{number}: decision {decision}", file.display()));
                }
            }
        }
    }
    assert!(
        cited > described.len(),
        "{cited} citations of {} defects",
        described.len()
    );
    assert!(unknown.is_empty(), "no entry for\n{}", unknown.join("\n"));
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut pages = legacy_pages();
    pages.extend(ROOT_PAGES.iter().map(|page| repository().join(page)));
    pages.extend(
        ["engine", "engine/socketio", "parity"].map(|folder| repository().join(folder).join("README.md")),
    );
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1) {
            let target = target.split([')', '#', ' ']).next().unwrap_or_default();
            let is_code = target.contains('"');
            let is_elsewhere = target.is_empty() || target.contains("://");
            if !is_code && !is_elsewhere && !page.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links to nowhere:\n{}", broken.join("\n"));
}
