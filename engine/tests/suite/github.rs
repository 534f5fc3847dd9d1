//! The routes about GitHub on a whole server: what is refused, what is stored, and where the token does not show.

use std::{fs, path::PathBuf};

use borealis_engine::{domain::repository_head::RepositoryBranch, integrations::github::GitHubClient};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{any, header as has_header, path},
};

use crate::testkit::{
    browser::Browser,
    log::log_into,
    rows::WIN_1,
    server::{NO_GITHUB, Server, clock},
};

const TOKEN: &str = "ghp_0123456789abcdefghij";

/// A server with an operator who is logged in, and the GitHub that it asks.
struct Story {
    server: Server,
    github: Option<MockServer>,
    operator: Browser,
    logs: tempfile::TempDir,
    _log: DefaultGuard,
}

impl Story {
    async fn new(github: MockServer) -> Self {
        Self::asking(github.uri(), Some(github)).await
    }

    /// A server that asks GitHub at `url`. What this thread logs goes to a file.
    async fn asking(url: String, github: Option<MockServer>) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let guard = log_into(&logs.path().join("test.log"), clock(), true, LevelFilter::TRACE);
        let server = Server::with(&[("BOREALIS_GITHUB_API_URL", &url)]).start().await;
        Self {
            operator: server.admin().await,
            server,
            github,
            logs,
            _log: guard,
        }
    }

    /// How many requests have come to GitHub.
    async fn requests(&self) -> usize {
        let github = self.github.as_ref().unwrap();
        github.received_requests().await.unwrap().len()
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        self.operator.post("/api/github/token", body).await
    }

    async fn token(&self) -> Value {
        let (status, body) = self.operator.get("/api/github/token").await;
        assert_eq!(status, 200);
        body
    }

    /// What a device is told about a head.
    async fn head(&self, query: &str) -> (u16, Value) {
        let bearer = self.server.bearer(&WIN_1);
        let path = format!("/api/repo/current_hash{query}");
        let headers = [("authorization", bearer.as_str())];
        self.server
            .send("GET", &path, &headers, "")
            .await
            .status_and_json()
    }

    fn log(&self) -> PathBuf {
        self.logs.path().join("test.log")
    }
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
    story.server.sql("DROP TABLE github_token").await;
    assert_eq!(
        story.post(json!({"token": "other"})).await,
        (
            500,
            json!({"error": "Failed to store token: no such table: github_token"})
        )
    );
    assert_eq!(story.token().await["status"], "missing");
    story.server.stop().await;
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
    let file = story.log();
    let Story {
        server, logs: _logs, ..
    } = story;
    server.stop().await;
    let log = fs::read_to_string(file).unwrap();
    assert!(log.contains("github-token updated valid=false"), "{log}");
    assert!(
        log.contains("repo-head-lookup failure repo=bunny-lab-io/Borealis branch=main error="),
        "{log}"
    );
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn no_github_stops_no_start_and_no_answer() {
    let story = Story::asking(NO_GITHUB.to_owned(), None).await;
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
    story.server.stop().await;
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
    let before = story.requests().await;
    for (query, error) in [
        ("?repo=acme/x&branch=../../../user", "invalid branch"),
        ("?repo=../user/x", "repo must be in the form owner/name"),
        ("?repo=acme", "repo must be in the form owner/name"),
    ] {
        assert_eq!(story.head(query).await, (400, json!({"error": error})), "{query}");
    }
    assert!(story.requests().await <= before + 1);
    let (status, body) = story.head("?branch=main%3Fx=1%23y").await;
    assert_eq!((status, &body["sha"]), (200, &json!("abc")));
    assert_eq!(body["branch"], "main?x=1#y");
    story.server.stop().await;
}

#[tokio::test]
async fn an_id_that_is_no_text_is_the_legacy_s_internal_error() {
    let wrong = ResponseTemplate::new(200).set_body_json(json!({"commit": {"sha": 7}}));
    let story = Story::new(github(wrong).await).await;
    assert_eq!(
        story.head("?repo=acme/x").await,
        (500, json!({"error": "internal error"}))
    );
    story.server.stop().await;
}

#[tokio::test]
async fn a_blank_id_counts_as_fetched_and_escapes_that_are_not_utf_8_are_text() {
    let blank = ResponseTemplate::new(200).set_body_json(json!({"commit": {"sha": "  "}}));
    let story = Story::new(github(blank).await).await;
    let query = "?repo=acme/%ff&branch=m%C3%A9";
    let told = json!({"repo": "acme/%FF", "branch": "m\u{e9}", "sha": null, "cached": false, "age_seconds": 0.0,
        "source": "github"});
    assert_eq!(story.head(query).await, (503, told));
    let github = story.github.as_ref().unwrap();
    let asked = github.received_requests().await.unwrap();
    assert!(
        asked
            .iter()
            .any(|request| request.url.path() == "/repos/acme/%25FF/branches/m%C3%A9"),
        "{asked:?}"
    );
    github.reset().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({})))
        .mount(github)
        .await;
    let (status, mut told) = story.head(query).await;
    let age = told["age_seconds"].take().as_f64();
    assert!(
        status == 503 && age.is_some_and(|age| (0.0..1.0).contains(&age)),
        "{status} {age:?}"
    );
    let expected = json!({"repo": "acme/%FF", "branch": "m\u{e9}", "sha": null, "cached": true, "age_seconds": null,
        "source": "cache-stale", "error": "using cached value"});
    assert_eq!(told, expected);
    story.server.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_that_it_is_github_is_not_asked() {
    // A server with a certificate of its own, which nobody trusts.
    let server = Server::with(&[("BOREALIS_TLS", "on")]).start().await;
    let base = format!("https://localhost:{}", server.address().port());
    let client = GitHubClient::new(base, clock()).unwrap();
    let refused = client
        .branch(&RepositoryBranch::default(), None)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "github unreachable");
    assert!(refused.cause.contains("certificate"), "{}", refused.cause);
    server.stop().await;
}
