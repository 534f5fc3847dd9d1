//! The routes about GitHub on a whole server: what is refused, what is stored, and where the token does not show.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

use std::{collections::BTreeMap, fs, net::TcpListener, path::PathBuf, sync::Arc};

use borealis_engine::{
    Engine, RunningEngine, Settings,
    config::{
        log_file::{KEPT_FILES, Kept, LogFile},
        logging::EngineLog,
    },
    domain::repository_head::RepositoryBranch,
    integrations::{clock::ManualClock, github::GitHubClient, random::SeededRandom},
    services::device_access::tokens::AccessTokens,
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{Layer as _, Registry, filter::LevelFilter, layer::SubscriberExt as _};
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{any, header as has_header, path},
};

const START: i64 = 1_800_000_000;
const TOKEN: &str = "ghp_0123456789abcdefghij";

struct Story {
    folder: tempfile::TempDir,
    github: Option<MockServer>,
    engine: RunningEngine,
    client: reqwest::Client,
    _log: DefaultGuard,
}

impl Story {
    async fn new(github: MockServer) -> Self {
        Self::asking(github.uri(), Some(github)).await
    }

    /// A server that asks GitHub at `url`, with an operator who is logged in. What this thread logs goes to a file.
    async fn asking(url: String, github: Option<MockServer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
        let log = LogFile::new(
            folder.path().join("test.log"),
            TimeZone::UTC,
            Kept::Files(KEPT_FILES),
        );
        let log = EngineLog::new(log, clock.clone(), true).with_filter(LevelFilter::TRACE);
        let guard = tracing::subscriber::set_default(Registry::default().with(log));
        let variables = BTreeMap::from([
            ("BOREALIS_ROOT".to_owned(), folder.path().display().to_string()),
            ("BOREALIS_GITHUB_API_URL".to_owned(), url),
        ]);
        let engine = Engine::start(
            Settings::from_map(&variables, folder.path()).unwrap(),
            clock,
            Arc::new(SeededRandom::new(1)),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        )
        .await
        .unwrap();
        let story = Self {
            folder,
            github,
            engine,
            client: reqwest::Client::builder().cookie_store(true).build().unwrap(),
            _log: guard,
        };
        let login = json!({"username": "admin", "password": "Password"});
        let request = story.client.post(story.url("/api/auth/login")).json(&login);
        assert_eq!(request.send().await.unwrap().status(), 200);
        story
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.engine.address())
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        answer(self.client.post(self.url("/api/github/token")).json(&body)).await
    }

    async fn token(&self) -> Value {
        let (status, body) = answer(self.client.get(self.url("/api/github/token"))).await;
        assert_eq!(status, 200);
        body
    }

    /// What a device is told about a head.
    async fn head(&self, query: &str) -> (u16, Value) {
        let key = self
            .folder
            .path()
            .join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
        let key = SigningKey::from_pkcs8_pem(&fs::read_to_string(key).unwrap()).unwrap();
        let token = AccessTokens::new(&key)
            .unwrap()
            .issue("3F2504E0-4F89-11D3-9A0C-0305E82C3301", "ab", 1, START)
            .unwrap();
        let url = self.url(&format!("/api/repo/current_hash{query}"));
        answer(self.client.get(url).bearer_auth(token)).await
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("test.log")
    }

    async fn sql(&self, statement: &'static str) {
        let file = self.folder.path().join("database.db");
        let mut database = SqliteConnection::connect(file.to_str().unwrap()).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut database).await.unwrap();
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

async fn github(response: impl Respond + 'static) -> MockServer {
    let github = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&github).await;
    github
}

fn accepted() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("X-RateLimit-Limit", "5000")
        .set_body_json(json!({"commit": {"sha": "abc"}}))
}

#[tokio::test]
async fn a_refused_token_changes_nothing() {
    let story = Story::new(github(accepted()).await).await;
    assert_eq!(story.post(json!({"token": TOKEN})).await.0, 200);
    for (body, error) in [
        (json!([1]), "invalid JSON body"),
        (json!("x"), "invalid JSON body"),
        (json!({"token": ["x"]}), "invalid payload"),
        (json!({"token": {"x": 1}}), "invalid payload"),
    ] {
        assert_eq!(story.post(body).await, (400, json!({"error": error})));
    }
    assert_eq!(story.token().await["token"], TOKEN);
    story.sql("DROP TABLE github_token").await;
    assert_eq!(
        story.post(json!({"token": "other"})).await,
        (
            500,
            json!({"error": "Failed to store token: no such table: github_token"})
        )
    );
    assert_eq!(story.token().await["status"], "missing");
    story.engine.stop().await;
}

