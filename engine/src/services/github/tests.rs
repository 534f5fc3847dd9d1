//! Long because it is a list of stories.

use std::{fs, path::Path, sync::Arc};

use jiff::SignedDuration;
use serde_json::json;
use tokio::sync::watch;
use wiremock::{
    Mock, MockServer, Request, Respond, ResponseTemplate,
    matchers::{header as has_header, path},
};

use super::*;
use crate::{
    config::settings::Settings,
    domain::clock::{Clock, Sleep, Working},
    integrations::{clock::ManualClock, random::SeededRandom},
    repositories::Store,
    testkit::{Ground, START},
};

/// A manual clock that tells how many sleeps began, so that a test sees when a loop is at rest.
#[derive(Debug)]
struct ObservedClock {
    clock: ManualClock,
    sleeps: watch::Sender<usize>,
}

impl ObservedClock {
    fn advance(&self, seconds: i64) {
        let target = self.clock.now() + SignedDuration::from_secs(seconds);
        self.clock.set(target);
    }

    async fn sleeps(&self, count: usize) {
        let mut sleeps = self.sleeps.subscribe();
        sleeps.wait_for(|begun| *begun >= count).await.unwrap();
    }
}

impl Clock for ObservedClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep<'_> {
        let sleep = self.clock.sleep_until(deadline);
        self.sleeps.send_modify(|begun| *begun += 1);
        sleep
    }

    fn working(&self) -> Working {
        self.clock.working()
    }
}

/// A server over one folder, and the GitHub that it asks.
struct Story {
    ground: Ground,
    github: MockServer,
    clock: Arc<ObservedClock>,
    store: Arc<dyn Store>,
}

impl Story {
    async fn new() -> Self {
        let ground = Ground::new().await;
        Self {
            store: ground.store(),
            ground,
            github: MockServer::start().await,
            clock: Arc::new(ObservedClock {
                clock: ManualClock::new(Timestamp::from_second(START).unwrap()),
                sleeps: watch::Sender::new(0),
            }),
        }
    }

    fn service(&self, more: &[(&str, &str)]) -> Arc<GitHubService> {
        let url = self.github.uri();
        let variables = [("BOREALIS_GITHUB_API_URL", url.as_str())]
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let settings = Settings::from_map(&variables, self.ground.root()).unwrap().github;
        let environment = Environment {
            clock: self.clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
        };
        let client = GitHubClient::new(&settings.api_url, self.clock.clone()).unwrap();
        Arc::new(GitHubService::new(
            Arc::clone(&self.store),
            environment,
            client,
            &settings,
        ))
    }

    async fn answers(&self, response: impl Respond + 'static) {
        self.github.reset().await;
        Mock::given(wiremock::matchers::any())
            .respond_with(response)
            .mount(&self.github)
            .await;
    }

    async fn asked(&self) -> Vec<Request> {
        self.github.received_requests().await.unwrap()
    }

    async fn store_outside(&self, token: &str) {
        let mut work = self.store.begin().await.unwrap();
        work.replace_github_token(Some(token)).await.unwrap();
        work.save().await.unwrap();
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.ground.root().join(path)
    }
}

fn head(id: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"commit": {"sha": id}}))
}

fn of(repository: &str, forced: bool) -> HeadQuery {
    HeadQuery {
        branch: RepositoryBranch::new(repository, "main").unwrap(),
        ttl: None,
        forced,
    }
}

/// Of the configured repository, where `BOREALIS_REPO` is `acme/x`.
fn on(branch: &str, forced: bool) -> HeadQuery {
    HeadQuery {
        branch: RepositoryBranch::new("acme/x", branch).unwrap(),
        ttl: None,
        forced,
    }
}

const WITH_TOKEN: [(&str, &str); 2] = [("GITHUB_TOKEN", "ghp_env"), ("BOREALIS_REPO", "acme/x")];

fn authorization(request: &Request) -> Option<&str> {
    request
        .headers
        .get("authorization")
        .map(|value| value.to_str().unwrap())
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn a_request_is_the_legacy_s() {
    let story = Story::new().await;
    story.answers(head("one")).await;
    let service = story.service(&WITH_TOKEN);
    service.head(&of("acme/x", true)).await.unwrap();
    let asked = story.asked().await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].url.path(), "/repos/acme/x/branches/main");
    assert_eq!(asked[0].headers["accept"], "application/vnd.github+json");
    assert_eq!(asked[0].headers["user-agent"], "Borealis-Server");
    assert_eq!(authorization(&asked[0]), Some("Bearer ghp_env"));
    assert!(asked[0].body.is_empty());
}

