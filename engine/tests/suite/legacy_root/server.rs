//! A copy of the fixture, and a server over it.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::testkit::{files::copy, server};

/// A copy of the fixture, so that it can be worked in.
pub(crate) struct LegacyRoot {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) manifest: Value,
}

fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !(path.ends_with("database.db") || path.ends_with("database.db.lock")) {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

impl LegacyRoot {
    pub(crate) fn new() -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy-root");
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture.join("root"), folder.path());
        let manifest = serde_json::from_slice(&fs::read(fixture.join("manifest.json")).unwrap()).unwrap();
        Self { folder, manifest }
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.manifest.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    pub(crate) fn made_at(&self) -> Timestamp {
        self.text("/made_at").parse().unwrap()
    }

    /// Starts an engine that was given the folder, the legacy's secret and no GitHub, an hour after the legacy stopped.
    pub(crate) async fn serve(&self) -> Server {
        let secret = [("BOREALIS_SECRET", self.text("/secret"))];
        let an_hour_later = self.made_at() + SignedDuration::from_hours(1);
        let server = server::Server::with(&secret).at(an_hour_later);
        Server {
            server: server.over(self.folder.path()).await,
            operator: format!(
                "session={}; borealis_auth={}",
                self.text("/operator_cookies/session"),
                self.text("/operator_cookies/borealis_auth")
            ),
        }
    }

    /// Every file but the database and the engine's lock, with its content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        files(self.folder.path(), &mut found);
        found
    }

    pub(crate) async fn database(&self) -> SqliteConnection {
        let path = self.folder.path().join("database.db");
        SqliteConnection::connect(&format!("sqlite://{}?mode=ro", path.display()))
            .await
            .unwrap()
    }

    /// Every row of every table, and every table's declaration, as text; the engine's own tables, which the legacy does
    /// not look at, aside.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let mut database = self.database().await;
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
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(statement))
                .fetch_all(&mut database)
                .await
                .unwrap();
            found.extend(rows.into_iter().map(|row| format!("{name}: {row}")));
        }
        found
    }
}

/// An engine over a legacy root.
pub(crate) struct Server {
    server: server::Server,
    /// The cookies that the legacy gave its operator.
    pub(crate) operator: String,
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Sets the clock and waits for what becomes due.
    pub(crate) async fn settle_at(&self, time: Timestamp) {
        self.server.clock().advance(time).await;
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// Status and body; a body that is not `null` is sent as JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.server
            .send(method.as_str(), path, headers, &body)
            .await
            .status_and_json()
    }

    /// What the legacy's operator is answered; it has to be a success.
    pub(crate) async fn operator(&self, method: Method, path: &str, body: Value) -> Value {
        let headers = [("cookie", self.operator.as_str())];
        let (status, answer) = self.ask(method.clone(), path, &headers, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// What a device with this access token is answered; it has to be a success.
    pub(crate) async fn device(&self, path: &str, token: &str, body: Value) -> Value {
        let bearer = format!("Bearer {token}");
        let (status, answer) = self
            .ask(Method::POST, path, &[("authorization", &bearer)], body)
            .await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// A fresh access token for an agent of the fixture, by its refresh token.
    pub(crate) async fn refresh(&self, root: &LegacyRoot, agent: &str) -> String {
        let body = serde_json::json!({
            "guid": root.text(&format!("/agents/{agent}/guid")),
            "refresh_token": root.text(&format!("/agents/{agent}/refresh_token")),
        });
        let (status, answer) = self
            .ask(Method::POST, "/api/agent/token/refresh", &[], body)
            .await;
        assert_eq!(status, 200, "{agent}: {answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

/// For a socket client.
impl From<&Server> for SocketAddr {
    fn from(server: &Server) -> Self {
        server.address()
    }
}
