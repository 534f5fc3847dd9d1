//! A whole server over a root folder of its own.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use borealis_engine::{
    Engine, RunningEngine, Settings, StartError,
    config::timing::Timing,
    domain::clock::Clock as _,
    integrations::{clock::ManualClock, random::SeededRandom},
    services::device_access::tokens::AccessTokens,
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{START, answer::Answer, browser::Browser, rows::Device};

/// A GitHub that nobody answers for.
pub(crate) const NO_GITHUB: &str = "http://127.0.0.1:9";

/// A clock that stands at [`START`].
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()))
}

/// The one place where these tests start an engine: over `root`, on a free loopback port. `variables` come after what
/// every test sets, so an empty value takes that away.
pub(crate) async fn try_start(
    root: &Path,
    variables: &[(&str, &str)],
    adjust: impl FnOnce(&mut Settings),
    clock: Arc<ManualClock>,
) -> Result<RunningEngine, StartError> {
    let root_text = root.display().to_string();
    let usual = [
        ("BOREALIS_ROOT", root_text.as_str()),
        ("BOREALIS_GITHUB_API_URL", NO_GITHUB),
        // With a default one nothing that is forwarded would be answered.
        ("BOREALIS_SECRET", "the secret of the tests"),
    ];
    let variables: BTreeMap<_, _> = usual
        .iter()
        .chain(variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut settings = Settings::from_map(&variables, root).unwrap();
    settings.timing = patient();
    adjust(&mut settings);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Engine::start(settings, clock, Arc::new(SeededRandom::new(1)), listener).await
}

/// Production's deadlines are for clients that may be gone. Those of a test are only slow, where the machine is busy: no
/// ping comes between what they expect, and nobody is let go. A test that is about a deadline sets it.
fn patient() -> Timing {
    const HOUR: Duration = Duration::from_secs(3600);
    Timing {
        ping_interval: HOUR,
        ping_timeout: HOUR,
        namespace_deadline: HOUR,
        database_deadline: Duration::from_secs(60),
        ..Timing::default()
    }
}

/// A server over `root` for tests that need nothing but its address; it keeps running while they use it.
pub(crate) async fn start(root: &Path, variables: &[(&str, &str)]) -> RunningEngine {
    try_start(root, variables, |_| (), clock()).await.unwrap()
}

/// Signs tokens as the server over `root` does.
pub(crate) fn tokens(root: &Path) -> AccessTokens {
    let file = root.join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
    let key = std::fs::read_to_string(file).unwrap();
    AccessTokens::new(&SigningKey::from_pkcs8_pem(&key).unwrap()).unwrap()
}

/// The database over `root`, as another program sees it.
pub(crate) async fn database(root: &Path) -> SqliteConnection {
    let file = root.join("database.db");
    SqliteConnection::connect(file.to_str().unwrap()).await.unwrap()
}

/// How a server is started, and started again.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    variables: Vec<(String, String)>,
    /// What is there before the first start.
    files: Vec<(String, String)>,
    adjust: fn(&mut Settings),
    clock: Arc<ManualClock>,
}

impl Setup {
    /// Another value of a variable.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file under the root, there before the first start.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// Settings that no variable sets.
    pub(crate) fn adjust(self, adjust: fn(&mut Settings)) -> Self {
        Self { adjust, ..self }
    }

    /// The clock starts at another time.
    pub(crate) fn at(self, time: Timestamp) -> Self {
        Self {
            clock: Arc::new(ManualClock::new(time)),
            ..self
        }
    }

    /// Over a fresh root folder.
    pub(crate) async fn start(self) -> Server {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in &self.files {
            write(folder.path(), path, text);
        }
        Server::begin(folder.path().to_owned(), Some(folder), self).await
    }

    /// Over this root folder, which stays.
    pub(crate) async fn over(self, root: &Path) -> Server {
        Server::begin(root.to_owned(), None, self).await
    }
}

