//! The scheduler on a whole server, with real sockets: who may call, who gets the work, and what a restart keeps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "realtime/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "realtime/server.rs"]
mod server;

use std::time::Duration;

use client::Client;
use serde_json::{Value, json};
use server::{AGENT, GUID, START, Server};

const OTHER: &str = "00000000-0000-4000-8000-000000000002";
const DEVICES: &str = "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status) VALUES \
     ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'WIN-1', 'ab', 1, 'active'), \
     ('00000000-0000-4000-8000-000000000002', 'WIN-2', 'cd', 1, 'active')";
const JOB: &str = r#"{"name":"hello","components":[{"type":"script","path":"hello.ps1",
    "variable_values":{"secret":"p4ss"}}],"targets":["WIN-1"]}"#;
const MINUTE: Duration = Duration::from_secs(60);

/// An agent's connection, announced.
async fn agent(server: &Server, guid: &str, fingerprint: &str, agent_id: &str) -> Client {
    let token = format!("Bearer {}", server.token(guid, fingerprint, 1, START));
    let mut client = Client::join_new(server, &[("Authorization", &token)]).await;
    client
        .call(
            "connect_agent",
            json!({"agent_id": agent_id, "service_mode": "system"}),
        )
        .await;
    client
}

/// An event's acknowledgement number (where one is asked for), name and argument.
fn event(frame: &str) -> (Option<String>, String, Value) {
    let rest = frame.strip_prefix("42").unwrap_or_else(|| panic!("{frame}"));
    let (digits, data) = rest.split_at(rest.find('[').unwrap());
    let number = Some(digits.to_owned()).filter(|digits| !digits.is_empty());
    let data: Value = serde_json::from_str(data).unwrap();
    (number, data[0].as_str().unwrap().to_owned(), data[1].clone())
}

#[tokio::test]
async fn strict_asks_for_an_operator_before_anything_else_and_legacy_does_not() {
    let strict = Server::start("strict", "").await;
    let legacy = Server::start("legacy", "").await;
    let cookies = strict.log_in().await;
    for (method, path, body, status) in [
        ("GET", "/api/scheduled_jobs", "", 200),
        ("POST", "/api/scheduled_jobs", "[1]", 400),
        ("GET", "/api/scheduled_jobs/7", "", 404),
        ("PUT", "/api/scheduled_jobs/7", "{}", 400),
        ("DELETE", "/api/scheduled_jobs/7", "", 404),
        ("POST", "/api/scheduled_jobs/7/toggle", "{}", 404),
        ("GET", "/api/scheduled_jobs/7/runs", "", 200),
        ("DELETE", "/api/scheduled_jobs/7/runs", "", 200),
        ("GET", "/api/scheduled_jobs/7/devices?occurrence=x", "", 400),
        ("POST", "/api/scripts/quick_run", "{}", 400),
        ("GET", "/api/device/activity/WIN-1", "", 200),
        ("DELETE", "/api/device/activity/WIN-1", "", 200),
        ("GET", "/api/device/activity/job/7", "", 404),
    ] {
        let unauthorized = (401, "{\"error\":\"unauthorized\"}\n".to_owned());
        assert_eq!(
            strict.ask(method, path, &[], body).await,
            unauthorized,
            "{method} {path}"
        );
        assert_eq!(
            strict.ask(method, path, &[("cookie", &cookies)], body).await.0,
            status,
            "{method} {path}"
        );
        assert_eq!(
            legacy.ask(method, path, &[], body).await.0,
            status,
            "{method} {path}"
        );
    }
    strict.stop().await;
    legacy.stop().await;
}