#[tokio::test]
async fn a_known_head_is_used_until_it_is_too_old_and_kept_through_failures() {
    let story = Story::new().await;
    story.answers(head(" one ")).await;
    let service = story.service(&[]);
    let query = of("acme/x", false);
    let answer = service.head(&query).await.unwrap();
    assert_eq!(answer.commit.as_deref(), Some("one"));
    assert_eq!(
        (answer.source, answer.age, answer.error),
        (HeadSource::GitHub, Some(0.0), None)
    );

    story.clock.advance(59);
    let answer = service.head(&query).await.unwrap();
    assert_eq!(answer.source, HeadSource::Cache);
    assert!((58.9..60.0).contains(&answer.age.unwrap()));

    story.clock.advance(2);
    let limited = ResponseTemplate::new(403).set_body_string("API rate limit exceeded");
    let refused = "GitHub REST API repo head lookup failed: HTTP 403 API rate limit exceeded";
    let garbage = ResponseTemplate::new(200).set_body_string("<html>");
    let invalid = "GitHub REST API repo head lookup raised: invalid response";
    let empty = ResponseTemplate::new(200).set_body_string("{}");
    let accepted = ResponseTemplate::new(202).set_body_json(json!({"commit": {"sha": "two"}}));
    for (response, error) in [
        (limited, refused),
        (garbage, invalid),
        (empty, "using cached value"),
        (
            accepted,
            "GitHub REST API repo head lookup failed: HTTP 202 {\"commit\":{\"sha\":\"two\"}}",
        ),
    ] {
        story.answers(response).await;
        let answer = service.head(&query).await.unwrap();
        assert_eq!(answer.commit.as_deref(), Some("one"));
        assert_eq!(answer.source, HeadSource::StaleCache);
        assert_eq!(answer.error.as_deref(), Some(error));
        let unknown = service.head(&of("acme/y", false)).await.unwrap();
        assert_eq!(
            (unknown.commit, unknown.source, unknown.age),
            (None, HeadSource::GitHub, None)
        );
    }
    story.answers(head("three")).await;
    assert_eq!(
        service.head(&query).await.unwrap().commit.as_deref(),
        Some("three")
    );
}

#[tokio::test]
async fn a_wished_lifetime_counts_except_for_the_default_branch() {
    let story = Story::new().await;
    story.answers(head("one")).await;
    let service = story.service(&[]);
    let with_ttl = |query: HeadQuery| HeadQuery {
        ttl: Some(Duration::from_secs(3600)),
        ..query
    };
    let queries = [
        with_ttl(of("acme/x", false)),
        with_ttl(of("bunny-lab-io/Borealis", false)),
    ];
    for query in &queries {
        service.head(query).await.unwrap();
    }
    story.clock.advance(100);
    assert_eq!(service.head(&queries[0]).await.unwrap().source, HeadSource::Cache);
    assert_eq!(
        service.head(&queries[1]).await.unwrap().source,
        HeadSource::GitHub
    );
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up_after_twenty_seconds() {
    let story = Story::new().await;
    story
        .answers(head("late").set_delay(Duration::from_secs(3600)))
        .await;
    let service = story.service(&[]);
    let asking = tokio::spawn({
        let service = service.clone();
        async move { service.head(&of("acme/x", false)).await }
    });
    story.clock.sleeps(1).await;
    story.clock.advance(19);
    assert!(!asking.is_finished());
    story.clock.advance(2);
    let answer = asking.await.unwrap().unwrap();
    assert_eq!(
        answer.error.as_deref(),
        Some("GitHub REST API repo head lookup raised: github unreachable")
    );
}

#[tokio::test]
async fn redirects_are_followed_but_the_token_stays_at_home() {
    let story = Story::new().await;
    let elsewhere = MockServer::start().await;
    let to = |url: String| ResponseTemplate::new(301).insert_header("location", url);
    Mock::given(path("/moved"))
        .respond_with(to("/again".to_owned()))
        .mount(&elsewhere)
        .await;
    Mock::given(path("/again"))
        .respond_with(head("far"))
        .mount(&elsewhere)
        .await;
    Mock::given(path("/repos/acme/x/branches/near"))
        .respond_with(to("/repositories/1".to_owned()))
        .mount(&story.github)
        .await;
    Mock::given(path("/repositories/1"))
        .and(has_header("authorization", "Bearer ghp_env"))
        .respond_with(head("near"))
        .mount(&story.github)
        .await;
    Mock::given(path("/repos/acme/x/branches/far"))
        .respond_with(to(format!("{}/moved", elsewhere.uri())))
        .mount(&story.github)
        .await;
    let service = story.service(&WITH_TOKEN);
    let near = service.head(&on("near", false)).await.unwrap();
    assert_eq!(near.commit.as_deref(), Some("near"));
    let far = service.head(&on("far", false)).await.unwrap();
    assert_eq!(far.commit.as_deref(), Some("far"));
    let received = elsewhere.received_requests().await.unwrap();
    assert_eq!(received.len(), 2);
    // A second redirect that stays there does not bring it back.
    assert!(received.iter().all(|request| authorization(request).is_none()));
}

#[tokio::test]
async fn an_endless_answer_and_a_circle_end() {
    let story = Story::new().await;
    story
        .answers(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 3 << 20]))
        .await;
    let service = story.service(&[]);
    let answer = service.head(&of("acme/x", false)).await.unwrap();
    assert!(answer.error.unwrap().ends_with("invalid response"));
    story
        .answers(ResponseTemplate::new(302).insert_header("location", "/repos/acme/x/branches/main"))
        .await;
    let answer = service.head(&of("acme/x", false)).await.unwrap();
    assert!(
        answer
            .error
            .unwrap()
            .starts_with("GitHub REST API repo head lookup failed: HTTP 302")
    );
}

