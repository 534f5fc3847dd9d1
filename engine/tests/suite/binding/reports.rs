//! Reports come from the device that they name.

use serde_json::json;

use super::{A, C, as_operator, error, server};
use crate::testkit::{START, socket::Client};

const DAY: i64 = 86_400;

#[tokio::test]
async fn an_agent_id_with_two_guids_is_nobody_s() {
    let (server, _) = server().await;
    let token = server.bearer(&C);
    for id in [
        format!("WIN-A_{}_{}_SYSTEM", A.guid, C.guid),
        format!(
            "WIN-A_{}_{}_SYSTEM",
            A.guid.replace('-', "").to_lowercase(),
            C.guid
        ),
        format!("WIN-A_{}_SYSTEM", A.guid),
    ] {
        let mut agent = Client::join_new(&server, &[("Authorization", &token)]).await;
        agent.call_in_vain("connect_agent", json!({"agent_id": id})).await;
        agent
            .call_in_vain("agent_heartbeat", json!({"agent_id": id}))
            .await;
        let screenshot = json!({"agent_id": id, "image_base64": "AAAA"});
        agent.call_in_vain("screenshot", screenshot).await;
        for (path, body) in [
            ("/api/agent/checkin", json!({"agent_id": id})),
            ("/api/agent/service-account/rotate", json!({"agent_id": id})),
            ("/api/agent/hash", json!({"agent_id": id, "agent_hash": "h"})),
            (
                "/api/agent/details",
                json!({"agent_id": id, "hostname": "WIN-C", "details": {}}),
            ),
            (
                "/api/agent/details",
                json!({"hostname": "WIN-C", "details": {"summary": {"agent_id": id}}}),
            ),
        ] {
            let answer = C.post(&server, path, body).await;
            assert_eq!(answer, (403, error("guid_mismatch")), "{path} {id}");
        }
    }
    assert_eq!(
        server.count("SELECT COUNT(*) FROM agent_service_account").await,
        0
    );
    assert_eq!(server.count("SELECT COUNT(agent_id) FROM devices").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn what_an_agent_calls_its_host_is_not_believed() {
    let (server, cookies) = server().await;
    let mut agent = C.connect(&server).await;
    let id = C.agent_id();
    for name in ["WIN-A", "win-a"] {
        agent
            .call_in_vain("agent_heartbeat", json!({"agent_id": id, "hostname": name}))
            .await;
        let status = json!({"agent_id": id, "hostname": name, "active": true, "last_user": "DOM\\eve"});
        agent.call_in_vain("collector_status", status).await;
    }
    agent
        .call(
            "agent_heartbeat",
            json!({"agent_id": id, "hostname": "win-c", "last_seen": 77}),
        )
        .await;
    let (_, listed) = server.get("/api/agents", &[("cookie", &cookies)]).await;
    assert!(
        listed.contains("\"WIN-C\"") && !listed.contains("win-c"),
        "{listed}"
    );
    assert_eq!(
        server
            .count("SELECT COUNT(*) FROM devices WHERE hostname = 'WIN-C' AND last_seen = 77")
            .await,
        1
    );
    assert_eq!(server.count("SELECT COUNT(*) FROM devices").await, 4);
    server.stop().await;
}

#[tokio::test]
async fn a_recap_without_a_host_name_is_its_device_s() {
    let (server, cookies) = server().await;
    let path = "/api/ansible/recap/report";
    let (status, recap) = A
        .post(&server, path, json!({"run_id": "r1", "status": "Running"}))
        .await;
    assert_eq!((status, &recap["hostname"]), (200, &json!("WIN-A")), "{recap}");
    // So it stays that device's.
    for body in [
        json!({"run_id": "r1", "status": "Failed"}),
        json!({"run_id": "r1", "hostname": "WIN-C", "status": "Failed"}),
        json!({"run_id": "r1", "hostname": "WIN-A", "status": "Failed"}),
        json!({"run_id": "r2", "hostname": "win-a", "status": "Failed"}),
        json!({"run_id": "r2", "agent_id": A.agent_id(), "status": "Failed"}),
        json!({"run_id": "r2", "agent_id": "server", "status": "Failed"}),
    ] {
        let (status, answer) = C.post(&server, path, body.clone()).await;
        assert_eq!(status, 403, "{body} {answer}");
    }
    let (status, recap) = A
        .post(
            &server,
            path,
            json!({"run_id": "r1", "hostname": "win-a", "status": "Success"}),
        )
        .await;
    assert_eq!((status, &recap["hostname"]), (200, &json!("WIN-A")), "{recap}");
    let (_, listed) = server
        .get("/api/ansible/recaps?hostname=WIN-A", &[("cookie", &cookies)])
        .await;
    assert!(listed.contains("\"Success\""), "{listed}");
    server.stop().await;
}

#[tokio::test]
async fn no_device_reports_on_a_run_of_the_server() {
    let (server, _) = server().await;
    server
        .sql(
            "INSERT INTO ansible_play_recaps (run_id, hostname, agent_id, status) \
             VALUES ('r1', 'WIN-A', 'server', 'Running')",
        )
        .await;
    let (status, answer) = A
        .post(
            &server,
            "/api/ansible/recap/report",
            json!({"run_id": "r1", "status": "Success"}),
        )
        .await;
    assert_eq!(status, 403, "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_recap_moves_only_work_that_was_begun_for_its_device() {
    let (server, cookies) = server().await;
    let body = json!({"script_path": "Scripts/hello.ps1", "hostnames": ["WIN-A"]});
    let (_, started) = as_operator(&server, &cookies, "/api/scripts/quick_run", body).await;
    let id = &started["results"][0]["job_id"];
    let recap = |run: &str| json!({"run_id": run, "status": "Success", "activity_job_id": id});
    let (status, _) = C.post(&server, "/api/ansible/recap/report", recap("r1")).await;
    assert_eq!(status, 403);
    assert_eq!(server.count("SELECT COUNT(*) FROM ansible_play_recaps").await, 0);
    let running = "SELECT COUNT(*) FROM activity_history WHERE status = 'Running'";
    assert_eq!(server.count(running).await, 1);
    // Its device may call the host as the work did, though it was renamed.
    A.post(&server, "/api/agent/heartbeat", json!({"hostname": "WIN-B"}))
        .await;
    let mut own = recap("r2");
    own["hostname"] = json!("WIN-A");
    let (status, answer) = A.post(&server, "/api/ansible/recap/report", own).await;
    assert_eq!((status, &answer["hostname"]), (200, &json!("WIN-B")), "{answer}");
    assert_eq!(server.count(running).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn an_expired_token_opens_the_channel_for_thirty_days() {
    let (server, _) = server().await;
    for (age, counts) in [(29 * DAY, true), (31 * DAY, false)] {
        let token = format!("Bearer {}", server.token(A.guid, A.fingerprint, 1, START - age));
        let mut agent = Client::join_new(&server, &[("Authorization", &token)]).await;
        let announced = json!({"agent_id": A.agent_id()});
        if counts {
            agent.call("connect_agent", announced).await;
        } else {
            agent.call_in_vain("connect_agent", announced).await;
        }
    }
    server.stop().await;
}