/// A server that its test talks to, looks into and starts again.
#[derive(Debug)]
pub(crate) struct Server {
    root: PathBuf,
    /// The root, where it goes with the server.
    folder: Option<tempfile::TempDir>,
    setup: Setup,
    engine: RunningEngine,
    client: reqwest::Client,
}

impl Server {
    /// Under a policy, with these rows.
    pub(crate) async fn start(policy: &str, rows: impl Into<String>) -> Self {
        Self::start_with(policy, rows, |_| ()).await
    }

    /// The same with settings that no variable sets. The web client may also come from `http://ui.example`.
    pub(crate) async fn start_with(policy: &str, rows: impl Into<String>, adjust: fn(&mut Settings)) -> Self {
        let setup = Self::with(&[
            ("BOREALIS_ACCESS_POLICY", policy),
            ("BOREALIS_CORS_ORIGINS", "http://ui.example"),
        ]);
        let server = setup.adjust(adjust).start().await;
        server.sql(rows).await;
        server
    }

    /// With these variables, under `strict` unless they say otherwise.
    pub(crate) fn with(variables: &[(&str, &str)]) -> Setup {
        let variables = variables.iter();
        Setup {
            variables: variables
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            files: Vec::new(),
            adjust: |_| (),
            clock: clock(),
        }
    }

    async fn begin(root: PathBuf, folder: Option<tempfile::TempDir>, setup: Setup) -> Self {
        let variables = setup.variables.iter();
        let variables: Vec<_> = variables
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let engine = try_start(&root, &variables, setup.adjust, Arc::clone(&setup.clock));
        Self {
            engine: engine.await.unwrap(),
            root,
            folder,
            setup,
            client: crate::testkit::http::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap(),
        }
    }

    pub(crate) async fn restart(self) -> Self {
        self.restart_after("").await
    }

    /// Stops; `meanwhile` happens to the database; starts again.
    pub(crate) async fn restart_after(self, meanwhile: &str) -> Self {
        self.engine.stop().await;
        let mut database = database(&self.root).await;
        run(&mut database, meanwhile.to_owned()).await;
        database.close().await.unwrap();
        Self::begin(self.root, self.folder, self.setup).await
    }

    /// Starts again under another policy.
    pub(crate) async fn restart_as(self, policy: &str) -> Self {
        self.engine.stop().await;
        let setup = self.setup.set("BOREALIS_ACCESS_POLICY", policy);
        Self::begin(self.root, self.folder, setup).await
    }

    pub(crate) async fn stop(self) {
        self.engine.stop().await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.engine.address()
    }

    /// Where its metrics are, of a server that serves them.
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.engine.metrics_address().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a file under the root.
    pub(crate) fn file(&self, path: &str, text: &str) {
        write(self.root(), path, text);
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// For a socket client.
impl From<&Server> for SocketAddr {
    fn from(server: &Server) -> Self {
        server.address()
    }
}

/// Time.
impl Server {
    pub(crate) fn clock(&self) -> &ManualClock {
        &self.setup.clock
    }

    /// Moves the clock.
    pub(crate) fn pass(&self, time: Duration) {
        self.setup.clock.set(self.setup.clock.now() + time);
    }

    /// Moves the clock and waits for what becomes due.
    pub(crate) async fn pass_and_settle(&self, time: Duration) {
        self.setup.clock.advance(self.setup.clock.now() + time).await;
    }

    /// Sets the clock, Unix seconds.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.setup.clock.set(Timestamp::from_second(seconds).unwrap());
    }
}

/// Rows.
impl Server {
    pub(crate) async fn database(&self) -> SqliteConnection {
        database(self.root()).await
    }

    pub(crate) async fn sql(&self, statements: impl Into<String>) {
        let mut database = self.database().await;
        run(&mut database, statements.into()).await;
        database.close().await.unwrap();
    }

    /// The one number that a query gives.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        self.one(query).await
    }

