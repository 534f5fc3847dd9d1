//! Requests that the legacy answers in its own way: numbers beyond 64 bits, fields of odd types, values with line ends.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::JOB;
use crate::testkit::{AGENT, GUID, agents::agent, agents::event, agents::two_devices, server::Server};

const JOBS: &str = "/api/scheduled_jobs";
const FIRST: &str = "/api/scheduled_jobs/1";
const REQUIRED: &str = "name, components, targets required";
const QUICK_RUN: &str = "/api/scripts/quick_run";

/// A server that checks nobody, with a job that has a start and a credential.
async fn server_with_job() -> Server {
    let server = Server::start("legacy", two_devices()).await;
    assert_eq!(ask(&server, "POST", JOBS, JOB).await.0, 200);
    let set = r#"{"schedule_type":"once","start":1927620007,"credential_id":4}"#;
    assert_eq!(ask(&server, "PUT", FIRST, set).await.0, 200);
    server
}

async fn ask(server: &Server, method: &str, path: &str, body: &str) -> (u16, Value) {
    server.send(method, path, &[], body).await.status_and_json()
}

#[tokio::test]
async fn what_no_column_takes_is_refused_and_the_stored_value_stays() {
    let server = server_with_job().await;
    let (_, before) = ask(&server, "GET", FIRST, "").await;
    for (field, value) in [
        ("start", "1e30"),
        ("start", "99999999999999999999"),
        ("start", "NaN"),
        ("start", "Infinity"),
        ("credential_id", "99999999999999999999"),
    ] {
        let body = format!(r#"{{"schedule_type":"once","{field}":{value}}}"#);
        let refused = (400, json!({"error": "invalid payload"}));
        assert_eq!(ask(&server, "PUT", FIRST, &body).await, refused, "{body}");
        let body = JOB.replacen('{', &format!(r#"{{"{field}":{value},"#), 1);
        assert_eq!(ask(&server, "POST", JOBS, &body).await, refused, "{body}");
    }
    assert_eq!(ask(&server, "GET", FIRST, "").await.1, before);
    assert_eq!(server.count("SELECT COUNT(*) FROM scheduled_jobs").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn what_is_required_is_said_before_what_is_of_a_wrong_type() {
    let server = server_with_job().await;
    for (method, path, body) in [
        (
            "POST",
            JOBS,
            r#"{"components":[1],"targets":["A"],"expiration":{"a":1}}"#,
        ),
        ("POST", JOBS, r#"{"components":[1],"targets":["A"],"start":1e30}"#),
        ("PUT", FIRST, r#"{"targets":5}"#),
        ("PUT", FIRST, r#"{"components":{"type":"script"}}"#),
    ] {
        let required = (400, json!({ "error": REQUIRED }));
        assert_eq!(ask(&server, method, path, body).await, required, "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_occurrence_beyond_64_bits_is_one_without_runs() {
    let server = server_with_job().await;
    let query = "devices?occurrence=99999999999999999999";
    let answer = server.send("GET", &format!("{FIRST}/{query}"), &[], "").await;
    let start = r#"{"occurrence": 99999999999999999999, "devices": [{"hostname": "WIN-1", "#;
    assert!(answer.body.starts_with(start), "{answer}");
    assert!(answer.body.contains(r#""job_status": "Pending""#), "{answer}");
    let unknown = ask(&server, "GET", &format!("{JOBS}/7/{query}"), "").await;
    assert_eq!(unknown, (404, json!({"error": "not found"})));
    let days = format!("{FIRST}/runs?days=99999999999999999999");
    let too_many = json!({"error": "Python int too large to convert to SQLite INTEGER"});
    assert_eq!(ask(&server, "GET", &days, "").await, (500, too_many));
    server.stop().await;
}

#[tokio::test]
async fn columns_with_nothing_in_them_are_empty_lists() {
    let server = server_with_job().await;
    server
        .sql("UPDATE scheduled_jobs SET components_json = '', targets_json = ''")
        .await;
    let (status, answer) = ask(&server, "GET", FIRST, "").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&answer["job"]["components"], &answer["job"]["targets"]),
        (&json!([]), &json!([]))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_script_is_looked_for_before_its_hosts_are_looked_at() {
    let server = Server::start("legacy", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "exit\n");
    server.file(
        "Assemblies/Scripts/bash.json",
        r#"{"type":"bash","script":"exit"}"#,
    );
    for (script, status, error) in [
        ("none.ps1", 404, "Script not found"),
        (
            "bash.json",
            400,
            "Unsupported script type 'bash'. Only powershell is supported for Quick Job currently.",
        ),
        ("hello.ps1", 400, "invalid payload"),
    ] {
        for host in [json!({"b": 1}), json!([1])] {
            let body = json!({"script_path": format!("Scripts/{script}"), "hostnames": ["A", host]});
            let answer = ask(&server, "POST", QUICK_RUN, &body.to_string()).await;
            assert_eq!(answer, (status, json!({ "error": error })), "{body}");
        }
    }
    assert_eq!(server.count("SELECT COUNT(*) FROM activity_history").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_scripts_lines_end_as_unix_lines_whatever_its_values_bring() {
    let server = Server::start("legacy", two_devices()).await;
    server.file("Assemblies/Scripts/hello.ps1", "echo $env:who\n");
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    let body = json!({"script_path": "Scripts/hello.ps1", "hostnames": ["WIN-1"], "run_mode": " \t",
                      "variable_values": {"who": "a\r\nb"}});
    assert_eq!(ask(&server, "POST", QUICK_RUN, &body.to_string()).await.0, 200);
    let (_, name, payload) = event(&host.frame().await);
    assert_eq!(name, "quick_job_run");
    let script = STANDARD
        .decode(payload["script_content"].as_str().unwrap())
        .unwrap();
    assert_eq!(String::from_utf8(script).unwrap(), "echo 'a\nb'\n");
    assert_eq!(payload["environment"]["WHO"], "a\r\nb");
    assert_eq!(payload["run_mode"], "");
    server.stop().await;
}
