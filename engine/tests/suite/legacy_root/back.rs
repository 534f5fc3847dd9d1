//! From the engine back to the legacy: after the engine has worked in a legacy root, everything in it is as the legacy
//! itself would have left it.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{
    forms::forms,
    server::{LegacyRoot, Server},
};
use crate::testkit::socket::Client;

/// Forms that the fixture does not hold, because the legacy had not done the thing there, and that it writes when it
/// does; recordings of the legacy show each.
const ALSO_WRITTEN: [(&str, &[&str]); 27] = [
    ("activity_history.script_path", &["text"]),
    ("activity_history.stderr", &["text"]),
    ("activity_history.stdout", &["empty"]),
    ("agent_service_account.agent_id", &["text"]),
    ("agent_service_account.last_rotated_utc", &["ISO time with Z"]),
    ("agent_service_account.password_encrypted", &["blob: sealed"]),
    ("agent_service_account.password_hash", &["null"]),
    ("agent_service_account.username", &["text"]),
    ("agent_service_account.version", &["integer"]),
    ("credentials.become_password_encrypted", &["blob: sealed"]),
    ("credentials.become_username", &["text"]),
    ("credentials.description", &["text"]),
    ("device_approvals.status", &["text"]),
    ("devices.agent_hash", &["text"]),
    ("devices.ansible_ee_ver", &["text"]),
    ("refresh_tokens.last_used_at", &["ISO time"]),
    ("scheduled_job_run_activity.activity_id", &["integer"]),
    ("scheduled_job_run_activity.component_kind", &["text"]),
    ("scheduled_job_run_activity.component_name", &["text"]),
    ("scheduled_job_run_activity.component_path", &["text"]),
    ("scheduled_job_run_activity.created_at", &["epoch seconds"]),
    ("scheduled_job_run_activity.id", &["integer"]),
    ("scheduled_job_run_activity.run_id", &["integer"]),
    ("scheduled_job_run_activity.script_type", &["text"]),
    ("scheduled_job_runs.finished_ts", &["null"]),
    ("scheduled_jobs.start_ts", &["epoch seconds"]),
    ("users.last_login", &["epoch seconds"]),
];

/// The declarations of everything but the engine's own tables.
async fn declarations(database: &mut SqliteConnection) -> Vec<(String, Option<String>)> {
    sqlx::query_as("SELECT name, sql FROM sqlite_master WHERE tbl_name NOT GLOB 'engine_*' ORDER BY name")
        .fetch_all(database)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_worked_in_root_holds_what_the_legacy_would_have_written() {
    let root = LegacyRoot::new();
    let files = root.files();
    let declared = declarations(&mut root.database().await).await;
    let mut known = forms(&mut root.database().await).await;
    let server = root.serve().await;
    work_of_operators(&server).await;
    work_of_agents(&server, &root).await;
    enrollment(&server).await;
    work_of_the_scheduler(&server, &root).await;
    server.stop().await;
    // No journal lies beside the database, so it can be copied alone.
    assert!(
        root.files() == files,
        "there are {:?}; keys, certificates, assemblies and caches stay as they were",
        root.files().keys()
    );

    for (column, more) in ALSO_WRITTEN {
        let known = known.get_mut(column).unwrap_or_else(|| panic!("no {column}"));
        known.extend(more.iter().map(|form| (*form).to_owned()));
    }
    // A device that has enrolled and not reported yet has no more than its name, GUID and key.
    for (_, known) in known
        .iter_mut()
        .filter(|(column, _)| column.starts_with("devices."))
    {
        known.insert("null".to_owned());
    }
    let mut database = root.database().await;
    let others: Vec<_> = forms(&mut database)
        .await
        .into_iter()
        .map(|(column, found)| (found.difference(&known[&column]).cloned().collect(), column))
        .filter(|(others, _): &(BTreeSet<_>, _)| !others.is_empty())
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    assert_eq!(declarations(&mut database).await, declared);
    let (user_version, journal): (i64, String) =
        sqlx::query_as("SELECT user_version, journal_mode FROM pragma_user_version, pragma_journal_mode")
            .fetch_one(&mut database)
            .await
            .unwrap();
    assert_eq!((user_version, journal.as_str()), (0, "wal"));
}

/// What a database declares of columns and indexes, whatever blanks its statements have.
async fn shape(database: &mut SqliteConnection) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT 'column ' || t.name || '.' || c.cid || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || \
         coalesce(c.dflt_value, '-') || ' ' || c.pk FROM sqlite_master t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT GLOB 'engine_*' \
         UNION ALL SELECT 'index ' || t.name || '.' || i.name || ' ' || i.\"unique\" || ' ' || i.origin || ' ' || \
         (SELECT group_concat(name) FROM pragma_index_info(i.name)) FROM sqlite_master t \
         JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND t.name NOT GLOB 'engine_*' \
         UNION ALL SELECT 'reference ' || t.name || '.' || k.\"from\" || ' ' || k.\"table\" || ' ' || k.on_delete \
         FROM sqlite_master t JOIN pragma_foreign_key_list(t.name) k WHERE t.name NOT GLOB 'engine_*' ORDER BY 1",
    )
    .fetch_all(database)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_new_database_has_the_shape_of_one_that_the_legacy_made() {
    let root = LegacyRoot::new();
    let expected = shape(&mut root.database().await).await;
    let new = LegacyRoot::new();
    std::fs::remove_file(new.folder.path().join("database.db")).unwrap();
    new.serve().await.stop().await;
    assert_eq!(shape(&mut new.database().await).await, expected);
}

