//! What the server writes into its log: the lines of a start, and the scope of a request.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

mod support;

use std::{fs, path::Path, sync::Arc};

use borealis_engine::{
    config::{
        log_file::{KEPT_FILES, Kept, LogFile},
        logging::EngineLog,
    },
    integrations::clock::ManualClock,
};
use jiff::{Timestamp, tz::TimeZone};
use support::start;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{Layer as _, Registry, filter::LevelFilter, layer::SubscriberExt as _};

/// Sends what this thread logs to a file; a test's server runs on its thread.
fn log_into(file: &Path) -> DefaultGuard {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let log = EngineLog::new(
        LogFile::new(file.to_owned(), TimeZone::UTC, Kept::Files(KEPT_FILES)),
        clock,
        false,
    );
    tracing::subscriber::set_default(Registry::default().with(log.with_filter(LevelFilter::INFO)))
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
        let answer = reqwest::Client::new()
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
