//! What a run shows does not hang on whoever runs it: time zone, language, file modes, proxies, an empty environment.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Scenarios that show times of both kinds, files of the server and of the scenario, programs, and what GitHub is asked.
const SCENARIOS: [&str; 8] = [
    "assemblies/quick_run_server_without_ansible",
    "assemblies/raw_files_on_disk",
    "assemblies/script_create_load_list",
    "operators/cookies_of_a_login",
    "platform/github_token_verdicts",
    "platform/server_time_zone_kolkata",
    "platform/static_conditional_and_ranges",
    "scheduler/job_next_run_month_ends",
];

/// The table of a run by a shell that does `before` first, without what says when it was made.
fn table(before: &str) -> String {
    let report = tempfile::tempdir().unwrap();
    let command = format!("{before} exec \"$0\" \"$@\"");
    let ran = Command::new("/bin/sh")
        .args(["-c", &command, env!("CARGO_BIN_EXE_parity"), "run"])
        .args(SCENARIOS)
        .arg("--report")
        .arg(report.path())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{before}\n{said}");
    fs::read_to_string(report.path().join("divergences.md")).unwrap()
}

#[test]
fn the_surroundings_of_a_run_change_nothing_that_it_shows() {
    let usual = table("");
    for before in [
        "export TZ=Pacific/Auckland;",
        "export TZ=America/St_Johns LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8;",
        "umask 077;",
        "umask 000;",
        "export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 all_proxy=http://127.0.0.1:9 no_proxy=;",
        "export BOREALIS_ACCESS_POLICY=strict BOREALIS_ROOT=/nonexistent BOREALIS_TLS=on BOREALIS_SIM_RUN_SECONDS=1;",
        "export HOME=/nonexistent XDG_CONFIG_HOME=/nonexistent RUST_LOG=trace NO_COLOR=1;",
        "for name in $(env | cut -d= -f1 | grep '^[A-Za-z_][A-Za-z0-9_]*$'); do unset \"$name\"; done;",
    ] {
        assert_eq!(table(before), usual, "{before}");
    }
}
