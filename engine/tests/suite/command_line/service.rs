//! What the package is made of: the service's readiness, its variables, and completions.

use std::{collections::BTreeSet, fs, os::unix::net::UnixDatagram, path::Path, time::Duration};

use borealis_engine::config::variables::KNOWN_VARIABLES;

use super::program::run;
use crate::testkit::process::{program, start};

/// How long what is sure to come may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn packaged(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn whoever_started_the_server_is_told_when_it_answers_and_when_it_stops() {
    let root = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut text = [0; 512];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let server = start(program(
        root.path(),
        &["serve"],
        &[("NOTIFY_SOCKET", path.to_str().unwrap())],
    ))
    .serving();
    assert_eq!(heard().trim(), "READY=1");
    assert_eq!(server.health(), 200);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(heard().trim(), "STOPPING=1");

    // Where nobody listens the server runs all the same.
    let gone = folder.path().join("gone");
    let server = start(program(
        root.path(),
        &["serve"],
        &[("NOTIFY_SOCKET", gone.to_str().unwrap())],
    ))
    .serving();
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn the_environment_file_names_every_variable_once_and_sets_none() {
    let text = packaged("engine.env");
    let mut named = Vec::new();
    let mut is_explained = false;
    for line in text.lines() {
        assert!(
            line.is_empty() || line.starts_with('#'),
            "this would be set: {line}"
        );
        if let Some(assignment) = line
            .strip_prefix("#BOREALIS_")
            .or_else(|| line.strip_prefix("#GITHUB_"))
        {
            let name = assignment.split('=').next().unwrap();
            assert!(assignment.contains('='), "{line}");
            assert!(is_explained, "nothing is said about {name}");
            named.push(line.trim_start_matches('#').split('=').next().unwrap().to_owned());
            is_explained = false;
        } else {
            is_explained = line.starts_with("# ") || (is_explained && !line.is_empty());
        }
    }
    // Variables of the legacy and its agents, which the server knows and does not use.
    let unused = [
        "BOREALIS_AGENT_CERT_ROOT",
        "BOREALIS_API_GROUPS",
        "BOREALIS_ENGINE_API",
    ];
    let known: BTreeSet<_> = KNOWN_VARIABLES
        .iter()
        .filter(|name| !unused.contains(name))
        .map(|name| (*name).to_owned())
        .collect();
    let mut listed: BTreeSet<_> = named.iter().cloned().collect();
    assert_eq!(listed.len(), named.len(), "one is named twice: {named:?}");
    listed.remove("GITHUB_TOKEN");
    assert_eq!(listed, known);
}

#[test]
fn the_values_that_the_environment_file_shows_can_be_used() {
    let root = tempfile::tempdir().unwrap();
    let text = packaged("engine.env");
    for line in text.lines() {
        let Some((name, value)) = line.strip_prefix('#').and_then(|line| line.split_once('=')) else {
            continue;
        };
        let is_variable = name.starts_with("BOREALIS_") && !name.contains(' ');
        if !is_variable || value.is_empty() || ["BOREALIS_ROOT", "BOREALIS_DATABASE_PATH"].contains(&name) {
            continue;
        }
        let told = run(root.path(), &["check"], &[(name, value)]);
        assert_ne!(told.code, Some(2), "{name}: {told:?}");
    }
}

#[test]
fn the_unit_says_what_the_program_does() {
    let unit = packaged("borealis-engine.service");
    for line in [
        "Type=notify",
        "User=borealis",
        "ExecStart=/usr/bin/borealis-engine serve",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "EnvironmentFile=/etc/borealis/engine.env",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "UMask=0077",
        // Exit code 2 is a setting that has to be corrected: to try again helps nobody.
        "RestartPreventExitStatus=2",
    ] {
        assert!(unit.lines().any(|known| known == line), "{line}");
    }
    assert!(unit.contains("LimitNOFILE="), "{unit}");
    // systemd would change the owner of an existing root with it.
    assert!(!unit.contains("StateDirectory="), "{unit}");
}

#[test]
fn shells_get_their_completions_without_a_root_folder() {
    let root = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(root.path(), &["completions", shell], &[("BOREALIS_PORT", "none")]).done();
        for word in ["install-codes", "restore", "borealis-engine"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(root.path(), &["completions", "vms"], &[]).code, Some(2));
    assert!(fs::read_dir(root.path()).unwrap().next().is_none());
}
