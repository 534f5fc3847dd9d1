//! The routes that a device calls, on a whole server: who is refused with what, and what an answer looks like.

use borealis_engine::RunningEngine;

use crate::testkit::{
    GUID, START,
    server::{start, tokens},
};

/// Status, `Retry-After` and body of a POST.
async fn post(
    engine: &RunningEngine,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> (u16, Option<String>, String) {
    let mut request = crate::testkit::http::client().post(format!("http://{}{path}", engine.address()));
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
    let engine = start(folder.path(), &[]).await;
    let tokens = tokens(folder.path());
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
    let engine = start(folder.path(), &[]).await;
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
