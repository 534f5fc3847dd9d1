//! What `parity doctor` finds, and which cure it names.

use std::{fs, process::Command};

use super::{
    engine::{Serving, parity_toml},
    top,
};

/// Ends with, and says.
fn doctor(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_parity"))
        .current_dir(top())
        .arg("doctor")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

/// The line about a subject of a side.
fn line<'a>(text: &'a str, side: &str, subject: &str) -> &'a str {
    let mut lines = text.lines();
    let wanted = format!("{side} ");
    lines
        .find(|line| line.contains(&wanted) && line.contains(&format!(" {subject}: ")))
        .unwrap_or_else(|| panic!("nothing about {subject} of {side} in\n{text}"))
}

#[test]
fn two_servers_that_fit_have_no_problem() {
    let start = || Serving::start_with_web_client("legacy");
    let (one, other) = (start(), start());
    let (code, text) = doctor(&["--legacy", &one.url(), "--engine", &other.url()]);
    assert_eq!(code, 0, "{text}");
    for (side, subject) in [
        ("legacy", "reachable"),
        ("engine", "reachable"),
        ("engine", "operator"),
        ("both", "clocks"),
        ("both", "signing secret"),
        ("legacy", "web client"),
        ("engine", "web client"),
        ("engine", "agents' certificate"),
        ("parity", "open files"),
    ] {
        assert!(line(&text, side, subject).starts_with("ok"), "{text}");
    }
    assert!(
        text.trim_end()
            .ends_with("0 problems, 0 warnings, 11 as they should be"),
        "{text}"
    );
}

#[test]
fn a_web_client_that_the_legacy_has_must_be_at_the_engine_too() {
    let (with, without) = (Serving::start_with_web_client("legacy"), Serving::start("strict"));
    let (code, text) = doctor(&["--legacy", &with.url(), "--engine", &without.url()]);
    assert_eq!(code, 1, "{text}");
    assert!(line(&text, "legacy", "web client").starts_with("ok"), "{text}");
    let found = line(&text, "engine", "web client");
    assert!(found.starts_with("problem") && found.contains("404"), "{text}");
    assert!(
        text.contains("cure: put the built web client into Data/Server/web-interface/build"),
        "{text}"
    );
    assert!(
        line(&text, "engine", "access policy").starts_with("warning"),
        "{text}"
    );
    assert!(
        text.contains("cure: for the comparison alone start it with BOREALIS_ACCESS_POLICY=legacy"),
        "{text}"
    );

    let (code, text) = doctor(&["--legacy", &without.url(), "--engine", &with.url()]);
    assert_eq!(code, 0, "the other way round nothing is lost: {text}");
    assert!(
        line(&text, "legacy", "web client").starts_with("warning"),
        "{text}"
    );
    assert!(line(&text, "engine", "web client").starts_with("ok"), "{text}");
}

#[test]
fn the_bundle_that_agents_have_must_verify_either_server() {
    let (one, other) = (Serving::start_over_tls(), Serving::start_over_tls());
    let look = |engine: &str, more: &[&str]| {
        let legacy = one.tls_url("127.0.0.1");
        let arguments = ["--legacy", &legacy, "--engine", engine, "--insecure"];
        doctor(&[&arguments, more].concat())
    };
    let of = |text: &str, side: &str| line(text, side, "agents' certificate").to_owned();

    let (_, text) = look(&one.tls_url("localhost"), &["--bundle", &one.bundle()]);
    assert!(of(&text, "legacy").starts_with("ok"), "{text}");
    assert!(of(&text, "engine").starts_with("ok"), "{text}");

    let (code, text) = look(&other.tls_url("127.0.0.1"), &["--bundle", &one.bundle()]);
    assert_eq!(code, 1, "{text}");
    assert!(of(&text, "legacy").starts_with("ok"), "{text}");
    assert!(
        of(&text, "engine").starts_with("problem"),
        "another server's: {text}"
    );
    assert!(
        text.contains("cure: have the server, and a proxy in front of it, show the certificate"),
        "{text}"
    );

    let (_, text) = look(&one.tls_url("127.0.0.1"), &[]);
    assert!(of(&text, "engine").starts_with("warning"), "{text}");
    assert!(
        text.contains("cure: name a copy of Certificates/Server/borealis-server-bundle.pem (--bundle FILE)"),
        "{text}"
    );

    let (_, text) = look(&one.tls_url("127.0.0.1"), &["--bundle", "Cargo.toml"]);
    assert!(of(&text, "engine").starts_with("problem"), "{text}");
    assert!(text.contains("cure: name a file that can be read"), "{text}");
}

