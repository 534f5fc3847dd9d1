//! The server dies in the middle of enrollments and of heartbeats: every answer that it gave holds. What it left at work is
//! ended by the next one.

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
    serve_with(root, &[])
}

fn serve_with(root: &Path, variables: &[(&str, &str)]) -> ServerProcess {
    let secret = [("BOREALIS_SECRET", "the secret of the tests")];
    let variables = [&secret, variables].concat();
    start(program(root, &["serve"], &variables)).serving()
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

/// Runs until it is ended, and so does a child in a session of its own, as Ansible's workers have.
#[cfg(target_os = "linux")]
const ANSIBLE: &str = "#!/bin/sh\n\
    setsid sh -c 'echo $$ > worker.new; mv worker.new worker; sleep 600; true' &\n\
    while [ ! -s worker ]; do sleep 0.01; done\n\
    echo $$ > leader.new; mv leader.new leader; sleep 600; true\n";

#[cfg(target_os = "linux")]
async fn once(mut is_so: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(10)))
            .await
            .unwrap();
    }
    panic!("it does not come to that");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_that_a_killed_server_left_at_work_is_ended_at_the_next_start() {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    let root = tempfile::tempdir().unwrap();
    let programs = tempfile::tempdir().unwrap();
    let ansible = programs.path().join("ansible-playbook");
    fs::write(&ansible, ANSIBLE).unwrap();
    fs::set_permissions(&ansible, fs::Permissions::from_mode(0o755)).unwrap();
    // The playbook's process works in the folder of the playbook.
    let playbooks = root.path().join("Assemblies/Ansible_Playbooks");
    fs::create_dir_all(&playbooks).unwrap();
    fs::write(playbooks.join("p.yml"), "- hosts: all\n").unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let mut server = serve_with(root.path(), &[("PATH", &path)]);
    let operator = admin_token(&base(&server)).await;
    let ask = async |path: &str, body: Value| -> Value {
        let asked = client()
            .post(format!("{}{path}", base(&server)))
            .bearer_auth(&operator);
        let answer = asked.json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    };
    let credential = json!({
        "name": "c", "credential_type": "machine", "connection_type": "ssh", "username": "u", "password": "p",
    });
    let credential = ask("/api/credentials", credential).await;
    let wanted = json!({
        "playbook_path": "p.yml", "hostnames": ["HOST"], "credential_id": credential["credential"]["id"],
    });
    ask("/api/ansible/quick_run", wanted).await;
    once(|| playbooks.join("leader").exists()).await;
    let number = |name: &str| {
        fs::read_to_string(playbooks.join(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let left = ["leader", "worker"].map(number);
    server.kill();
    let lives = |id: &String| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    assert!(left.iter().all(lives), "{left:?}");
    let again = serve_with(root.path(), &[("PATH", &path)]);
    once(|| !left.iter().any(lives)).await;
    let url = format!("sqlite://{}", root.path().join("database.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let ended: String = sqlx::query_scalar("SELECT status || ': ' || stderr FROM activity_history")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(ended, "Failed: The server was stopped during the run");
    drop(again);
}
