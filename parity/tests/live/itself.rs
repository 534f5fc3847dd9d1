//! The engine agrees with itself, wherever it runs.

use std::process::Command;

use super::{
    engine::{Serving, parity_toml},
    parity_run, top,
};

/// Tables in which scenarios for servers that others use leave nothing.
const CLEAN: [&str; 6] = [
    "users",
    "sites",
    "credentials",
    "scheduled_jobs",
    "device_list_views",
    "activity_history",
];

#[test]
fn scenarios_for_shared_servers_run_again_and_again_on_one_and_clean_up() {
    for policy in ["strict", "legacy"] {
        let server = Serving::start(policy);
        let rows = || CLEAN.map(|table| (table, server.rows(table)));
        let before = rows();
        let url = server.url();
        let said = parity_run(&[
            "staging",
            "--legacy",
            &url,
            "--engine",
            &url,
            "--without-register",
            "--allow-not-compared",
            "the database is the server's own",
        ]);
        assert_eq!(said.code, 0, "{policy}: {}", said.text);
        assert_eq!(rows(), before, "{policy}");
        assert_eq!(server.scripts(), 0, "{policy}");
        assert!(said.text.contains("Left behind"), "{}", said.text);
        assert!(said.table.contains("the device parity-"), "{}", said.table);
        assert!(said.text.contains(" 0 not expected, "), "{}", said.text);
    }
}

#[test]
fn what_a_server_at_a_url_cannot_do_is_not_compared() {
    let server = Serving::start("legacy");
    let said = parity_run(&[
        "enrollment/poll_replay",
        "platform/server_time",
        "--engine",
        &server.url(),
    ]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("--allow-destructive"), "{}", said.text);
    assert!(
        said.text.contains("0 not expected"),
        "nothing differs because it was not looked at: {}",
        said.text
    );
}

#[test]
fn a_process_agrees_with_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = parity_toml(&folder, "");
    let said = parity_run(&[
        "enrollment/happy_path_all_rows",
        "enrollment/conflict_coexist",
        "realtime/screenshot_relay",
        "realtime/restart_restores_registry",
        "platform/github_token_lifecycle",
        "platform/static_types_and_names",
        "operators/users_delete",
        "staging",
        "--legacy",
        "engine",
        "--engine",
        "engine",
        "--parity-toml",
        &file,
        "--without-register",
    ]);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(
        said.text.contains("a process of its own for each scenario"),
        "{}",
        said.text
    );
    // Which program that was, and not which sources parity was built from.
    assert!(said.table.contains(", program of SHA-256 "), "{}", said.table);
}

#[test]
fn nobody_signs_for_an_engine_that_nobody_can_name() {
    let server = Serving::start("legacy");
    let folder = tempfile::tempdir().unwrap();
    let url = server.url();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_parity"))
            .current_dir(top())
            .args(arguments)
            .arg("--report")
            .arg(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), text)
    };
    let arguments = [
        "run",
        "staging/login",
        "--legacy",
        &url,
        "--engine",
        &url,
        "--without-register",
    ];
    let (code, text) = run(&[&arguments[..], &["--allow-not-compared", "its database"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("revision unknown, because a server at a URL does not tell it"),
        "{text}"
    );
    let (code, text) = run(&["sign", "--as", "A. Nobody"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("which engine this was cannot be told"), "{text}");
    let (code, text) = run(&[
        "sign",
        "--as",
        "A. Nobody",
        "--despite",
        "only one engine is there",
    ]);
    assert_eq!(code, 0, "{text}");
}
