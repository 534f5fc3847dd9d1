//! Rules about the sources: which layer may use which, so that the picture in the README stays true, and files whose
//! length needs a reason.
#![allow(clippy::string_slice, reason = "positions that were found in the same text")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::testkit::files::everything_in;

/// Everybody may use these.
const GROUND: &[&str] = &["domain", "config"];
/// Each layer, and the layers that it may use beside itself and the ground.
const LAYERS: &[(&str, &[&str])] = &[
    // What a command prints as JSON is what the route answers.
    ("commands", &["services", "builders", "interfaces"]),
    ("interfaces", &["services", "builders"]),
    ("services", &["builders", "repositories", "integrations"]),
    ("builders", &[]),
    ("repositories", &[]),
    ("integrations", &[]),
    ("config", &[]),
    ("domain", &[]),
];
/// What puts the layers together, or looks at all of them before a start.
const COMPOSITION: &[&str] = &["main", "lib", "bootstrap", "preflight", "check"];
/// What does for one command what the bootstrap does for the server: it opens the database or the keys and makes the
/// one service that the command needs.
const COMMANDS: &[&str] = &[
    "commands.rs",
    "commands/database.rs",
    "commands/backup.rs",
    "commands/certificate.rs",
    "commands/restore.rs",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = everything_in(folder);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found
}

/// The code without comments, the texts and the tests in it; lines stay where they are.
fn code(source: &str) -> String {
    let tests = source
        .find("#[cfg(test)]\nmod ")
        .map_or(source, |position| &source[..position]);
    tests
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first names of what is used below here: `a` and `b` of `a::x` as of `{a::{x, y}, b}`, and where they stand.
fn first_names(code: &str, from: usize) -> Vec<(String, usize)> {
    let Some(list) = code[from..].strip_prefix('{') else {
        return vec![(name_at(code, from), from)];
    };
    let mut names = Vec::new();
    let mut depth = 0;
    let mut is_first = true;
    for (offset, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            _ if is_first && (character.is_alphanumeric() || character == '_') => {
                let position = from + 1 + offset;
                names.push((name_at(code, position), position));
                is_first = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at(code: &str, from: usize) -> String {
    code[from..]
        .chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

/// What a file of this layer uses that the layer may not, as `file:line: ...`.
fn forbidden(layer: &str, path: &str, source: &str) -> Vec<String> {
    if COMPOSITION.contains(&layer) || COMMANDS.contains(&path) {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!(
            "{path}: {layer} is no layer: say in this test what it may use"
        )];
    };
    let code = code(source);
    let names: BTreeSet<_> = code
        .match_indices("crate::")
        .flat_map(|(position, found)| first_names(&code, position + found.len()))
        .collect();
    names
        .into_iter()
        .filter(|(name, _)| {
            name.as_str() != layer
                && !allowed.contains(&name.as_str())
                && !(GROUND.contains(&name.as_str()) && layer != "domain")
        })
        .map(|(name, position)| {
            let line = code[..position].lines().count();
            format!("{path}:{line}: {layer} may not use {name}")
        })
        .collect()
}

#[test]
fn arrows_point_downward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let files = sources(&root);
    for file in &files {
        let path = file.strip_prefix(&root).unwrap().display().to_string();
        if path.ends_with("tests.rs") || path.contains("/tests/") || path.starts_with("testkit") {
            continue;
        }
        let layer = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        found.extend(forbidden(&layer, &path, &fs::read_to_string(file).unwrap()));
    }
    assert!(files.len() > 100, "the sources are not where this test looks");
    found.sort();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_way_to_write_an_arrow_is_seen() {
    let source = "use crate::{\n    domain::clock,\n    services::{\n        audit, github::X,\n    },\n};\n// crate::interfaces\n\
                  fn f() { crate::repositories::x() }\n#[cfg(test)]\nmod tests { use crate::interfaces; }";
    assert_eq!(
        forbidden("builders", "builders/a.rs", source),
        [
            "builders/a.rs:8: builders may not use repositories",
            "builders/a.rs:3: builders may not use services"
        ]
    );
    assert_eq!(
        forbidden("services", "services/a.rs", source),
        Vec::<String>::new()
    );
    assert_eq!(
        forbidden("domain", "domain/a.rs", "use crate::config::settings;"),
        ["domain/a.rs:1: domain may not use config"]
    );
    assert_eq!(forbidden("main", "main.rs", source), Vec::<String>::new());
}

/// The files of all three crates, with what they hold.
fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "socketio/src", "../parity/src"] {
        found.extend(sources(&root.join(folder)));
    }
    assert!(found.len() > 200, "the sources are not where this test looks");
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).unwrap();
        (path, source)
    };
    found.into_iter().map(read).collect()
}

/// Whether a file's own comment has a line that begins so.
fn says(source: &str, beginning: &str) -> bool {
    source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .any(|line| line.starts_with(beginning))
}

#[test]
fn a_long_file_says_why() {
    let silent: Vec<_> = all_sources()
        .into_iter()
        .filter(|(_, source)| source.lines().count() > 400 && !says(source, "//! Long because "))
        .map(|(path, _)| path)
        .collect();
    assert!(
        silent.is_empty(),
        "more than 400 lines, and no `//! Long because`: {silent:#?}"
    );
}

/// The root of a crate and a file that names the files of its folder may be short; any other belongs to its neighbour,
/// or there is a reason.
#[test]
fn a_short_file_says_why() {
    let is_root = |path: &Path| {
        path.ends_with("main.rs") || path.ends_with("lib.rs") || path.with_extension("").is_dir()
    };
    let silent: Vec<_> = all_sources()
        .into_iter()
        .filter(|(path, source)| {
            source.lines().count() < 25 && !is_root(path) && !says(source, "//! Short because ")
        })
        .map(|(path, _)| path)
        .collect();
    assert!(
        silent.is_empty(),
        "fewer than 25 lines, and no `//! Short because`: {silent:#?}"
    );
}
