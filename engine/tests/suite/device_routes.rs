//! The routes that a device calls, on a whole server: who is refused with what, and what an answer looks like.

use insta::assert_snapshot;

use crate::testkit::{GUID, START, answer::Answers, server::Server};

#[tokio::test]
async fn the_gate_answers_before_the_body_is_read() {
    let server = Server::start("strict", "").await;
    let path = "/api/agent/heartbeat";
    let bearer = format!("Bearer {}", server.token(GUID, "ab", 1, START));
    let ended = format!("Bearer {}", server.token(GUID, "ab", 1, START - 900));
    let authorized = ("authorization", bearer.as_str());
    let mut answers = Answers::default();
    for (asked, headers, body) in [
        ("nobody", &[][..], "[1]"),
        ("no token", &[("authorization", "Bearer x")], "[1]"),
        ("a token that has ended", &[("authorization", &ended)], "[1]"),
        ("no object", &[authorized], "[1]"),
        ("no proof", &[authorized, ("dpop", "x")], ""),
        ("a device", &[authorized], ""),
    ] {
        answers.note(asked, &server.send("POST", path, headers, body).await);
    }
    for _ in 3..60 {
        assert_eq!(server.send("POST", path, &[authorized], "").await.status, 200);
    }
    let often = server.send("POST", path, &[authorized], "").await;
    answers.note("once more", &often);
    assert_snapshot!(answers, @r#"
    nobody: 401 {"error":"missing_authorization"}
    no token: 401 {"error":"invalid_token"}
    a token that has ended: 401 {"error":"token_expired"}
    no object: 400 {"error":"invalid JSON body"}
    no proof: 400 {"error":"dpop_invalid"}
    a device: 200 {"poll_after_ms":15000,"status":"ok"}
    once more: 429 retry-after: 59 {"error":"rate_limited"}
    "#);
    server.stop().await;
}

#[tokio::test]
async fn a_refresh_needs_both_fields_and_a_known_token() {
    let server = Server::start("strict", "").await;
    let mut answers = Answers::default();
    for body in [
        "{bad",
        "[1]",
        "{\"guid\":\"A\"}",
        "{\"guid\":\"A\",\"refresh_token\":\"t\"}",
    ] {
        let refused = server.send("POST", "/api/agent/token/refresh", &[], body).await;
        answers.note(body, &refused);
    }
    assert_snapshot!(answers, @r#"
    {bad: 400 {"error":"invalid_request"}
    [1]: 400 {"error":"invalid JSON body"}
    {"guid":"A"}: 400 {"error":"invalid_request"}
    {"guid":"A","refresh_token":"t"}: 401 {"error":"invalid_refresh_token"}
    "#);
    server.stop().await;
}
