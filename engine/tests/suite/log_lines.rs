//! What the server writes into its log: the lines of a start, and the scope of a request.

use std::{fs, path::Path};

use serde_json::json;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;

use crate::testkit::{
    log,
    server::{clock, start},
    socket::Client,
};

fn log_into(file: &Path) -> DefaultGuard {
    log::log_into(file, clock(), false, LevelFilter::INFO)
}

fn messages(file: &Path) -> Vec<String> {
    fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| line.split_once("-engine-").unwrap().1.to_owned())
        .collect()
}

#[tokio::test]
async fn a_start_leaves_its_lines_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for (auto_migrate, migrations) in [
        ("true", &["migrations-start", "migrations-complete"][..]),
        ("false", &["migrations-skipped"]),
    ] {
        let file = folder.path().join(format!("{auto_migrate}.log"));
        let _guard = log_into(&file);
        start(folder.path(), &[("BOREALIS_ENGINE_AUTO_MIGRATE", auto_migrate)])
            .await
            .stop()
            .await;
        let lines: Vec<_> = messages(&file)
            .into_iter()
            .filter(|line| {
                ["bootstrap-", "tls-", "migrations-"]
                    .iter()
                    .any(|start| line.starts_with(start))
            })
            .collect();
        let mut expected = vec!["bootstrap-started", "tls-material-ready"];
        expected.extend(migrations);
        expected.push("bootstrap-complete");
        assert_eq!(lines, expected);
    }
}

#[tokio::test]
async fn every_line_of_a_request_bears_the_agent_s_context() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.log");
    // Before the start: whether a line is wanted at all is settled when it is first reached, by whoever listens then.
    let _guard = log_into(&file);
    let engine = start(folder.path(), &[]).await;
    let url = format!("http://{}/api/agent/enroll/request", engine.address());
    for context in ["current user", ""] {
        let answer = crate::testkit::http::client()
            .post(&url)
            .header("X-Borealis-Agent-Context", context)
            .body("{\"hostname\":\"A\\nB\"}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400);
    }
    engine.stop().await;
    let received = "enrollment request received ip=127.0.0.1 hostname=A\\nB code_mask=<missing> pubkey_len=0 nonce_len=0";
    let rejected = "enrollment rejected missing_code ip=127.0.0.1 host=A\\nB";
    let lines: Vec<_> = messages(&file)
        .into_iter()
        .filter(|line| line.contains("enrollment re"))
        .collect();
    assert_eq!(
        lines,
        [
            format!("[CONTEXT-CURRENTUSER] {received}"),
            format!("[CONTEXT-CURRENTUSER] {rejected}"),
            received.to_owned(),
            rejected.to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_foreign_origin_is_logged_with_the_cure_and_no_cookie() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.log");
    let _guard = log_into(&file);
    let engine = start(folder.path(), &[]).await;
    let answer = crate::testkit::http::client()
        .post(format!("http://{}/api/auth/logout", engine.address()))
        .header("cookie", "session=precious")
        .header("origin", "https://foreign.example")
        .header("host", "inner.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 403);
    engine.stop().await;
    let lines: Vec<_> = messages(&file)
        .into_iter()
        .filter(|line| line.contains("foreign origin"))
        .collect();
    assert_eq!(
        lines,
        [
            "refused, an operator's cookie came with a foreign origin: if it is how browsers reach this server, set \
             BOREALIS_PUBLIC_URL to it or let the proxy send X-Forwarded-Host; if it is another site's that operators use, \
             list it in BOREALIS_CORS_ALLOWED_ORIGINS origin=https://foreign.example path=/api/auth/logout \
             host=inner.example address=127.0.0.1"
        ]
    );
}

#[tokio::test]
async fn the_lines_of_a_connection_to_the_channel_bear_one_id() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.log");
    let _guard = log_into(&file);
    let engine = start(folder.path(), &[]).await;
    let mut stranger = Client::open(engine.address(), &[]).await;
    stranger.frame().await;
    stranger.send("40").await;
    let joined = stranger.frame().await;
    let sid = joined
        .strip_prefix("40{\"sid\":\"")
        .unwrap()
        .strip_suffix("\"}")
        .unwrap();
    stranger
        .call_in_vain("connect_agent", json!({"agent_id": "A"}))
        .await;
    stranger.send("41").await;
    stranger.is_read().await;
    engine.stop().await;
    let lines: Vec<_> = messages(&file)
        .into_iter()
        .filter(|line| line.contains("socket.io "))
        .collect();
    let ids: Vec<_> = lines
        .iter()
        .map(|line| line.split("sid=").nth(1).unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(ids, [sid; 3], "{lines:#?}");
}
