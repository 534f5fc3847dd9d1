//! Scripts that an operator runs now reach their agents, or end.

use std::sync::Arc;

use super::story::{Death, M, Story};
use crate::{
    builders::quick_run::quick_run,
    domain::{base64, json::Json},
    services::scheduler::channel::Receipt,
};

const WAITING: &str = "SELECT CAST(activity_id AS TEXT) FROM engine_undelivered_work";

fn hello(hosts: &[&str]) -> Json {
    Json::object([
        ("script_path", "Scripts/hello.ps1".into()),
        ("hostnames", Json::list(hosts.iter().copied())),
        ("variable_values", Json::object([("who", "s3cret".into())])),
    ])
}

#[tokio::test]
async fn a_caller_who_leaves_takes_nothing_with_him() {
    let story = Story::begin().await;
    story.wire.connect(&["A", "B"]);
    let quick_run = quick_run(hello(&["A", "B"]).as_object().unwrap()).unwrap();
    // The caller is gone as soon as the script is being sent.
    *story.wire.death.lock().unwrap() = Some(Death::Uncounted);
    tokio::select! {
        biased;
        () = story.wire.died.notified() => {}
        _ = story.quick_runs.start(quick_run) => panic!("the caller stayed"),
    }
    // The one that hangs is the test's doing; the server knows no caller any more, only its rows.
    assert_eq!(story.column(WAITING).await, ["1", "2"]);
}

#[tokio::test]
async fn a_stop_between_the_rows_and_the_send_loses_no_quick_run() {
    for death in [Death::Uncounted, Death::Counted] {
        let mut story = Story::begin().await;
        story.wire.connect(&["A", "B"]);
        let quick_run = quick_run(hello(&["A", "B"]).as_object().unwrap()).unwrap();
        *story.wire.death.lock().unwrap() = Some(death);
        let start = {
            let service = Arc::clone(&story.quick_runs);
            tokio::spawn(async move { service.start(quick_run).await })
        };
        story.wire.died.notified().await;
        story.restart().await;
        assert!(start.await.unwrap().is_err());
        assert_eq!(story.wire.sent().len(), 0);
        story.look(M + 15).await;
        let sent = story.wire.sent();
        let of: Vec<_> = sent
            .iter()
            .map(|(host, event, payload)| {
                let text = |name| payload.get(name).and_then(Json::as_text).unwrap();
                (
                    host.as_str(),
                    event.as_str(),
                    text("target_hostname"),
                    payload.get("job_id").cloned().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            of,
            [
                ("A", "quick_job_run", "A", 1.into()),
                ("B", "quick_job_run", "B", 2.into())
            ]
        );
        assert_eq!(
            sent[0].2.get("environment").and_then(|all| all.get("WHO")),
            Some(&"s3cret".into())
        );
        assert_eq!(story.look(M + 30).await, 0);
    }
}

#[tokio::test]
async fn what_an_operator_gave_to_a_script_is_not_stored_in_clear() {
    let story = Story::begin().await;
    story.quick_run(hello(&["A"])).await;
    let stored = story
        .column("SELECT CAST(request AS TEXT) FROM engine_quick_run_requests")
        .await;
    assert!(stored[0].starts_with("gAAAAA"), "{stored:?}");
}

#[tokio::test]
async fn a_script_whose_agent_never_comes_ends_also_across_a_restart() {
    let mut story = Story::begin().await;
    story.quick_run(hello(&["A", "B"])).await;
    story.wire.told();
    story.look(M + 150).await;
    story.restart().await;
    assert_eq!(story.look(M + 299).await, 2);
    assert_eq!(story.activities().await, ["Running", "Running"]);
    story.wire.connect(&["A", "B"]);
    story.look(M + 300).await;
    assert_eq!(story.wire.sent().len(), 0, "nobody wants it any more");
    assert_eq!(
        story.activities().await,
        ["Failed Device offline", "Failed Device offline"]
    );
    let told = story.wire.told();
    let status = |(event, payload): &(String, Json)| {
        (
            event.clone(),
            payload.get("status").and_then(Json::as_text).map(str::to_owned),
        )
    };
    let failed = ("device_activity_changed".to_owned(), Some("Failed".to_owned()));
    assert_eq!(
        told.iter().map(status).collect::<Vec<_>>(),
        [failed.clone(), failed]
    );
    assert_eq!(story.look(M + 315).await, 0);
}

#[tokio::test]
async fn a_script_that_is_not_confirmed_is_sent_twice_in_all() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    *story.wire.receipts.lock().unwrap() = vec![Receipt::Unknown; 9];
    story.quick_run(hello(&["A"])).await;
    for pause in 1..9 {
        story.look(M + 15 * pause).await;
    }
    let sent = story.wire.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    let activity = &story.activities().await[0];
    assert!(activity.starts_with("Failed Sent twice"), "{activity}");
    assert_eq!(story.column(WAITING).await, [""; 0]);
}

#[tokio::test]
async fn a_script_that_was_sent_once_says_so_when_its_agent_stays_away() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.quick_run(hello(&["A"])).await;
    story.wire.connect(&[]);
    story.look(M + 300).await;
    let activity = &story.activities().await[0];
    assert!(activity.contains("did not come back in time"), "{activity}");
}

