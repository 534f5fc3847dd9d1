//! `job_status_request`: the jobs, for operators who ask over the channel.

use serde_json::{Value, json};

use crate::testkit::{
    AGENT, GUID,
    agents::{agent, event, two_devices},
    server::Server,
    socket::Client,
};

const JOB: &str = r#"{"name":"hello","components":[{"type":"script","path":"hello.ps1"}],"targets":["WIN-1"],
    "schedule":{"type":"once","start":"2030-01-01T00:00:00Z"}}"#;

/// What `GET /api/scheduled_jobs` says.
async fn listed(server: &Server, cookies: &str) -> Value {
    let (status, jobs) = server.get("/api/scheduled_jobs", &[("cookie", cookies)]).await;
    assert_eq!(status, 200, "{jobs}");
    serde_json::from_str(&jobs).unwrap()
}

#[tokio::test]
async fn the_asker_alone_gets_the_jobs_as_the_route_lists_them_and_then_the_acknowledgement() {
    let server = Server::start("strict", "").await;
    let cookies = server.log_in().await;
    let mut asker = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    let mut other = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    asker.send("421[\"job_status_request\",null]").await;
    assert_eq!(asker.frame().await, "42[\"job_status\",{\"jobs\":[]}]");
    assert_eq!(asker.frame().await, "431[]");
    for _ in 0..2 {
        let (status, made) = server
            .ask("POST", "/api/scheduled_jobs", &[("cookie", &cookies)], JOB)
            .await;
        assert_eq!(status, 200, "{made}");
    }
    let jobs = listed(&server, &cookies).await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 2);
    // Whatever it carries, nothing included.
    for data in ["", ",null", ",{\"job_id\":1}", ",[1,2]", ",\"text\"", ",7"] {
        asker.send(&format!("42[\"job_status_request\"{data}]")).await;
        let (number, name, status) = event(&asker.frame().await);
        assert_eq!((number, name.as_str()), (None, "job_status"), "{data}");
        assert_eq!(status, jobs, "{data}");
    }
    asker.nothing_came().await;
    other.nothing_came().await;
    server.stop().await;
}

#[tokio::test]
async fn under_strict_nobody_but_operators_is_answered() {
    let server = Server::start("strict", two_devices()).await;
    let mut stranger = Client::join_new(&server, &[]).await;
    let mut host = agent(&server, GUID, "ab", AGENT).await;
    for client in [&mut stranger, &mut host] {
        client.call_in_vain("job_status_request", json!({})).await;
    }
    let cookies = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("Cookie", &cookies)]).await;
    operator.send("421[\"job_status_request\",1]").await;
    assert_eq!(operator.frame().await, "42[\"job_status\",{\"jobs\":[]}]");
    server.stop().await;
}

#[tokio::test]
async fn under_legacy_everybody_is_answered() {
    let server = Server::start("legacy", "").await;
    let mut stranger = Client::join_new(&server, &[]).await;
    stranger.send("421[\"job_status_request\",1]").await;
    assert_eq!(stranger.frame().await, "42[\"job_status\",{\"jobs\":[]}]");
    assert_eq!(stranger.frame().await, "431[]");
    server.stop().await;
}

#[tokio::test]
async fn jobs_that_cannot_be_read_are_not_acknowledged_and_the_session_goes_on() {
    let server = Server::start("legacy", "").await;
    let mut client = Client::join_new(&server, &[]).await;
    server.sql("ALTER TABLE scheduled_jobs RENAME TO elsewhere").await;
    client.call_in_vain("job_status_request", json!({})).await;
    server.sql("ALTER TABLE elsewhere RENAME TO scheduled_jobs").await;
    client.send("42[\"job_status_request\",1]").await;
    assert_eq!(client.frame().await, "42[\"job_status\",{\"jobs\":[]}]");
    server.stop().await;
}
