//! Service accounts belong to a device.

use serde_json::{Value, json};

use super::{A, C, TWIN, all_devices, error, server};
use crate::testkit::{rows::Device, server::Server};

const CHECK_IN: &str = "/api/agent/checkin";

async fn password(server: &Server, device: &Device, agent_id: &str) -> String {
    let (status, answer) = device.post(server, CHECK_IN, json!({"agent_id": agent_id})).await;
    assert_eq!(status, 200, "{answer}");
    let password = answer["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 24, "{password}");
    password
}

async fn refused(server: &Server, device: &Device, agent_id: &str) {
    for path in [CHECK_IN, "/api/agent/service-account/rotate"] {
        let answer: (u16, Value) = device.post(server, path, json!({"agent_id": agent_id})).await;
        assert_eq!(answer, (403, error("guid_mismatch")), "{path} {agent_id}");
    }
}

#[tokio::test]
async fn no_device_gets_another_one_s_password_after_a_restart_or_a_removal() {
    let (server, cookies) = server().await;
    // With and without a GUID.
    let own = password(&server, &A, &A.agent_id()).await;
    let older = password(&server, &A, "agent-7").await;
    // The row forgets the first: a device has one agent id there.
    for id in [A.agent_id(), "agent-7".to_owned()] {
        server
            .ask("DELETE", &format!("/api/agent/{id}"), &[("cookie", &cookies)], "")
            .await;
        refused(&server, &C, &id).await;
    }
    let server = server.restart().await;
    server.sql("UPDATE devices SET agent_id = NULL").await;
    let server = server.restart().await;
    for id in [A.agent_id(), "agent-7".to_owned()] {
        refused(&server, &C, &id).await;
    }
    assert_eq!(password(&server, &A, &A.agent_id()).await, own);
    assert_eq!(password(&server, &A, "agent-7").await, older);
    server.stop().await;
}

#[tokio::test]
async fn no_device_claims_an_id_before_its_owner_does() {
    let (server, _) = server().await;
    refused(&server, &C, &A.agent_id()).await;
    password(&server, &A, &A.agent_id()).await;
    server.stop().await;
}

/// Accounts of before: sealed as plain base64, `old-password`.
const ACCOUNTS: &str = "INSERT INTO agent_service_account (agent_id, username, password_encrypted, last_rotated_utc) VALUES \
     ('WIN-A-svc', 'u', 'b2xkLXBhc3N3b3Jk', ''), ('twin-svc', 'u', 'b2xkLXBhc3N3b3Jk', ''), \
     ('00000000-0000-4000-8000-00000000000C', 'u', 'b2xkLXBhc3N3b3Jk', ''), \
     ('nobody-svc', 'u', 'b2xkLXBhc3N3b3Jk', '')";

#[tokio::test]
async fn at_the_first_start_accounts_go_to_the_one_device_that_they_fit() {
    // Under `legacy` nothing is noted.
    let server = Server::start("legacy", all_devices()).await;
    server.sql(ACCOUNTS).await;
    let server = server.restart_as("strict").await;
    refused(&server, &C, "WIN-A-svc").await;
    let (_, answer) = A.post(&server, CHECK_IN, json!({"agent_id": "WIN-A-svc"})).await;
    assert_eq!(answer["password"], "old-password");
    let (_, answer) = C.post(&server, CHECK_IN, json!({"agent_id": C.guid})).await;
    assert_eq!(answer["password"], "old-password");
    // Two devices could be meant, or none: the first gets it, with another password, whatever it is called by then.
    for id in ["twin-svc", "nobody-svc"] {
        let new = password(&server, &TWIN, id).await;
        assert_ne!(new, "old-password");
        refused(&server, &A, id).await;
        assert_eq!(password(&server, &TWIN, id).await, new);
    }
    server.stop().await;
}

#[tokio::test]
async fn an_account_that_the_legacy_made_since_is_told_to_nobody() {
    let (server, _) = server().await;
    password(&server, &A, "agent-7").await;
    server.sql(ACCOUNTS).await;
    let server = server.restart().await;
    let new = password(&server, &C, "WIN-A-svc").await;
    assert_ne!(new, "old-password");
    refused(&server, &A, "WIN-A-svc").await;
    server.stop().await;
}

#[tokio::test]
async fn the_account_of_a_device_that_is_gone_is_free_for_the_next() {
    let (server, _) = server().await;
    let old = password(&server, &A, "agent-7").await;
    server
        .sql("UPDATE devices SET status = 'revoked', agent_id = NULL WHERE hostname = 'WIN-A'")
        .await;
    let new = password(&server, &C, "agent-7").await;
    assert_ne!(new, old);
    server.stop().await;
}
