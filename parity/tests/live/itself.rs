//! The engine agrees with itself, wherever it runs.

use super::{
    engine::{Serving, parity_toml},
    parity_run,
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
}