#[tokio::test]
async fn the_stored_token_goes_before_the_environment_s_and_is_believed_for_fifteen_seconds() {
    let story = Story::new().await;
    story.answers(head("one")).await;
    let service = story.service(&WITH_TOKEN);
    let used = async |branch: &str, forced: bool| {
        service.head(&on(branch, forced)).await.unwrap();
        authorization(story.asked().await.last().unwrap()).map(str::to_owned)
    };
    assert_eq!(used("a", false).await.as_deref(), Some("Bearer ghp_env"));
    story.store_outside(" ghp_db ").await;
    assert_eq!(used("b", false).await.as_deref(), Some("Bearer ghp_env"));
    assert_eq!(used("b", true).await.as_deref(), Some("Bearer ghp_db"));
    story.store_outside("ghp_new").await;
    story.clock.advance(14);
    assert_eq!(used("c", false).await.as_deref(), Some("Bearer ghp_db"));
    story.clock.advance(1);
    assert_eq!(used("d", false).await.as_deref(), Some("Bearer ghp_new"));
    service.store_token(None).await.unwrap();
    assert_eq!(used("e", false).await.as_deref(), Some("Bearer ghp_env"));
}

/// A device that names another repository learned whether the token opens it, and who has it learned the token's owner.
#[tokio::test]
async fn the_token_is_used_for_the_configured_repository_alone() {
    let story = Story::new().await;
    story.answers(head("one")).await;
    let service = story.service(&WITH_TOKEN);
    story.store_outside("ghp_db").await;
    for (repository, expected) in [
        ("acme/other", None),
        ("other/x", None),
        ("acme/x", Some("Bearer ghp_db")),
        // GitHub's names have no case.
        ("Acme/X", Some("Bearer ghp_db")),
    ] {
        service.head(&of(repository, true)).await.unwrap();
        let asked = story.asked().await;
        assert_eq!(authorization(asked.last().unwrap()), expected, "{repository}");
    }
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_reaches_nobody() {
    let story = Story::new().await;
    story.answers(head("one")).await;
    let service = story.service(&[]);
    for token in ["line\nbreak", "snow\u{2603}"] {
        let report = service.store_token(Some(Secret::new(token))).await.unwrap();
        assert_eq!(
            report.status,
            TokenStatus::Unreachable("github unreachable".to_owned())
        );
        assert!(!format!("{report:?}").contains(token));
    }
    assert!(story.asked().await.is_empty());
    service.store_token(Some(Secret::new("é"))).await.unwrap();
    let asked = story.asked().await;
    assert_eq!(asked[0].headers["authorization"].as_bytes(), b"Bearer \xe9");
}

#[tokio::test]
async fn heads_outlive_a_restart_and_the_legacy_s_are_taken_over() {
    let story = Story::new().await;
    story.answers(ResponseTemplate::new(500)).await;
    let legacy = format!(r#"{{"version":1,"entries":{{"acme/x:main":{{"sha":"old","ts":{START}}}}}}}"#);
    write(&story.file("Data/Server/cache/repo_hash_cache.json"), &legacy);
    let known = async |service: &GitHubService| service.head(&of("acme/x", false)).await.unwrap().commit;
    assert_eq!(known(&*story.service(&[])).await.as_deref(), Some("old"));
    story.answers(head("new")).await;
    story.service(&[]).head(&of("acme/x", true)).await.unwrap();
    story.answers(ResponseTemplate::new(500)).await;
    assert_eq!(known(&*story.service(&[])).await.as_deref(), Some("new"));
    assert_eq!(
        fs::read_to_string(story.file("Data/Server/cache/repo_hash_cache.json")).unwrap(),
        legacy
    );
    write(&story.file("Data/Engine/cache/repo_hash_cache.json"), "{not json");
    assert_eq!(known(&*story.service(&[])).await, None);
}

#[tokio::test]
async fn a_blank_id_is_no_head_and_leaves_no_file() {
    let story = Story::new().await;
    let service = story.service(&[]);
    let file = story.file("Data/Engine/cache/repo_hash_cache.json");
    story.answers(head("one")).await;
    service.head(&of("acme/x", false)).await.unwrap();
    assert!(file.exists());
    story.answers(head("  ")).await;
    let answer = service.head(&of("acme/x", true)).await.unwrap();
    assert_eq!((answer.commit, answer.age, answer.error), (None, Some(0.0), None));
    assert!(!file.exists());
    // It counts as fetched, but is asked for every time.
    for (response, error) in [
        (
            ResponseTemplate::new(200).set_body_json(json!({})),
            "using cached value",
        ),
        (
            ResponseTemplate::new(500).set_body_string("down"),
            "GitHub REST API repo head lookup failed: HTTP 500 down",
        ),
    ] {
        story.answers(response).await;
        let answer = service.head(&of("acme/x", false)).await.unwrap();
        assert_eq!(
            (answer.commit, answer.source, answer.error.as_deref()),
            (None, HeadSource::StaleCache, Some(error))
        );
        assert!(answer.age.is_some());
        assert_eq!(story.asked().await.len(), 1);
    }
    // Another start knows nothing of it.
    let again = story.service(&[]).head(&of("acme/x", false)).await.unwrap();
    assert_eq!((again.source, again.age), (HeadSource::GitHub, None));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_cache_folder_that_cannot_be_written_costs_nothing_but_the_file() {
    let story = Story::new().await;
    write(&story.file("Data"), "a file where a folder is wanted");
    story.answers(head("one")).await;
    let service = story.service(&[]);
    assert_eq!(
        service
            .head(&of("acme/x", false))
            .await
            .unwrap()
            .commit
            .as_deref(),
        Some("one")
    );
    assert_eq!(
        service.head(&of("acme/x", false)).await.unwrap().source,
        HeadSource::Cache
    );
}

#[tokio::test]
async fn the_background_refresh_outlives_everything_that_github_does() {
    let story = Story::new().await;
    let service = story.service(&[]);
    let loop_of = service.clone();
    story.answers(head("first")).await;
    let background = tokio::spawn(async move { loop_of.keep_fresh(Working::uncounted()).await });
    // One sleep a look for its patience, one for the period after it.
    let mut sleeps = 2;
    story.clock.sleeps(sleeps).await;
    let known = async || service.head(&of("bunny-lab-io/Borealis", false)).await.unwrap();
    assert_eq!(known().await.commit.as_deref(), Some("first"));
    for response in [
        ResponseTemplate::new(429).set_body_string("slow down"),
        ResponseTemplate::new(502),
        ResponseTemplate::new(200).set_body_string("\u{0}garbage"),
        ResponseTemplate::new(200).set_body_json(json!({"commit": {"sha": 7}})),
        head("again"),
    ] {
        story.answers(response).await;
        story.clock.advance(61);
        sleeps += 2;
        story.clock.sleeps(sleeps).await;
        assert_eq!(story.asked().await.len(), 1);
    }
    let answer = known().await;
    assert_eq!(
        (answer.commit.as_deref(), answer.source),
        (Some("again"), HeadSource::Cache)
    );

    // A stored token does not wait for the period, and does not shift it.
    story.answers(head("by token")).await;
    service.store_token(Some(Secret::new("ghp_new"))).await.unwrap();
    story.clock.sleeps(sleeps + 2).await;
    while known().await.commit.as_deref() != Some("by token") {
        tokio::task::yield_now().await;
    }
    let asked = story.asked().await;
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|request| authorization(request) == Some("Bearer ghp_new"))
    );
    background.abort();
}

/// Whoever asks the clock whether all work is done sees the look that a stored token is owed before it has begun.
#[tokio::test]
async fn a_look_that_a_stored_token_is_owed_is_work_under_way() {
    let story = Story::new().await;
    let service = story.service(&[]);
    story.answers(head("first")).await;
    let loop_of = service.clone();
    let working = story.clock.working();
    let background = tokio::spawn(async move { loop_of.keep_fresh(working).await });
    story.clock.clock.rest().await;
    story.answers(head("by token")).await;
    service.store_token(Some(Secret::new("ghp_new"))).await.unwrap();
    story.clock.clock.rest().await;
    let known = service.head(&of("bunny-lab-io/Borealis", false)).await.unwrap();
    assert_eq!(known.commit.as_deref(), Some("by token"));
    background.abort();
}

#[tokio::test]
async fn a_token_was_checked_when_github_had_answered() {
    let story = Story::new().await;
    story.store_outside("t").await;
    let clock = Arc::clone(&story.clock);
    let answer = move |_: &Request| {
        clock.advance(7);
        ResponseTemplate::new(401)
    };
    story.answers(answer).await;
    let report = story.service(&[]).token_report().await;
    assert_eq!(report.checked_at, START + 7);
}
