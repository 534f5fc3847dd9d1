//! What is recorded through the proxy replays without a difference, and is the scenario that was played.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

#[path = "record/beside.rs"]
mod beside;
#[path = "record/command.rs"]
mod command;
#[path = "record/played.rs"]
mod played;

use std::path::Path;

use parity::{campaign::Places, scenario::library, snapshot};

use played::{Outcome, Played, play};

/// A few of each area: logins and cookies, one-time codes, enrollment and proofs, tokens, sockets by each transport, files.
const CHOSEN: [&str; 15] = [
    "assemblies/script_create_load_list",
    "device_auth/dpop_valid_and_replayed",
    "device_auth/heartbeat_full",
    "device_auth/refresh_happy",
    "enrollment/poll_replay",
    "enrollment/happy_path_all_rows",
    "enrollment/pending_request_repeated",
    "inventory/sites_crud",
    "inventory/views_crud",
    "operators/mfa_setup_at_first_login",
    "operators/users_create_and_list",
    "platform/static_conditional_and_ranges",
    "realtime/screenshot_relay",
    "realtime/transports_all",
    "scheduler/job_create_and_read",
];

/// Scenarios of which a recording is another one, and why.
const OTHERS: [(&str, &str); 6] = [
    (
        "assemblies/quick_run_server_with_ansible",
        "a playbook of the server's own reports while the next step is done, each time at another moment",
    ),
    (
        "operators/credentials_wrong_types",
        "a password inside a list is a secret only to whoever knows that the server makes a text of it",
    ),
    (
        "platform/github_token_lifecycle",
        "which answer of the played GitHub is for which step is known from the recording of GitHub alone",
    ),
    (
        "platform/proxy_as_operator",
        "it asks the played GitHub at its port, which is another one in each run",
    ),
    (
        "platform/proxy_without_session",
        "it asks the played GitHub at its port, which is another one in each run",
    ),
    (
        "realtime/raw_polling_session",
        "it writes the packets of a polling session by hand, and a recorded session is socket steps",
    ),
];

fn places() -> Places {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Places {
        scenarios: top.join("scenarios"),
        snapshots: top.join("snapshots"),
    }
}

/// Plays scenarios through the proxy and replays what was recorded.
async fn outcomes(wanted: impl Fn(&str) -> bool, keep: bool) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::new();
    for entry in library::load(&places().scenarios).unwrap() {
        if !wanted(&entry.name) {
            continue;
        }
        let folder = entry.folder().to_owned();
        let scenario = entry.scenario.unwrap();
        if !scenario.has_legacy() {
            continue;
        }
        // Those for servers that others use have keys and names of each run's own, and no recording.
        let Ok(snapshot) = snapshot::read(&places().snapshots, &scenario.name) else {
            continue;
        };
        let scenario = scenario.with_times(snapshot.recorded.iter().map(|step| step.at_us));
        let Played {
            outcome,
            yaml,
            summary,
        } = Box::pin(play(&scenario, &folder)).await;
        if keep {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("{}.yaml", scenario.name.replace('/', "-")));
            let remarks: String = summary.lines().map(|line| format!("# {line}\n")).collect();
            std::fs::write(file, remarks + &yaml).unwrap();
        }
        outcomes.push((scenario.name.clone(), outcome));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_replays_without_a_difference_and_is_what_was_played() {
    let outcomes = outcomes(|name| CHOSEN.contains(&name), false).await;
    assert_eq!(outcomes.len(), CHOSEN.len());
    let wrong: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| !outcome.is_equivalent())
        .map(|(name, outcome)| format!("{name}: {outcome}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was recorded lies in `target/tmp` afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_is_played_through_the_proxy() {
    let outcomes = outcomes(|_| true, true).await;
    let (same, other): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(_, outcome)| outcome.is_equivalent());
    let mut unknown = Vec::new();
    for (name, outcome) in &other {
        match OTHERS.iter().find(|(known, _)| known == name) {
            Some((_, why)) => eprintln!("{name}: {why}"),
            None => unknown.push(format!("{name}: {outcome}")),
        }
    }
    eprintln!(
        "{} of {} are equivalent and replay without a difference",
        same.len(),
        outcomes.len()
    );
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}