#[tokio::test]
async fn a_script_that_was_changed_meanwhile_is_not_the_one_that_was_asked_for() {
    let story = Story::begin().await;
    story.quick_run(hello(&["A"])).await;
    story.file("Scripts/hello.ps1", "Remove-Item *\n");
    story.wire.connect(&["A"]);
    story.look(M + 15).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(
        story.activities().await,
        ["Failed The script was changed before it reached the device"]
    );
}

#[tokio::test]
async fn a_result_counts_as_arrival_whenever_it_comes() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.quick_run(hello(&["A"])).await;
    story.wire.sent();
    story.sql("UPDATE activity_history SET status = 'Success'").await;
    story.look(M + 15).await;
    assert_eq!((story.wire.sent().len(), story.look(M + 30).await), (0, 0));
    assert_eq!(story.activities().await, ["Success"]);
}

#[tokio::test]
async fn a_script_that_arrived_and_says_nothing_more_ends_after_its_time() {
    let mut story = Story::begin().await;
    story.file(
        "Scripts/hello.json",
        r#"{"script":"Write-Output $env:WHO","timeout_seconds":30}"#,
    );
    story.wire.connect(&["A", "B"]);
    let hosts = Json::list(["A", "B"]);
    let asked = [("script_path", "Scripts/hello.json".into()), ("hostnames", hosts)];
    story.quick_run(Json::object(asked)).await;
    story
        .sql("UPDATE activity_history SET status = 'Success' WHERE id = 2")
        .await;
    story.restart().await;
    // Its time, and a minute in which its agent can come back.
    story.tick(M + 89).await;
    assert_eq!(story.activities().await, ["Running", "Success"]);
    story.wire.told();
    story.tick(M + 90).await;
    let reason = "Failed The device confirmed it, and no result came in the time that it may take";
    assert_eq!(story.activities().await, [reason, "Success"]);
    let told = story.wire.told();
    let told: Vec<_> = told.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(told, ["device_activity_changed"]);
    assert_eq!(story.column(WAITING).await, [""; 0]);
}

#[tokio::test]
async fn the_time_of_a_result_begins_when_the_script_arrives() {
    let story = Story::begin().await;
    story.file(
        "Scripts/hello.json",
        r#"{"script":"Write-Output 1","timeout_seconds":30}"#,
    );
    let asked = [
        ("script_path", "Scripts/hello.json".into()),
        ("hostnames", Json::list(["A"])),
    ];
    story.quick_run(Json::object(asked)).await;
    story.look(M + 200).await;
    story.tick(M + 240).await;
    assert_eq!(story.activities().await, ["Running"]);
    story.wire.connect(&["A"]);
    story.look(M + 250).await;
    story.tick(M + 300).await;
    assert_eq!(story.activities().await, ["Running"]);
    story.tick(M + 340).await;
    assert!(story.activities().await[0].starts_with("Failed The device confirmed it"));
}

#[tokio::test]
async fn a_script_is_sent_with_line_feeds_also_where_a_value_brings_other_line_ends() {
    let story = Story::begin().await;
    story.file(
        "Scripts/lines.json",
        r#"{"script":"Write-Output 1\r\r\nWrite-Output $env:WHO\r","script_encoding":"plain"}"#,
    );
    story.wire.connect(&["A"]);
    story
        .quick_run(Json::object([
            ("script_path", "Scripts/lines.json".into()),
            ("hostnames", Json::list(["A"])),
            ("variable_values", Json::object([("who", "x\r\ny".into())])),
        ]))
        .await;
    let sent = story.wire.sent();
    let content = sent[0].2.get("script_content").and_then(Json::as_text).unwrap();
    let text = String::from_utf8(base64::decode_strict(content).unwrap()).unwrap();
    assert_eq!(text, "Write-Output 1\nWrite-Output 'x\ny'\r");
}