#[tokio::test]
async fn the_token_shows_in_its_own_answer_and_nowhere_else() {
    // A GitHub that sends back what it was sent.
    let echo = |request: &Request| {
        let sent = request.headers.get("authorization");
        let sent = sent.map_or("nothing", |value| value.to_str().unwrap());
        ResponseTemplate::new(500).set_body_string(format!("you sent: {sent}"))
    };
    let story = Story::new(github(echo).await).await;
    let (status, body) = story.post(json!({"token": TOKEN})).await;
    assert_eq!((status, &body["token"]), (200, &json!(TOKEN)));
    assert_eq!(body["message"], "GitHub API error (HTTP 500)");
    assert_eq!(body["error"], "you sent: Bearer ***");
    let (status, body) = story.head("?refresh=1").await;
    assert_eq!(status, 503);
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .ends_with("HTTP 500 you sent: Bearer ***")
    );
    assert_eq!(story.post(json!({"token": [TOKEN]})).await.0, 400);
    let Story { engine, folder, .. } = story;
    engine.stop().await;
    let log = fs::read_to_string(folder.path().join("test.log")).unwrap();
    assert!(log.contains("github-token updated valid=false"), "{log}");
    assert!(
        log.contains("repo-head-lookup failure repo=bunny-lab-io/Borealis branch=main error="),
        "{log}"
    );
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn no_github_stops_no_start_and_no_answer() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let story = Story::asking(format!("http://{closed}"), None).await;
    let (status, body) = story.head("?repo=acme/x").await;
    assert_eq!((status, &body["source"]), (503, &json!("github")));
    assert_eq!(
        body["error"],
        "GitHub REST API repo head lookup raised: github unreachable"
    );
    let (status, body) = story.post(json!({"token": TOKEN})).await;
    assert_eq!((status, &body["status"]), (200, &json!("error")));
    assert_eq!(body["message"], "API Token validation error: github unreachable");
    assert_eq!(body["rate_limit"], Value::Null);
    assert!(
        fs::read_to_string(story.log())
            .unwrap()
            .contains("repo-head-lookup failure")
    );
    story.engine.stop().await;
}

#[tokio::test]
async fn names_cannot_lead_the_server_s_token_elsewhere() {
    let github = MockServer::start().await;
    Mock::given(path("/repos/bunny-lab-io/Borealis/branches/main%3Fx=1%23y"))
        .and(has_header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(accepted())
        .mount(&github)
        .await;
    let story = Story::new(github).await;
    story.post(json!({"token": TOKEN})).await;
    let before = story
        .github
        .as_ref()
        .unwrap()
        .received_requests()
        .await
        .unwrap()
        .len();
    for (query, error) in [
        ("?repo=acme/x&branch=../../../user", "invalid branch"),
        ("?repo=../user/x", "repo must be in the form owner/name"),
        ("?repo=acme", "repo must be in the form owner/name"),
    ] {
        assert_eq!(story.head(query).await, (400, json!({"error": error})), "{query}");
    }
    assert!(
        story
            .github
            .as_ref()
            .unwrap()
            .received_requests()
            .await
            .unwrap()
            .len()
            <= before + 1
    );
    let (status, body) = story.head("?branch=main%3Fx=1%23y").await;
    assert_eq!((status, &body["sha"]), (200, &json!("abc")));
    assert_eq!(body["branch"], "main?x=1#y");
    story.engine.stop().await;
}

#[tokio::test]
async fn an_id_that_is_no_text_is_the_legacy_s_internal_error() {
    let wrong = ResponseTemplate::new(200).set_body_json(json!({"commit": {"sha": 7}}));
    let story = Story::new(github(wrong).await).await;
    assert_eq!(
        story.head("?repo=acme/x").await,
        (500, json!({"error": "internal error"}))
    );
    story.engine.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_that_it_is_github_is_not_asked() {
    // A server with a certificate of its own, which nobody trusts.
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap()));
    let variables = BTreeMap::from([
        ("BOREALIS_ROOT".to_owned(), folder.path().display().to_string()),
        ("BOREALIS_TLS".to_owned(), "on".to_owned()),
        (
            "BOREALIS_GITHUB_API_URL".to_owned(),
            "http://127.0.0.1:9".to_owned(),
        ),
    ]);
    let engine = Engine::start(
        Settings::from_map(&variables, folder.path()).unwrap(),
        clock.clone(),
        Arc::new(SeededRandom::new(1)),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    )
    .await
    .unwrap();
    let base = format!("https://localhost:{}", engine.address().port());
    let client = GitHubClient::new(base, clock).unwrap();
    let refused = client
        .branch(&RepositoryBranch::default(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "github unreachable");
    assert!(refused.cause.contains("certificate"), "{}", refused.cause);
    engine.stop().await;
}
