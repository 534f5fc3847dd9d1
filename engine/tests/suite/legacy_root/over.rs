//! From the legacy to the engine: what worked before works at once.

use borealis_engine::domain::{digest::sha256_hex, fernet::FernetKey, totp::Secret};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::server::{LegacyRoot, Server};
use crate::testkit::socket::Client;

#[tokio::test]
async fn a_legacy_root_is_served_at_once_and_nothing_in_it_changes() {
    let root = LegacyRoot::new();
    let (files, rows) = (root.files(), root.rows().await);
    let server = root.serve().await;
    let list = "/api/admin/device-approvals?status=pending";
    let pending = server.operator(Method::GET, list, Value::Null).await;
    assert_eq!(pending["approvals"].as_array().unwrap().len(), 1);
    assert_eq!(pending["approvals"][0]["hostname_claimed"], "WIN-PENDING");
    server.stop().await;
    assert_eq!(root.files(), files);
    assert_eq!(root.rows().await, rows);
}

#[tokio::test]
async fn each_cookie_of_the_legacy_is_logged_in_and_each_password_works() {
    let root = LegacyRoot::new();
    let server = root.serve().await;
    for cookie in ["session", "borealis_auth"] {
        let value = root.text(&format!("/operator_cookies/{cookie}"));
        let headers = [("cookie", format!("{cookie}={value}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (status, me) = server
            .ask(Method::GET, "/api/auth/me", &headers, Value::Null)
            .await;
        assert_eq!((status, &me["username"]), (200, &json!("admin")), "{cookie}");
    }
    let bearer = format!("Bearer {}", root.text("/operator_cookies/borealis_auth"));
    let headers = [("authorization", bearer.as_str())];
    let (_, me) = server
        .ask(Method::GET, "/api/auth/me", &headers, Value::Null)
        .await;
    assert_eq!(me["role"], "Admin");
    for operator in root.manifest["operators"].as_array().unwrap() {
        let login = json!({"username": operator["username"], "password": operator["password"]});
        let (status, answer) = server.ask(Method::POST, "/api/auth/login", &[], login).await;
        let expected = match operator.get("totp_secret") {
            Some(_) => ("mfa_required", "verify"),
            None => ("ok", ""),
        };
        let stage = answer["stage"].as_str().unwrap_or_default();
        assert_eq!(
            (status, answer["status"].as_str().unwrap(), stage),
            (200, expected.0, expected.1)
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_operator_with_mfa_logs_in_with_the_secret_that_the_legacy_stored() {
    let root = LegacyRoot::new();
    let server = root.serve().await;
    let client = crate::testkit::http::builder()
        .cookie_store(true)
        .build()
        .unwrap();
    let post = async |path: &str, body: Value| {
        let answer = client
            .post(format!("http://{}{path}", server.address()))
            .json(&body)
            .send();
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let login = json!({"username": "mfa", "password": root.text("/operators/2/password")});
    let (_, pending) = post("/api/auth/login", login).await;
    assert_eq!(pending["stage"], "verify");
    let step = u64::try_from((root.made_at().as_second() + 3600) / 30).unwrap();
    let code = Secret::read(root.text("/operators/2/totp_secret"))
        .unwrap()
        .code(step);
    let answer = json!({"pending_token": pending["pending_token"], "code": code});
    let (status, done) = post("/api/auth/mfa/verify", answer).await;
    assert_eq!((status, &done["role"]), (200, &json!("Admin")));
    server.stop().await;
}

#[tokio::test]
async fn the_legacys_sealed_secrets_are_read() {
    sealed_secrets_are_read(&LegacyRoot::new()).await;
}

#[tokio::test]
async fn the_sealing_key_of_an_installed_legacy_is_used_and_no_other_is_made() {
    let root = LegacyRoot::new();
    let folder = root.folder.path();
    let (here, installed) = (
        folder.join("Data/Server/server_secret.key"),
        folder.join("Server/Borealis/server_secret.key"),
    );
    std::fs::rename(&here, &installed).unwrap();
    let files = root.files();
    sealed_secrets_are_read(&root).await;
    assert_eq!(root.files(), files);
    // What the engine seals, the legacy opens on the way back.
    let server = root.serve().await;
    let token = server.refresh(&root, "agent1").await;
    let agent_id = format!("WIN-FIX1_{}_SYSTEM", root.text("/agents/agent1/guid"));
    let given = server
        .device("/api/agent/checkin", &token, json!({"agent_id": agent_id}))
        .await;
    server.stop().await;
    let mut database = root.database().await;
    let sealed: Vec<u8> = sqlx::query_scalar(
        "SELECT CAST(password_encrypted AS BLOB) FROM agent_service_account WHERE agent_id = $1",
    )
    .bind(agent_id)
    .fetch_one(&mut database)
    .await
    .unwrap();
    let key = FernetKey::from_text(&std::fs::read(installed).unwrap()).unwrap();
    assert_eq!(
        key.open(&sealed).as_deref(),
        given["password"].as_str().map(str::as_bytes)
    );
}

async fn sealed_secrets_are_read(root: &LegacyRoot) {
    let server = root.serve().await;
    let list = server
        .operator(Method::GET, "/api/credentials", Value::Null)
        .await;
    let list = list["credentials"].as_array().unwrap();
    assert_eq!(
        list.len(),
        root.manifest["credentials"].as_object().unwrap().len()
    );
    for listed in list {
        let secrets = &root.manifest["credentials"][listed["name"].as_str().unwrap()];
        let path = format!("/api/credentials/{}", listed["id"]);
        let read = server.operator(Method::GET, &path, Value::Null).await;
        for name in ["password", "private_key", "become_password"] {
            let expected: String = secrets[name]
                .as_str()
                .map(|secret| sha256_hex(secret.as_bytes()).chars().take(16).collect())
                .unwrap_or_default();
            assert_eq!(
                read["credential"][format!("{name}_fingerprint")],
                expected,
                "{name}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn every_agent_goes_on_with_the_tokens_that_it_has() {
    let root = LegacyRoot::new();
    let server = root.serve().await;
    for (agent, known) in root.manifest["agents"].as_object().unwrap() {
        // Its last access token is good but for its age, which is what agents refresh on.
        let bearer = format!("Bearer {}", known["access_token"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str())];
        let refused = server
            .ask(Method::POST, "/api/agent/heartbeat", &headers, json!({}))
            .await;
        assert_eq!(refused, (401, json!({"error": "token_expired"})), "{agent}");
        let token = server.refresh(&root, agent).await;
        let beat = server.device("/api/agent/heartbeat", &token, json!({})).await;
        assert_eq!(beat["status"], "ok", "{agent}");
        let path = format!("/api/device/details/{}", known["hostname"].as_str().unwrap());
        let details = server.operator(Method::GET, &path, Value::Null).await;
        assert_eq!(details["summary"]["agent_guid"], known["guid"], "{details}");
        assert_eq!(details["memory"][0]["slot"], "A1");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_agent_learns_the_head_that_the_legacy_knew_while_github_is_down() {
    let root = LegacyRoot::new();
    let server = root.serve().await;
    let bearer = format!("Bearer {}", server.refresh(&root, "agent1").await);
    let headers = [("authorization", bearer.as_str())];
    let (_, head) = server
        .ask(Method::GET, "/api/repo/current_hash", &headers, Value::Null)
        .await;
    assert_eq!(head["sha"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(head["source"], "cache-stale");
    assert_eq!(
        head["error"],
        "GitHub REST API repo head lookup raised: github unreachable"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_agent_connects_with_the_headers_of_its_first_connection() {
    let root = LegacyRoot::new();
    let server = root.serve().await;
    let bearer = format!("Bearer {}", root.text("/agents/agent1/access_token"));
    let mut client = join(&server, &bearer).await;
    let agent_id = format!("WIN-FIX1_{}_SYSTEM", root.text("/agents/agent1/guid"));
    let hello = json!({"agent_id": agent_id, "service_mode": "system"});
    client.call("connect_agent", hello).await;
    let agents = server.operator(Method::GET, "/api/agents", Value::Null).await;
    assert!(agents.get(&agent_id).is_some(), "{agents}");
    server.stop().await;
}

async fn join(server: &Server, bearer: &str) -> Client {
    Client::join_new(server, &[("authorization", bearer)]).await
}

async fn runs(database: &mut SqliteConnection) -> Vec<(i64, i64, String)> {
    sqlx::query_as("SELECT job_id, scheduled_ts, target_hostname FROM scheduled_job_runs ORDER BY id")
        .fetch_all(database)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_legacys_jobs_are_listed_and_start_when_they_are_due() {
    let root = LegacyRoot::new();
    let server = root.serve().await;
    let list = server
        .operator(Method::GET, "/api/scheduled_jobs", Value::Null)
        .await;
    let list = list["jobs"].as_array().unwrap();
    let named = |name: &str| list.iter().find(|job| job["name"] == name).unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(named("Nightly hello")["last_status"], "Success");
    assert_eq!(named("Nightly hello")["enabled"], false);
    assert_eq!(named("Month end")["next_run_ts"], 4_073_508_000_i64);

    let on = json!({"enabled": true});
    server
        .operator(Method::POST, "/api/scheduled_jobs/1/toggle", on)
        .await;
    let mut database = root.database().await;
    // Its last occurrence was at 15:21, and waited for WIN-FIX2, which did not come within the job's two hours.
    let last = 1_795_447_260;
    let past = [(1, last, "WIN-FIX1".to_owned()), (1, last, "WIN-FIX2".to_owned())];
    let due = Timestamp::from_second(last + 86_400).unwrap();
    server.settle_at(due - SignedDuration::from_secs(30)).await;
    assert_eq!(runs(&mut database).await, past);
    let bearer = format!("Bearer {}", root.text("/agents/agent1/access_token"));
    let mut agent = join(&server, &bearer).await;
    let agent_id = format!("WIN-FIX1_{}_SYSTEM", root.text("/agents/agent1/guid"));
    agent
        .call(
            "connect_agent",
            json!({"agent_id": agent_id, "service_mode": "system"}),
        )
        .await;
    server.settle_at(due + SignedDuration::from_secs(1)).await;
    let [first, second] = past;
    let begun = (1, due.as_second(), "WIN-FIX1".to_owned());
    assert_eq!(runs(&mut database).await, [first, second, begun]);
    let work = agent.frame().await;
    assert!(
        work.contains("quick_job_run") && work.contains("Scripts/hello.json"),
        "{work}"
    );
    server.stop().await;
}
