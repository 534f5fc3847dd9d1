//! The server dies in the middle of enrollments and of heartbeats: every answer that it gave holds.

use std::{collections::HashMap, path::Path};

use borealis_engine::domain::digest::sha256_hex;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tokio::sync::mpsc;

use crate::testkit::{
    enrollment,
    http::{admin_token, client, json_of},
    process::{ServerProcess, program, start},
};

/// Answers after which the server is killed.
const ANSWERS_BEFORE_THE_END: usize = 60;
const CLIENTS: u8 = 8;

fn serve(root: &Path) -> ServerProcess {
    let secret = [("BOREALIS_SECRET", "the secret of the tests")];
    start(program(root, &["serve"], &secret)).serving()
}

fn base(server: &ServerProcess) -> String {
    format!("http://{}", server.address)
}

async fn install_code(base: &str) -> String {
    let operator = admin_token(base).await;
    let code = json_of(
        client()
            .post(format!("{base}/api/admin/enrollment-codes"))
            .bearer_auth(operator)
            .json(&json!({"max_uses": 10})),
    )
    .await;
    code["code"].as_str().unwrap().to_owned()
}

/// Asks again and again, each time with another key, until the server is gone.
async fn enroll_until_the_end(base: String, code: String, number: u8, answers: mpsc::UnboundedSender<Value>) {
    let client = client();
    for round in 0..=u8::MAX {
        let mut key = [round; 32];
        key[0] = number;
        let asked = client
            .post(format!("{base}/api/agent/enroll/request"))
            // Each request comes from an address of its own, so that no rate limit is met.
            .header("x-forwarded-for", format!("192.0.{number}.{round}"))
            .json(&enrollment::request(
                &format!("HOST-{number}-{round}"),
                &code,
                key,
            ))
            .send()
            .await;
        let Ok(answer) = asked else { return };
        // An answer that was cut off half-way was not given.
        let Ok(body) = answer.json().await else { return };
        if answers.send(body).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_holds_after_a_kill_and_the_server_starts_again() {
    let root = tempfile::tempdir().unwrap();
    let mut server = serve(root.path());
    let code = install_code(&base(&server)).await;
    let (sender, mut answers) = mpsc::unbounded_channel();
    for number in 0..CLIENTS {
        tokio::spawn(enroll_until_the_end(
            base(&server),
            code.clone(),
            number,
            sender.clone(),
        ));
    }
    drop(sender);
    let mut given = Vec::new();
    while let Some(answer) = answers.recv().await {
        given.push(answer);
        if given.len() == ANSWERS_BEFORE_THE_END {
            server.kill();
        }
    }
    assert!(given.len() >= ANSWERS_BEFORE_THE_END, "{}", given.len());

    let url = format!("sqlite://{}", root.path().join("database.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let integrity: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(integrity, "ok");
    for answer in &given {
        let nonce: Option<String> =
            sqlx::query_scalar("SELECT server_nonce FROM device_approvals WHERE approval_reference = $1")
                .bind(answer["approval_reference"].as_str().unwrap())
                .fetch_optional(&mut database)
                .await
                .unwrap();
        assert_eq!(nonce.as_deref(), answer["server_nonce"].as_str(), "{answer}");
    }
    database.close().await.unwrap();
    let again = serve(root.path());
    assert_eq!(install_code(&base(&again)).await.len(), 39);
}

fn guid(number: u8) -> String {
    format!("00000000-0000-4000-8000-{number:012X}")
}

/// Reports, each time with another uptime, until the server is gone or the device has called as often as it may.
async fn report_until_the_end(base: String, number: u8, answers: mpsc::UnboundedSender<(u8, i64)>) {
    let client = client();
    let token = json_of(
        client
            .post(format!("{base}/api/agent/token/refresh"))
            .json(&json!({"guid": guid(number), "refresh_token": format!("token {number}")})),
    )
    .await;
    for uptime in 1..50 {
        let asked = client
            .post(format!("{base}/api/agent/heartbeat"))
            .bearer_auth(token["access_token"].as_str().unwrap())
            .json(&json!({"hostname": format!("HOST-{number}"), "metrics": {"uptime": uptime}}))
            .send()
            .await;
        let Ok(answer) = asked else { return };
        let status = answer.status();
        // An answer that was cut off half-way was not given.
        let Ok(body) = answer.text().await else { return };
        assert_eq!(status, 200, "{body}");
        if answers.send((number, uptime)).is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_heartbeat_that_was_answered_is_stored_after_a_kill() {
    let root = tempfile::tempdir().unwrap();
    let mut server = serve(root.path());
    let url = format!("sqlite://{}", root.path().join("database.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    for number in 0..CLIENTS {
        let (guid, hash) = (guid(number), sha256_hex(format!("token {number}").as_bytes()));
        let rows = format!(
            "INSERT INTO devices (guid, hostname, ssl_key_fingerprint, token_version, status) \
             VALUES ('{guid}', 'HOST-{number}', 'key {number}', 1, 'active'); \
             INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) VALUES ('{number}', '{guid}', '{hash}', '', '')"
        );
        sqlx::raw_sql(AssertSqlSafe(rows))
            .execute(&mut database)
            .await
            .unwrap();
    }
    database.close().await.unwrap();
    let (sender, mut answers) = mpsc::unbounded_channel();
    for number in 0..CLIENTS {
        tokio::spawn(report_until_the_end(base(&server), number, sender.clone()));
    }
    drop(sender);
    let mut last = HashMap::new();
    let mut count = 0;
    while let Some((number, uptime)) = answers.recv().await {
        last.insert(number, uptime);
        count += 1;
        if count == ANSWERS_BEFORE_THE_END {
            server.kill();
        }
    }
    assert!(count >= ANSWERS_BEFORE_THE_END, "{count}");
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    for (number, answered) in last {
        let stored: i64 = sqlx::query_scalar("SELECT uptime FROM devices WHERE guid = $1")
            .bind(guid(number))
            .fetch_one(&mut database)
            .await
            .unwrap();
        assert!(stored >= answered, "{number}: {stored} of {answered}");
    }
}
