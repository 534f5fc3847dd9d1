//! A quarantined device reports, and gets neither work nor credentials.

use std::time::Duration;

use serde_json::json;

use super::{A, as_operator, error, server};
use crate::testkit::server::Server;

const QUARANTINE: &str = "UPDATE devices SET status = 'quarantined' WHERE hostname = 'WIN-A'";
const FAILED: &str =
    "SELECT COUNT(*) FROM activity_history WHERE status = 'Failed' AND stderr = 'Device quarantined'";

async fn quick_run(server: &Server, cookies: &str) -> serde_json::Value {
    let body = json!({"script_path": "Scripts/hello.ps1", "hostnames": ["win-a"]});
    let (status, answer) = as_operator(server, cookies, "/api/scripts/quick_run", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["results"][0]["status"].clone()
}

#[tokio::test]
async fn a_quarantined_device_gets_no_credentials() {
    let (server, _) = server().await;
    let account = json!({"agent_id": A.agent_id()});
    let (status, _) = A.post(&server, "/api/agent/checkin", account.clone()).await;
    assert_eq!(status, 200);
    server.sql(QUARANTINE).await;
    for path in ["/api/agent/checkin", "/api/agent/service-account/rotate"] {
        let answer = A.post(&server, path, account.clone()).await;
        assert_eq!(answer, (403, error("device_quarantined")), "{path}");
    }
    // It still reports.
    let (status, _) = A.post(&server, "/api/agent/heartbeat", json!({})).await;
    assert_eq!(status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_quarantined_device_gets_no_work() {
    let (server, cookies) = server().await;
    server.sql(QUARANTINE).await;
    let mut agent = A.connect(&server).await;
    assert_eq!(quick_run(&server, &cookies).await, "Failed");
    assert_eq!(server.count(FAILED).await, 1);
    let job = json!({"name": "hello", "components": [{"type": "script", "path": "hello.ps1"}], "targets": ["WIN-A"]});
    let (status, answer) = as_operator(&server, &cookies, "/api/scheduled_jobs", job).await;
    assert_eq!(status, 200, "{answer}");
    server.pass_and_settle(Duration::from_secs(60)).await;
    let failed =
        "SELECT COUNT(*) FROM scheduled_job_runs WHERE status = 'Failed' AND error = 'Device quarantined'";
    assert_eq!(server.count(failed).await, 1);
    agent.nothing_came().await;
    server.stop().await;
}

#[tokio::test]
async fn work_that_waits_for_a_device_ends_when_it_is_quarantined() {
    let (server, cookies) = server().await;
    assert_eq!(quick_run(&server, &cookies).await, "Running");
    server.sql(QUARANTINE).await;
    let mut agent = A.connect(&server).await;
    for _ in 0..100 {
        server.pass_and_settle(Duration::from_secs(1)).await;
        if server.count(FAILED).await == 1 {
            break;
        }
    }
    assert_eq!(server.count(FAILED).await, 1);
    agent.nothing_came().await;
    server.stop().await;
}
