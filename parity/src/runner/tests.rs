use serde_json::json;

use super::*;
use crate::transcript::StatusLine;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_asks_of_github_is_seen() {
    let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nupstream:\n  asks: {start: 1}\n  exchanges: []\nsteps:\n  - get: /health\n";
    let scenario = Scenario::read("a/b", text).unwrap();
    let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
    let last = transcript.observations.last().unwrap();
    assert_eq!((last.step, last.label.as_str()), (2, Asked::LABEL));
    let Seen::Asked { requests } = &last.seen else {
        panic!("{last:?}")
    };
    let lines: Vec<_> = requests.iter().map(Asked::line).collect();
    assert_eq!(lines, ["GET /repos/bunny-lab-io/Borealis/branches/main"]);
}

/// What the socket steps of a scenario with two clients showed.
async fn sockets(policy: &str, relayed: &str) -> Vec<Seen> {
    let text = format!(
        "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\npolicy: {policy}\nsteps:\n  - {{socket: ui, connect: {{}}}}\n  - {{socket: agent, connect: {{transports: [polling]}}}}\n  - {{socket: agent, emit: macro_status, data: {{n: 1}}, ack: true}}\n  - {{socket: ui, {relayed}}}\n  - {{socket: ui, emit: no_such_event, args: [\"${{n}}\"], ack: true}}\n  - {{socket: ui, silence: macro_status}}\n"
    );
    let scenario = Scenario::read("a/b", &text).unwrap();
    let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
    transcript.observations.into_iter().map(|one| one.seen).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn socket_clients_run_against_the_engine() {
    let connected = Seen::Connected {
        connected: true,
        error: None,
    };
    let relayed = [
        connected.clone(),
        connected.clone(),
        Seen::Acknowledged {
            arguments: Some(Vec::new()),
        },
        Seen::Received {
            arguments: Some(vec![json!({"n": 1})]),
        },
        Seen::Acknowledged { arguments: None },
        Seen::Silence { arguments: None },
    ];
    assert_eq!(
        sockets("legacy", "receive: macro_status, capture: {n: /n}").await,
        relayed
    );
    let unresolved = Seen::Failed {
        reason: "step `ui emits no_such_event`: nothing defines ${n}".to_owned(),
    };
    let refused = [
        connected.clone(),
        connected,
        Seen::Acknowledged { arguments: None },
        Seen::Silence { arguments: None },
        unresolved,
        Seen::Silence { arguments: None },
    ];
    assert_eq!(sockets("strict", "silence: macro_status").await, refused);
}

#[tokio::test]
async fn a_scenario_runs_against_the_engine() {
    let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n  - get: /health\n    capture: {s: /status}\n  - set: {a: \"${s}\"}\n  - get: /health?${nobody}\n";
    let scenario = Scenario::read("a/b", text).unwrap();
    let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
    assert!(matches!(
        transcript.observations[0].seen,
        Seen::Answer {
            line: StatusLine { status: 200, .. },
            ..
        }
    ));
    let last = transcript.observations.last().unwrap();
    assert_eq!(last.step, 3);
    assert_eq!(
        last.seen,
        Seen::Failed {
            reason: "step `GET health 2`: nothing defines ${nobody}".to_owned()
        }
    );
}

#[test]
fn a_name_that_the_environment_tells_is_no_machine_s_own() {
    let env = |value: &str| [("BOREALIS_TLS_NAMES".to_owned(), value.to_owned())];
    assert!(is_told("host", &env("borealis.example, HOST")));
    assert!(!is_told("host", &env("host.example,ghost")));
    assert!(!is_told("host", &[]));
}