async fn work_of_operators(server: &Server) {
    let login = json!({"username": "olivia", "password": "olivia-pw"});
    assert_eq!(
        server.ask(Method::POST, "/api/auth/login", &[], login).await.0,
        200
    );
    let password = "ab".repeat(64);
    for (method, path, body) in [
        (
            Method::POST,
            "/api/users",
            json!({"username": "bert", "display_name": "Bert", "password_sha512": password, "role": "User"}),
        ),
        (Method::POST, "/api/users/bert/role", json!({"role": "Admin"})),
        (
            Method::POST,
            "/api/users/bert/reset_password",
            json!({"password_sha512": password}),
        ),
        (Method::POST, "/api/users/bert/mfa", json!({"enabled": true})),
        (
            Method::POST,
            "/api/users/mfa/mfa",
            json!({"enabled": true, "reset_secret": true}),
        ),
        (
            Method::POST,
            "/api/credentials",
            json!({"name": "new", "description": "for servers", "site_id": 2, "username": "root", "password": "hunter2",
                   "private_key": "-KEY-", "private_key_passphrase": "open", "become_method": "sudo",
                   "become_username": "boss", "become_password": "p\u{e4}ss",
                   "metadata": {"port": 22, "nested": {"b": [1, 2.5, null, true], "\u{fc}": "\u{e9}"}}}),
        ),
        (
            Method::PUT,
            "/api/credentials/2",
            json!({"password": "W2n!", "metadata": {"transport": "ntlm"}}),
        ),
        (
            Method::POST,
            "/api/admin/enrollment-codes",
            json!({"ttl_hours": 1, "max_uses": 1}),
        ),
    ] {
        server.operator(method, path, body).await;
    }
}

async fn work_of_agents(server: &Server, root: &LegacyRoot) {
    for (agent, known) in root.manifest["agents"].as_object().unwrap() {
        let token = server.refresh(root, agent).await;
        let hostname = known["hostname"].as_str().unwrap();
        let inventory = json!({
            "memory": [{"slot": "DIMM0", "capacity": 8_589_934_592_i64}], "software": [{"name": "F\u{fc}\u{fc}", "version": "1.0"}],
            "storage": [{"drive": "C:", "usage": 12.5}], "cpu": {"name": "x", "cores": 4}
        });
        let beat = json!({
            "hostname": hostname, "internal_ip": "10.0.0.9", "inventory": inventory,
            "metrics": {"last_user": "LAB\\alice", "operating_system": "Windows 11", "uptime": 4321}
        });
        let details = json!({
            "hostname": hostname, "agent_hash": "h-1",
            "details": {"summary": {"hostname": hostname, "device_type": "Desktop", "uptime_sec": 3600,
                                    "last_seen": 1_795_450_000, "ansible_ee_ver": "1.2"},
                        "network": [{"adapter": "Ethernet", "ips": ["10.0.0.7"]}], "cpu": {"name": "AMD"}}
        });
        let agent_id = format!("{hostname}_{}_SYSTEM", known["guid"].as_str().unwrap());
        for (path, body) in [
            ("heartbeat", beat),
            ("details", details),
            ("script/request", json!({})),
            ("hash", json!({"agent_hash": "0123abc"})),
            ("checkin", json!({"agent_id": agent_id, "hostname": hostname})),
            ("service-account/rotate", json!({"agent_id": agent_id})),
        ] {
            server.device(&format!("/api/agent/{path}"), &token, body).await;
        }
    }
}

