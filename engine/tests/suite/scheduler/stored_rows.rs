//! Rows as another program leaves them.

use serde_json::{Value, json};

use super::JOB;
use crate::testkit::{agents::two_devices, server::Server};

async fn get(server: &Server, path: &str) -> Value {
    let (status, body) = server.get(path, &[]).await;
    assert_eq!(status, 200, "{path} {body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn a_run_of_no_host_is_one_of_the_host_none() {
    let server = Server::start("legacy", two_devices()).await;
    let job = JOB.replace("[\"WIN-1\"]", "[\"\",\"None\"]");
    assert_eq!(server.ask("POST", "/api/scheduled_jobs", &[], &job).await.0, 200);
    server
        .sql("INSERT INTO scheduled_job_runs (job_id, scheduled_ts, status) VALUES (1, 60, 'Success')")
        .await;
    let devices = get(&server, "/api/scheduled_jobs/1/devices").await;
    let states = [
        &devices["devices"][0]["job_status"],
        &devices["devices"][1]["job_status"],
    ];
    assert_eq!(states, [&json!("Pending"), &json!("Success")]);
    server.stop().await;
}

#[tokio::test]
async fn an_empty_text_of_bytes_is_no_output() {
    let server = Server::start("legacy", two_devices()).await;
    server
        .sql("INSERT INTO activity_history (hostname, stdout, stderr) VALUES ('WIN-1', x'', x'61'), ('WIN-1', '', NULL)")
        .await;
    let history = get(&server, "/api/device/activity/WIN-1").await;
    let shown: Vec<_> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["id"].clone(),
                line["has_stdout"].clone(),
                line["has_stderr"].clone(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (json!(2), json!(false), json!(false)),
            (json!(1), json!(false), json!(true))
        ]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_number_that_is_none_is_stored_as_nothing() {
    let server = Server::start("legacy", two_devices()).await;
    let expirations = "SELECT group_concat(COALESCE(expiration, '-')) FROM scheduled_jobs";
    let with_none = JOB.replacen('{', r#"{"expiration":NaN,"#, 1);
    for job in [JOB, &with_none] {
        assert_eq!(server.ask("POST", "/api/scheduled_jobs", &[], job).await.0, 200);
    }
    assert_eq!(server.text(expirations).await.as_deref(), Some("no_expire,-"));
    for (body, stored) in [
        (r#"{"expiration":NaN}"#, "-,-"),
        (r#"{"expiration":"2h"}"#, "2h,-"),
        (r#"{"name":"n"}"#, "2h,-"),
        (r#"{"expiration":null}"#, "no_expire,-"),
    ] {
        let (status, answer) = server.ask("PUT", "/api/scheduled_jobs/1", &[], body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(server.text(expirations).await.as_deref(), Some(stored), "{body}");
    }
    let job = get(&server, "/api/scheduled_jobs/2").await;
    assert_eq!(job["job"]["expiration"], "no_expire");
    server.stop().await;
}