#[test]
fn another_secret_and_a_server_that_is_not_there_are_told_with_their_cures() {
    let folder = tempfile::tempdir().unwrap();
    let one = Serving::start("legacy");
    // A process, whose secret is another one.
    let file = parity_toml(&folder, "");
    let (code, text) = doctor(&[
        "--legacy",
        &one.url(),
        "--engine",
        "engine",
        "--parity-toml",
        &file,
    ]);
    assert_eq!(code, 0, "{text}");
    assert!(
        line(&text, "both", "signing secret").starts_with("warning"),
        "{text}"
    );
    assert!(
        text.contains("cure: give the engine the legacy's BOREALIS_SECRET"),
        "{text}"
    );

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let (code, text) = doctor(&["--legacy", &one.url(), "--engine", &url]);
    assert_eq!(code, 1, "{text}");
    assert!(
        line(&text, "engine", "reachable").starts_with("problem"),
        "{text}"
    );
    assert!(text.contains("cure: check that the server runs there"), "{text}");

    let (code, text) = doctor(&["--engine", "nowhere"]);
    assert_eq!(code, 2, "{text}");
}

#[test]
fn a_certificate_that_nobody_vouches_for_and_a_root_that_is_served_are_told_as_what_they_are() {
    let one = Serving::start_over_tls();
    let url = one.tls_url("localhost");
    let (code, text) = doctor(&["--engine", &url]);
    assert_eq!(code, 1, "{text}");
    let found = line(&text, "engine", "reachable");
    assert!(
        found.starts_with("problem") && found.contains("UnknownIssuer"),
        "{text}"
    );
    assert!(
        text.contains("cure: name the authority that issued its certificate"),
        "{text}"
    );

    // The server that answers is the one that works in the folder.
    let root = one.root().display().to_string();
    let folders = ["--legacy-root", &root, "--engine-root", &root];
    let bundle = one.bundle();
    let both = ["--legacy", &url, "--engine", &url, "--ca", &bundle];
    let (_, text) = doctor(&[&both[..], &folders].concat());
    assert!(line(&text, "engine", "other servers").starts_with("ok"), "{text}");
    assert!(!text.contains(" address: "), "{text}");
    // How the legacy is started is not known here.
    assert!(!text.contains("legacy  signing secret"), "{text}");
    assert!(line(&text, "legacy", "database").starts_with("ok"), "{text}");

    let plain = Serving::start("legacy");
    let (_, text) = doctor(&["--engine", &plain.url().replace("http://", "https://")]);
    assert!(
        text.contains("cure: check that the server speaks TLS there"),
        "{text}"
    );
}

#[test]
fn root_folders_are_looked_into_and_their_keys_held_against_each_other() {
    let (one, other) = (Serving::start("strict"), Serving::start("strict"));
    let (one, other) = (one.stop(), other.stop());
    let roots = |engine: &str| {
        let legacy = one.path().display().to_string();
        doctor(&[
            "--legacy-root",
            &legacy,
            "--engine-root",
            engine,
            "--format",
            "json",
        ])
    };
    let found = |text: &str, subject: &str| -> serde_json::Value {
        let findings: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut findings = findings.as_array().unwrap().iter();
        findings
            .find(|one| one["subject"] == subject && one["side"] == "both")
            .cloned()
            .unwrap_or_default()
    };
    const TOKENS: &str = "Server/Borealis/auth_keys/borealis-jwt-ed25519.key";
    let shown = other.path().display().to_string();
    let (code, text) = roots(&shown);
    assert_eq!(
        (code, &found(&text, TOKENS)["verdict"]),
        (1, &"problem".into()),
        "{text}"
    );
    assert!(
        found(&text, TOKENS)["found"]
            .as_str()
            .unwrap()
            .starts_with("another one: every device"),
        "{text}"
    );

    fs::copy(one.path().join(TOKENS), other.path().join(TOKENS)).unwrap();
    let (_, text) = roots(&shown);
    assert_eq!(found(&text, TOKENS)["verdict"], "ok", "{text}");

    // A folder that is no root at all has no keys that could be the same.
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().display().to_string();
    let both = tempfile::tempdir().unwrap();
    let (_, text) = doctor(&[
        "--legacy-root",
        &nowhere,
        "--engine-root",
        &both.path().display().to_string(),
        "--format",
        "json",
    ]);
    assert_eq!(found(&text, TOKENS)["verdict"], "warning", "{text}");

    fs::remove_file(other.path().join(TOKENS)).unwrap();
    let (code, text) = roots(&shown);
    assert_eq!(code, 1);
    assert!(
        found(&text, TOKENS)["found"]
            .as_str()
            .unwrap()
            .starts_with("the engine's root lacks it"),
        "{text}"
    );

    let (code, text) = roots(&one.path().display().to_string());
    assert_eq!(
        (code, &found(&text, "keys")["verdict"]),
        (0, &"ok".into()),
        "{text}"
    );
}