async fn enrollment(server: &Server) {
    let code = server
        .operator(
            Method::POST,
            "/api/admin/enrollment-codes",
            json!({"ttl_hours": 1, "max_uses": 2}),
        )
        .await;
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut public = b"0*0\x05\x06\x03+ep\x03!\x00".to_vec();
    public.extend(key.verifying_key().as_bytes());
    let nonce = [9; 32];
    let request = json!({
        "hostname": "WIN-NEW", "enrollment_code": code["code"],
        "agent_pubkey": BASE64_STANDARD.encode(public), "client_nonce": BASE64_STANDARD.encode(nonce)
    });
    let (status, waiting) = server
        .ask(Method::POST, "/api/agent/enroll/request", &[], request)
        .await;
    assert_eq!(status, 200, "{waiting}");
    let list = "/api/admin/device-approvals?status=pending";
    let pending = server.operator(Method::GET, list, Value::Null).await;
    for approval in pending["approvals"].as_array().unwrap() {
        let verdict = if approval["hostname_claimed"] == "WIN-NEW" {
            "approve"
        } else {
            "deny"
        };
        let path = format!(
            "/api/admin/device-approvals/{}/{verdict}",
            approval["id"].as_str().unwrap()
        );
        server.operator(Method::POST, &path, json!({})).await;
    }
    let reference = waiting["approval_reference"].as_str().unwrap();
    let mut message = BASE64_STANDARD
        .decode(waiting["server_nonce"].as_str().unwrap())
        .unwrap();
    message.extend(reference.as_bytes());
    message.extend(nonce);
    let poll = json!({
        "approval_reference": reference, "client_nonce": BASE64_STANDARD.encode(nonce),
        "proof_sig": BASE64_STANDARD.encode(key.sign(&message).to_bytes())
    });
    let (status, done) = server
        .ask(Method::POST, "/api/agent/enroll/poll", &[], poll)
        .await;
    assert_eq!((status, &done["status"]), (200, &json!("approved")), "{done}");
}

/// The next event of this name that comes with work, and its argument; what is asked for is acknowledged.
async fn work(client: &mut Client) -> Value {
    loop {
        let frame = client.frame().await;
        let Some((number, data)) = frame
            .strip_prefix("42")
            .and_then(|rest| Some(rest.split_at(rest.find('[')?)))
        else {
            panic!("{frame}");
        };
        let event: Value = serde_json::from_str(data).unwrap();
        if !number.is_empty() {
            client.send(&format!("43{number}[]")).await;
        }
        if event[0] == "quick_job_run" {
            return event[1].clone();
        }
    }
}

async fn work_of_the_scheduler(server: &Server, root: &LegacyRoot) {
    let guid = root.text("/agents/agent1/guid");
    let bearer = format!("Bearer {}", root.text("/agents/agent1/access_token"));
    let mut agent = Client::join_new(server, &[("authorization", &bearer)]).await;
    let hello = json!({"agent_id": format!("WIN-FIX1_{guid}_SYSTEM"), "service_mode": "system"});
    agent.call("connect_agent", hello).await;
    let job = json!({
        "name": "From the engine", "components": [{"type": "script", "path": "Scripts/hello.json",
        "variable_values": {"who": "fl\u{e9}et"}}], "targets": ["WIN-FIX1", "WIN-FIX2"],
        "schedule": {"type": "daily", "start": "2026-11-23T17:25:00"}, "expiration": "2h", "execution_context": "system"
    });
    let made = server.operator(Method::POST, "/api/scheduled_jobs", job).await;
    let start = made["job"]["start_ts"].as_i64().unwrap();
    let due = jiff::Timestamp::from_second(start).unwrap();
    server.settle_at(due + SignedDuration::from_secs(1)).await;
    let payload = work(&mut agent).await;
    let result =
        json!({"job_id": payload["job_id"], "status": "Success", "stdout": "Hello", "stderr": "warning"});
    agent.call_and_pass_over("quick_job_result", result).await;

    let quick = json!({"script_path": "Scripts/hello.json", "hostnames": ["WIN-FIX1", "WIN-FIX2"]});
    server
        .operator(Method::POST, "/api/scripts/quick_run", quick)
        .await;
    let payload = work(&mut agent).await;
    let result = json!({"job_id": payload["job_id"], "status": "Failed", "stdout": "", "stderr": "no"});
    agent.call_and_pass_over("quick_job_result", result).await;
    // What never ends runs out.
    server.settle_at(due + SignedDuration::from_hours(5)).await;
}
