//! The engine over a root folder that the real legacy made and worked in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
};

use borealis_engine::{
    Engine, RunningEngine, Settings,
    domain::{digest::sha256_hex, totp::Secret},
    integrations::{clock::ManualClock, random::SeededRandom},
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection as _, Row as _, SqliteConnection};

/// A copy of the fixture, so that it can be worked in.
struct LegacyRoot {
    folder: tempfile::TempDir,
    manifest: serde_json::Value,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file but the database, with its content.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("database.db")
        {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

impl LegacyRoot {
    fn new() -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy-root");
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture.join("root"), folder.path());
        let manifest = serde_json::from_slice(&fs::read(fixture.join("manifest.json")).unwrap()).unwrap();
        Self { folder, manifest }
    }

    fn text(&self, pointer: &str) -> &str {
        self.manifest
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
            .unwrap()
    }

    async fn serve(&self) -> RunningEngine {
        let variables = [
            ("BOREALIS_ROOT", self.folder.path().to_str().unwrap()),
            ("BOREALIS_SECRET", self.text("/secret")),
            ("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9"),
        ];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let settings = Settings::from_map(&variables, self.folder.path()).unwrap();
        let made_at: Timestamp = self.text("/made_at").parse().unwrap();
        let clock = ManualClock::new(made_at + SignedDuration::from_hours(1));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Engine::start(
            settings,
            Arc::new(clock),
            Arc::new(SeededRandom::new(1)),
            listener,
        )
        .await
        .unwrap()
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        files(self.folder.path(), &mut found);
        found
    }

    /// Every row of every table, and every table's declaration, as text; the engine's own tables, which the legacy does
    /// not look at, aside.
    async fn rows(&self) -> Vec<String> {
        let url = format!(
            "sqlite://{}?mode=ro",
            self.folder.path().join("database.db").display()
        );
        let mut database = SqliteConnection::connect(&url).await.unwrap();
        let mut found = Vec::new();
        let tables = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'engine_*' ORDER BY name";
        let tables = sqlx::query(tables).fetch_all(&mut database).await.unwrap();
        for table in tables {
            let name: String = table.get(0);
            found.push(table.get::<Option<String>, _>(1).unwrap_or_default());
            let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
                .bind(&name)
                .fetch_all(&mut database)
                .await
                .unwrap();
            let quoted: Vec<_> = columns
                .iter()
                .map(|column| format!("quote(\"{column}\")"))
                .collect();
            let statement = format!("SELECT {} FROM \"{name}\"", quoted.join(" || ',' || "));
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
                .fetch_all(&mut database)
                .await
                .unwrap();
            found.extend(rows.into_iter().map(|row| format!("{name}: {row}")));
        }
        found
    }
}

#[tokio::test]
async fn a_legacy_root_is_served_at_once_and_nothing_in_it_changes() {
    let root = LegacyRoot::new();
    let (files, rows) = (root.files(), root.rows().await);
    let engine = root.serve().await;
    let session = format!("session={}", root.text("/operator_cookies/session"));
    let answer: serde_json::Value = reqwest::Client::new()
        .get(format!(
            "http://{}/api/admin/device-approvals?status=pending",
            engine.address()
        ))
        .header("cookie", session)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["approvals"].as_array().unwrap().len(), 1);
    assert_eq!(answer["approvals"][0]["hostname_claimed"], "WIN-PENDING");
    engine.stop().await;
    assert_eq!(root.files(), files);
    assert_eq!(root.rows().await, rows);
}

#[tokio::test]
async fn the_operator_token_of_the_legacy_is_logged_in() {
    let root = LegacyRoot::new();
    let engine = root.serve().await;
    let me: serde_json::Value = reqwest::Client::new()
        .get(format!("http://{}/api/auth/me", engine.address()))
        .bearer_auth(root.text("/operator_cookies/borealis_auth"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(me["username"], "admin");
    engine.stop().await;
}

#[tokio::test]
async fn an_enrolled_agent_learns_the_head_that_the_legacy_knew_while_github_is_down() {
    let root = LegacyRoot::new();
    let engine = root.serve().await;
    let url = |path: &str| format!("http://{}{path}", engine.address());
    let client = reqwest::Client::new();
    let request = client
        .post(url("/api/agent/token/refresh"))
        .json(&serde_json::json!({
            "guid": root.text("/agents/agent1/guid"),
            "refresh_token": root.text("/agents/agent1/refresh_token"),
        }));
    let tokens: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let request = client
        .get(url("/api/repo/current_hash"))
        .bearer_auth(tokens["access_token"].as_str().unwrap());
    let head: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(head["sha"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(head["source"], "cache-stale");
    assert_eq!(
        head["error"],
        "GitHub REST API repo head lookup raised: github unreachable"
    );
    engine.stop().await;
}

#[tokio::test]
async fn the_legacys_sealed_secrets_are_read() {
    let root = LegacyRoot::new();
    let engine = root.serve().await;
    let client = reqwest::Client::new();
    let get = async |path: &str| -> serde_json::Value {
        let answer = client
            .get(format!("http://{}{path}", engine.address()))
            .bearer_auth(root.text("/operator_cookies/borealis_auth"))
            .send();
        answer.await.unwrap().json().await.unwrap()
    };
    let list = get("/api/credentials").await;
    let list = list["credentials"].as_array().unwrap();
    assert_eq!(
        list.len(),
        root.manifest["credentials"].as_object().unwrap().len()
    );
    for listed in list {
        let secrets = &root.manifest["credentials"][listed["name"].as_str().unwrap()];
        let read = get(&format!("/api/credentials/{}", listed["id"])).await;
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
    engine.stop().await;
}

#[tokio::test]
async fn an_operator_with_mfa_logs_in_with_the_secret_that_the_legacy_stored() {
    let root = LegacyRoot::new();
    let engine = root.serve().await;
    let client = reqwest::Client::builder().cookie_store(true).build().unwrap();
    let post = async |path: &str, body: serde_json::Value| {
        let answer = client
            .post(format!("http://{}{path}", engine.address()))
            .json(&body)
            .send();
        let answer = answer.await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<serde_json::Value>().await.unwrap(),
        )
    };
    let login = serde_json::json!({"username": "mfa", "password": root.text("/operators/2/password")});
    let (_, pending) = post("/api/auth/login", login).await;
    assert_eq!(pending["stage"], "verify");
    let made_at: Timestamp = root.text("/made_at").parse().unwrap();
    let step = u64::try_from((made_at.as_second() + 3600) / 30).unwrap();
    let code = Secret::read(root.text("/operators/2/totp_secret"))
        .unwrap()
        .code(step);
    let answer = serde_json::json!({"pending_token": pending["pending_token"], "code": code});
    let (status, done) = post("/api/auth/mfa/verify", answer).await;
    assert_eq!((status, &done["role"]), (200, &serde_json::json!("Admin")));
    engine.stop().await;
}
