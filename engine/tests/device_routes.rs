//! The routes that a device calls, on a whole server: who is refused with what, and what an answer looks like.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests may fail like tests"
)]

use std::{collections::BTreeMap, net::TcpListener, path::Path, sync::Arc};

use borealis_engine::{
    Engine, RunningEngine, Settings,
    integrations::{clock::ManualClock, random::SeededRandom},
    services::device_access::tokens::AccessTokens,
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;

const START: i64 = 1_800_000_000;
const GUID: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";

async fn start(root: &Path) -> (RunningEngine, AccessTokens) {
    let variables = [
        ("BOREALIS_ROOT", root.display().to_string()),
        ("BOREALIS_PROJECT_ROOT", root.display().to_string()),
        ("BOREALIS_SERVER_ROOT", root.join("runtime").display().to_string()),
        (
            "BOREALIS_CERT_ROOT",
            root.join("certificates").display().to_string(),
        ),
        (
            "BOREALIS_SERVER_CERT_ROOT",
            root.join("certificates/server").display().to_string(),
        ),
        (
            "BOREALIS_DATABASE_PATH",
            root.join("database.db").display().to_string(),
        ),
        ("BOREALIS_TLS", "off".to_owned()),
        ("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9".to_owned()),
        ("BOREALIS_SECRET", "the secret of the tests".to_owned()),
    ];
    let variables: BTreeMap<_, _> = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let engine = Engine::start(
        Settings::from_map(&variables, root).unwrap(),
        Arc::new(ManualClock::new(Timestamp::from_second(START).unwrap())),
        Arc::new(SeededRandom::new(1)),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    )
    .await
    .unwrap();
    let key = std::fs::read_to_string(root.join("runtime/auth_keys/borealis-jwt-ed25519.key")).unwrap();
    let tokens = AccessTokens::new(&SigningKey::from_pkcs8_pem(&key).unwrap()).unwrap();
    (engine, tokens)
}

/// Status, `Retry-After` and body of a POST.
async fn post(
    engine: &RunningEngine,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> (u16, Option<String>, String) {
    let mut request = reqwest::Client::new().post(format!("http://{}{path}", engine.address()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.body(body).send().await.unwrap();
    let retry_after = answer
        .headers()
        .get("retry-after")
        .map(|value| value.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        retry_after,
        answer.text().await.unwrap(),
    )
}

fn error(status: u16, word: &str) -> (u16, Option<String>, String) {
    (status, None, format!("{{\"error\":\"{word}\"}}\n"))
}

#[tokio::test]
async fn the_gate_answers_before_the_body_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, tokens) = start(folder.path()).await;
    let path = "/api/agent/heartbeat";
    let bearer = format!("Bearer {}", tokens.issue(GUID, "ab", 1, START).unwrap());
    let ended = format!("Bearer {}", tokens.issue(GUID, "ab", 1, START - 900).unwrap());
    let authorized = [("authorization", bearer.as_str())];

    assert_eq!(
        post(&engine, path, &[], "[1]").await,
        error(401, "missing_authorization")
    );
    assert_eq!(
        post(&engine, path, &[("authorization", "Bearer x")], "[1]").await,
        error(401, "invalid_token")
    );
    assert_eq!(
        post(&engine, path, &[("authorization", &ended)], "[1]").await,
        error(401, "token_expired")
    );
    assert_eq!(
        post(&engine, path, &authorized, "[1]").await,
        error(400, "invalid JSON body")
    );
    let proven = [("authorization", bearer.as_str()), ("dpop", "x")];
    assert_eq!(post(&engine, path, &proven, "").await, error(400, "dpop_invalid"));
    let good = (
        200,
        None,
        "{\"poll_after_ms\":15000,\"status\":\"ok\"}\n".to_owned(),
    );
    for _ in 2..60 {
        assert_eq!(post(&engine, path, &authorized, "").await, good);
    }
    let (status, retry_after, body) = post(&engine, path, &authorized, "").await;
    assert_eq!((status, body.as_str()), (429, "{\"error\":\"rate_limited\"}\n"));
    let seconds: u64 = retry_after.unwrap().parse().unwrap();
    assert!((59..=60).contains(&seconds), "{seconds}");
    engine.stop().await;
}

#[tokio::test]
async fn a_refresh_needs_both_fields_and_a_known_token() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _) = start(folder.path()).await;
    let path = "/api/agent/token/refresh";
    assert_eq!(
        post(&engine, path, &[], "{bad").await,
        error(400, "invalid_request")
    );
    assert_eq!(
        post(&engine, path, &[], "[1]").await,
        error(400, "invalid JSON body")
    );
    assert_eq!(
        post(&engine, path, &[], "{\"guid\":\"A\",\"refresh_token\":\"t\"}").await,
        error(401, "invalid_refresh_token")
    );
    engine.stop().await;
}
