//! The server dies in the middle of enrollments: every answer that it gave holds.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{SigningKey, pkcs8::EncodePublicKey as _};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::mpsc;

/// Answers after which the server is killed.
const ANSWERS_BEFORE_THE_END: usize = 60;
const CLIENTS: u8 = 8;

struct Server {
    process: Child,
    base: String,
}

impl Server {
    async fn start(root: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(env!("CARGO_BIN_EXE_borealis-engine"))
            .env("BOREALIS_ROOT", root)
            .env("BOREALIS_PORT", port.to_string())
            .env("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9")
            .env("BOREALIS_SECRET", "the secret of the tests")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            process,
            base: format!("http://127.0.0.1:{port}"),
        };
        while crate::testkit::http::client()
            .get(format!("{}/health", server.base))
            .send()
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
        server
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn install_code(base: &str) -> String {
    let client = crate::testkit::http::client();
    let operator = crate::testkit::http::admin_token(base).await;
    let code: Value = client
        .post(format!("{base}/api/admin/enrollment-codes"))
        .bearer_auth(operator)
        .json(&json!({"max_uses": 10}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    code["code"].as_str().unwrap().to_owned()
}

/// Asks again and again, each time with another key, until the server is gone.
async fn enroll_until_the_end(base: String, code: String, number: u8, answers: mpsc::UnboundedSender<Value>) {
    let client = crate::testkit::http::client();
    for round in 0..=u8::MAX {
        let mut seed = [round; 32];
        seed[0] = number;
        let der = SigningKey::from_bytes(&seed)
            .verifying_key()
            .to_public_key_der()
            .unwrap();
        let asked = client
            .post(format!("{base}/api/agent/enroll/request"))
            // Each request comes from an address of its own, so that no rate limit is met.
            .header("x-forwarded-for", format!("192.0.{number}.{round}"))
            .json(&json!({
                "hostname": format!("HOST-{number}-{round}"),
                "enrollment_code": code,
                "agent_pubkey": STANDARD.encode(der.as_bytes()),
                "client_nonce": STANDARD.encode([0; 16]),
            }))
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
    let mut server = Server::start(root.path()).await;
    let code = install_code(&server.base).await;
    let (sender, mut answers) = mpsc::unbounded_channel();
    for number in 0..CLIENTS {
        tokio::spawn(enroll_until_the_end(
            server.base.clone(),
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
    let again = Server::start(root.path()).await;
    assert_eq!(install_code(&again.base).await.len(), 39);
}