    /// The one text that a query gives.
    pub(crate) async fn text(&self, query: &'static str) -> Option<String> {
        self.one(query).await
    }

    /// Closes what it opens: a connection that is dropped has the file open for a while longer, and a program that wants
    /// the file alone is refused.
    async fn one<T>(&self, query: &'static str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
    {
        let mut database = self.database().await;
        let value = sqlx::query_scalar(query).fetch_one(&mut database).await.unwrap();
        database.close().await.unwrap();
        value
    }

    /// Keeps everybody from writing.
    pub(crate) async fn lock_database(&self) -> DatabaseLock {
        let mut connection = self.database().await;
        run(&mut connection, "BEGIN IMMEDIATE".to_owned()).await;
        DatabaseLock {
            _connection: connection,
        }
    }
}

async fn run(database: &mut SqliteConnection, statements: String) {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(database)
        .await
        .unwrap();
}

/// Nothing can be written while this is held.
pub(crate) struct DatabaseLock {
    _connection: SqliteConnection,
}

/// Who calls.
impl Server {
    /// A device's access token.
    pub(crate) fn token(&self, guid: &str, fingerprint: &str, version: i64, now: i64) -> String {
        let tokens = tokens(self.root());
        tokens.issue(guid, fingerprint, version, now).unwrap()
    }

    /// The `Authorization` header of a device.
    pub(crate) fn bearer(&self, device: &Device) -> String {
        let Device {
            guid,
            fingerprint,
            token_version,
            ..
        } = device;
        format!("Bearer {}", self.token(guid, fingerprint, *token_version, START))
    }

    /// Logs the default operator in and gives the cookies.
    pub(crate) async fn log_in(&self) -> String {
        self.log_in_as("admin").await
    }

    /// Logs an operator in whose password is the default one, and gives the cookies.
    pub(crate) async fn log_in_as(&self, username: &str) -> String {
        let answer = self.login(username).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.cookies()
    }

    /// The answer to a login with the default password.
    pub(crate) async fn login(&self, username: &str) -> Answer {
        let body = serde_json::json!({"username": username, "password": "Password"}).to_string();
        self.send("POST", "/api/auth/login", &[], &body).await
    }

    /// A browser that nobody has logged in with.
    pub(crate) fn browser(&self) -> Browser {
        self.browser_at("192.0.2.1")
    }

    /// The same at an address of its own.
    pub(crate) fn browser_at(&self, address: impl Into<String>) -> Browser {
        Browser::new(self.url(""), address.into())
    }

    /// The default operator's browser.
    pub(crate) async fn admin(&self) -> Browser {
        let browser = self.browser();
        assert_eq!(browser.login("admin", "Password").await.0, 200);
        browser
    }
}

/// Requests. They follow no redirect and keep no cookie.
impl Server {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Any request; a body that is not empty is JSON unless a header says otherwise.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut sent = HeaderMap::new();
        if !body.is_empty() {
            sent.insert("content-type", "application/json".parse().unwrap());
        }
        let request = self.request(method.parse().unwrap(), path).headers(sent);
        Answer::to(with(request, headers).body(body.to_owned())).await
    }

    /// Status and body of any request; a body is JSON.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let answer = self.send(method, path, headers, body).await;
        (answer.status, answer.body)
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        self.ask("GET", path, headers, "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, String) {
        self.ask("DELETE", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.ask("POST", path, &[], body).await
    }

    /// Status, headers and body of a request to the socket endpoint.
    pub(crate) async fn poll(
        &self,
        method: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, HeaderMap, Vec<u8>) {
        let request = self.request(method.parse().unwrap(), &format!("/socket.io/?{query}"));
        let answer = with(request, headers).body(body.to_owned()).send().await.unwrap();
        let head = (answer.status().as_u16(), answer.headers().clone());
        (head.0, head.1, answer.bytes().await.unwrap().to_vec())
    }
}

fn with(mut request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request
}
