//! A whole server over a fresh root folder.

use std::{collections::BTreeMap, net::SocketAddr, net::TcpListener, sync::Arc, time::Duration};

use borealis_engine::{
    Engine, RunningEngine, Settings,
    integrations::{clock::ManualClock, random::SeededRandom},
    services::device_access::tokens::AccessTokens,
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;
use sqlx::{Connection as _, SqliteConnection};

pub(crate) const START: i64 = 1_800_000_000;
pub(crate) const GUID: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
pub(crate) const AGENT: &str = "WIN-1_3F2504E0-4F89-11D3-9A0C-0305E82C3301_SYSTEM";

pub(crate) struct Server {
    root: tempfile::TempDir,
    policy: &'static str,
    adjust: fn(&mut Settings),
    clock: Arc<ManualClock>,
    engine: RunningEngine,
}

impl Server {
    /// Starts with these rows.
    pub(crate) async fn start(policy: &'static str, rows: &'static str) -> Self {
        Self::start_with(policy, rows, |_| ()).await
    }

    /// Starts with these rows and settings that no variable sets.
    pub(crate) async fn start_with(
        policy: &'static str,
        rows: &'static str,
        adjust: fn(&mut Settings),
    ) -> Self {
        let server = Self::over(tempfile::tempdir().unwrap(), policy, adjust).await;
        server.sql(rows).await;
        server
    }

    async fn over(root: tempfile::TempDir, policy: &'static str, adjust: fn(&mut Settings)) -> Self {
        let folder = |name: &str| root.path().join(name).display().to_string();
        let variables: BTreeMap<_, _> = [
            ("BOREALIS_ROOT", folder("")),
            ("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9".to_owned()),
            ("BOREALIS_SECRET", "the secret of the tests".to_owned()),
            ("BOREALIS_PROJECT_ROOT", folder("")),
            ("BOREALIS_SERVER_ROOT", folder("runtime")),
            ("BOREALIS_CERT_ROOT", folder("certificates")),
            ("BOREALIS_SERVER_CERT_ROOT", folder("certificates/server")),
            ("BOREALIS_DATABASE_PATH", folder("database.db")),
            ("BOREALIS_TLS", "off".to_owned()),
            ("BOREALIS_ACCESS_POLICY", policy.to_owned()),
            ("BOREALIS_CORS_ORIGINS", "http://ui.example".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
        let mut settings = Settings::from_map(&variables, root.path()).unwrap();
        adjust(&mut settings);
        let engine = Engine::start(
            settings,
            clock.clone(),
            Arc::new(SeededRandom::new(1)),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        )
        .await
        .unwrap();
        Self {
            root,
            policy,
            adjust,
            clock,
            engine,
        }
    }

    pub(crate) async fn restart(self) -> Self {
        self.engine.stop().await;
        Self::over(self.root, self.policy, self.adjust).await
    }

    /// Starts again under another policy.
    pub(crate) async fn restart_as(self, policy: &'static str) -> Self {
        self.engine.stop().await;
        Self::over(self.root, policy, self.adjust).await
    }

    pub(crate) async fn stop(self) {
        self.engine.stop().await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// Moves the server's clock.
    pub(crate) fn pass(&self, time: Duration) {
        use borealis_engine::domain::clock::Clock as _;
        let now = self.clock.now();
        self.clock.set(now + time);
    }

    pub(crate) async fn sql(&self, statements: &'static str) {
        let file = self.root.path().join("database.db");
        let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    }

    /// The one number that a query gives.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let file = self.root.path().join("database.db");
        let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        sqlx::query_scalar(query)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    /// Keeps everybody from writing.
    pub(crate) async fn lock_database(&self) -> DatabaseLock {
        let file = self.root.path().join("database.db");
        let mut connection = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await
            .unwrap();
        DatabaseLock {
            _connection: connection,
        }
    }

    pub(crate) fn token(&self, guid: &str, fingerprint: &str, version: i64, now: i64) -> String {
        let file = self
            .root
            .path()
            .join("runtime/auth_keys/borealis-jwt-ed25519.key");
        let key = SigningKey::from_pkcs8_pem(&std::fs::read_to_string(file).unwrap()).unwrap();
        let tokens = AccessTokens::new(&key).unwrap();
        tokens.issue(guid, fingerprint, version, now).unwrap()
    }

    /// Logs the default operator in and gives the cookies.
    pub(crate) async fn log_in(&self) -> String {
        self.log_in_as("admin").await
    }

    /// Logs an operator in whose password is the default one, and gives the cookies.
    pub(crate) async fn log_in_as(&self, username: &str) -> String {
        let answer = self
            .request(reqwest::Method::POST, "/api/auth/login")
            .header("content-type", "application/json")
            .body(format!(
                "{{\"username\":\"{username}\",\"password\":\"Password\"}}"
            ))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer
            .headers()
            .get_all("set-cookie")
            .iter()
            .filter_map(|cookie| cookie.to_str().unwrap().split(';').next())
            .collect::<Vec<_>>()
            .join("; ")
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let mut request = self.request(reqwest::Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Any request; a body is JSON.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut request = self
            .request(method.parse().unwrap(), path)
            .header("content-type", "application/json")
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    /// Writes a file under the root.
    pub(crate) fn file(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Moves the server's clock and waits for what becomes due.
    pub(crate) async fn pass_and_settle(&self, time: Duration) {
        use borealis_engine::domain::clock::Clock as _;
        let now = self.clock.now();
        self.clock.advance(now + time).await;
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, String) {
        answer(self.request(reqwest::Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &'static str) -> (u16, String) {
        let request = self.request(reqwest::Method::POST, path);
        answer(request.header("content-type", "application/json").body(body)).await
    }

    /// Status, headers and body of a request to the socket endpoint.
    pub(crate) async fn poll(
        &self,
        method: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
        let mut request = self
            .request(method.parse().unwrap(), &format!("/socket.io/?{query}"))
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        let head = (answer.status().as_u16(), answer.headers().clone());
        (head.0, head.1, answer.bytes().await.unwrap().to_vec())
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        reqwest::Client::new().request(method, format!("http://{}{path}", self.address()))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Nothing can be written while this is held.
pub(crate) struct DatabaseLock {
    _connection: SqliteConnection,
}
