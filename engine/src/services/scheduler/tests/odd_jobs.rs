//! Jobs with fields that few have, and what the tick makes of them.

use super::{
    SCRIPT,
    story::{M, Story},
};
use crate::domain::{json::Json, json_text::column_text};

#[tokio::test]
async fn a_number_that_is_none_keeps_no_job_from_starting() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let components = r#"[{"type":"ansible","path":"p.yml","variable_values":{"x":NaN}}]"#;
    story.job(components, r#"["A"]"#, &[]).await;
    story.job(SCRIPT, r#"["A",NaN]"#, &[]).await;
    story.tick(M).await;
    assert_eq!(story.runs().await, ["1 A Running", "2 A Running"]);
    let sent = story.wire.sent();
    let values = sent[0].2.get("variable_values").unwrap();
    assert!(matches!(values.get("x"), Some(Json::Float(number)) if number.is_nan()));
}

#[tokio::test]
async fn a_job_of_no_kind_waits_for_its_start_and_without_one_starts_however_old_it_is() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let host = r#"["A"]"#;
    let blank = ("schedule_type", "''");
    let start = (M + 120).to_string();
    story.job(SCRIPT, host, &[blank, ("start_ts", &start)]).await;
    story.job(SCRIPT, host, &[blank, ("created_at", "60")]).await;
    story.tick(M).await;
    assert_eq!(story.runs().await, ["2 A Running"]);
    story.tick(M + 120).await;
    assert_eq!(story.runs().await.last().unwrap(), "1 A Running");
}

#[tokio::test]
async fn hosts_that_start_and_hosts_that_stayed_away_are_worked_on_in_the_order_of_the_targets() {
    let story = Story::begin().await;
    story.wire.connect(&["ON", "ON-2"]);
    let targets = r#"["OFF","ON","OFF-2","ON-2"]"#;
    story.job(SCRIPT, targets, &[("expiration", "'0m'")]).await;
    story.tick(M).await;
    assert_eq!(
        story.runs().await,
        [
            "1 OFF Expired Device offline",
            "1 ON Running",
            "1 OFF-2 Expired Device offline",
            "1 ON-2 Running",
        ]
    );
}

#[tokio::test]
async fn a_playbook_keeps_the_first_value_of_a_name() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let components = r#"[{"type":"ansible","path":"p.yml","variable_values":{"z":0," y ":1},
        "variables":[{"name":"b","value":1},{"name":"b","value":2},{"name":"y","value":3},{"name":"c"},
            {"name":"c","value":4}]}]"#;
    story.job(components, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    let sent = story.wire.sent();
    let values = sent[0].2.get("variable_values").unwrap();
    assert_eq!(column_text(values), r#"{"z": 0, "y": 1, "b": 1, "c": 4}"#);
}

#[tokio::test]
async fn a_job_whose_components_cannot_be_gone_through_is_left_alone() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let host = r#"["A"]"#;
    for components in ["5", "1.5", "true", "null"] {
        story.job(components, host, &[]).await;
    }
    for components in ["{}", "\"ab\""] {
        story.job(components, host, &[]).await;
    }
    story.tick(M).await;
    assert_eq!(
        story.runs().await,
        [
            "5 A Failed The job has nothing to run",
            "6 A Failed The job has nothing to run"
        ]
    );
}