#[tokio::test]
async fn work_goes_to_its_host_alone_and_only_that_host_reports() {
    let server = Server::start("strict", DEVICES).await;
    server.file("Assemblies/Scripts/hello.ps1", "Write-Output $env:secret\n");
    let cookies = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    let mut stranger = Client::join_new(&server, &[]).await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    let mut other = agent(&server, OTHER, "cd", &format!("WIN-2_{OTHER}_SYSTEM")).await;
    let (status, made) = server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    assert_eq!(status, 200, "{made}");
    server.pass_and_settle(MINUTE).await;

    let (number, name, payload) = event(&host.frame().await);
    assert_eq!(
        (name.as_str(), payload["target_hostname"].as_str()),
        ("quick_job_run", Some("WIN-1"))
    );
    assert_eq!(payload["environment"]["SECRET"], "p4ss");
    host.send(&format!("43{}[]", number.unwrap())).await;
    other.nothing_came().await;
    stranger.nothing_came().await;
    let (number, name, started) = event(&operator.frame().await);
    assert_eq!((number, name.as_str()), (None, "job_run_started"));
    assert_eq!(
        started,
        json!({"job_id": 1, "run_id": 1, "target": "WIN-1", "schedule_type": "immediately",
               "occurrence_ts": START})
    );

    let result = json!({"job_id": 1, "status": "Success", "stdout": "p4ss", "stderr": ""});
    other.call_in_vain("quick_job_result", result.clone()).await;
    host.call("quick_job_result", result).await;
    let (_, name, changed) = event(&operator.frame().await);
    assert_eq!(
        (name.as_str(), changed["status"].as_str()),
        ("device_activity_changed", Some("Success"))
    );
    let (_, name, completed) = event(&operator.frame().await);
    assert_eq!(
        (name.as_str(), completed["status"].as_str()),
        ("job_run_completed", Some("Success"))
    );
    other.nothing_came().await;
    let (_, devices) = server
        .get("/api/scheduled_jobs/1/devices", &[("cookie", &cookies)])
        .await;
    let devices: Value = serde_json::from_str(&devices).unwrap();
    assert_eq!(devices["devices"][0]["job_status"], "Success");
    assert_eq!(devices["devices"][0]["activities"][0]["has_stdout"], true);
    server.stop().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_run_loses_and_doubles_nothing() {
    let server = Server::start("strict", DEVICES).await;
    server.file("Assemblies/Scripts/hello.ps1", "Write-Output $env:secret\n");
    let cookies = server.log_in().await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    server.pass_and_settle(MINUTE).await;
    let (number, _, first) = event(&host.frame().await);
    assert!(number.is_some());

    // The server goes away before the agent says that it has the work.
    let server = server.restart().await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    server.pass_and_settle(MINUTE).await;
    let (number, name, again) = event(&host.frame().await);
    assert_eq!((name.as_str(), &again), ("quick_job_run", &first));
    host.send(&format!("43{}[]", number.unwrap())).await;
    host.nothing_came().await;
    for _ in 0..200 {
        let (_, runs) = server
            .get(
                "/api/scheduled_jobs/1/runs",
                &[("cookie", &server.log_in().await)],
            )
            .await;
        let runs: Value = serde_json::from_str(&runs).unwrap();
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
        server.pass_and_settle(MINUTE).await;
        if runs["runs"][0]["status"] == "Success" {
            host.nothing_came().await;
            server.stop().await;
            return;
        }
    }
    panic!("the acknowledgement was never seen");
}

#[tokio::test]
async fn the_users_agent_does_not_confirm_what_the_systems_agent_is_to_run() {
    let server = Server::start("strict", DEVICES).await;
    server.file("Assemblies/Scripts/hello.ps1", "exit\n");
    let cookies = server.log_in().await;
    let mut user = agent(&server, GUID, "ab", &AGENT.replace("SYSTEM", "CURRENTUSER")).await;
    let mut system = agent(&server, GUID, "ab", AGENT).await;
    server
        .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
        .await;
    server.pass_and_settle(MINUTE).await;
    let (number, _, first) = event(&user.frame().await);
    user.send(&format!("43{}[]", number.unwrap())).await;
    user.nothing_came().await;
    event(&system.frame().await);
    // It goes without a word, and comes back.
    system.send("1").await;
    assert!(system.is_closed().await);
    let mut system = agent(&server, GUID, "ab", AGENT).await;
    let time_passes = async {
        loop {
            server.pass_and_settle(MINUTE).await;
        }
    };
    let frame = tokio::select! {
        frame = system.frame() => frame,
        () = time_passes => unreachable!(),
    };
    let (_, name, again) = event(&frame);
    assert_eq!((name.as_str(), again), ("quick_job_run", first));
    server.stop().await;
}

#[tokio::test]
async fn a_quick_run_is_sent_when_its_agent_comes_within_minutes() {
    let server = Server::start("strict", DEVICES).await;
    server.file("Assemblies/Scripts/hello.ps1", "exit\r\n");
    let cookies = server.log_in().await;
    let wish = r#"{"script_path":"Scripts/hello.ps1","hostnames":["WIN-1"]}"#;
    let (status, answer) = server
        .ask("POST", "/api/scripts/quick_run", &[("cookie", &cookies)], wish)
        .await;
    assert_eq!(
        (status, answer.as_str()),
        (
            200,
            "{\"results\":[{\"hostname\":\"WIN-1\",\"job_id\":1,\"status\":\"Running\"}]}\n"
        )
    );
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    let time_passes = async {
        loop {
            server.pass(Duration::from_secs(15));
            tokio::task::yield_now().await;
        }
    };
    let frame = tokio::select! {
        frame = host.frame() => frame,
        () = time_passes => unreachable!(),
    };
    let (_, name, payload) = event(&frame);
    assert_eq!(
        (name.as_str(), payload["script_content"].as_str()),
        ("quick_job_run", Some("ZXhpdAo="))
    );
    server.stop().await;
}
