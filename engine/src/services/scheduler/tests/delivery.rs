//! Work reaches its agent once, and a second time only where nothing shows that the first arrived.

use super::{
    PLAYBOOK, SCRIPT,
    story::{Death, M, Story},
};
use crate::services::scheduler::channel::Receipt;

const WAITING: &str = "SELECT CAST(activity_id AS TEXT) FROM engine_undelivered_work";

#[tokio::test]
async fn what_arrived_is_not_sent_again_also_after_a_restart() {
    let mut story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    assert_eq!(story.wire.sent().len(), 1);
    assert_eq!(story.column(WAITING).await, [""; 0]);
    story.tick(M + 1).await;
    story.restart().await;
    story.tick(M + 2).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(story.runs().await, ["1 A Running"]);
}

#[tokio::test]
async fn what_did_not_arrive_is_sent_again_when_the_agent_is_back() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.job(PLAYBOOK, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    assert_eq!(story.wire.sent().len(), 1);
    story.wire.connect(&[]);
    // Nor is it taken for a success while nobody has it.
    story.tick(M + 60).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(story.runs().await, ["1 A Running"]);
    story.wire.connect(&["A"]);
    story.tick(M + 120).await;
    let again = story.wire.sent();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].2.get("activity_job_id"), Some(&1.into()));
    assert_eq!(story.column(WAITING).await, [""; 0]);
    story.tick(M + 180).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(story.runs().await, ["1 A Success"]);
}

#[tokio::test]
async fn a_stop_between_the_rows_and_the_receipt_loses_and_doubles_nothing() {
    let mut story = Story::begin().await;
    story.wire.connect(&["A"]);
    *story.wire.holds.lock().unwrap() = true;
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    assert_eq!(story.wire.sent().len(), 1);
    // No receipt yet: another tick of the same server must not send it twice.
    story.tick(M + 60).await;
    assert_eq!(story.wire.sent().len(), 0);
    story.restart().await;
    story.wire.held.lock().unwrap().clear();
    *story.wire.holds.lock().unwrap() = false;
    story.tick(M + 120).await;
    assert_eq!(story.wire.sent().len(), 1);
    assert_eq!(story.runs().await, ["1 A Running"]);
    assert_eq!(
        story
            .column("SELECT CAST(COUNT(*) AS TEXT) FROM activity_history")
            .await,
        ["1"]
    );
    story.restart().await;
    story.tick(M + 180).await;
    assert_eq!(story.wire.sent().len(), 0);
}

#[tokio::test]
async fn what_was_seen_to_run_is_not_sent_again() {
    let mut story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    story.wire.sent();
    // The result came over another connection, and the server stopped right after it was stored.
    story.sql("UPDATE activity_history SET status = 'Success'").await;
    story.restart().await;
    story.tick(M + 60).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(story.column(WAITING).await, [""; 0]);
}

#[tokio::test]
async fn work_of_a_job_that_is_gone_or_changed_is_given_up() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    *story.wire.receipts.lock().unwrap() = vec![Receipt::Unknown; 2];
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    story.wire.sent();
    story.wire.told();
    story.sql("DELETE FROM scheduled_jobs WHERE id = 1").await;
    story
        .sql(r#"UPDATE scheduled_jobs SET components_json = '[{"type":"ansible","path":"p.yml"}]'"#)
        .await;
    story.tick(M + 60).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(
        story.runs().await,
        [
            "1 A Failed The job was deleted",
            "2 A Failed The job was changed before its work reached the device",
        ]
    );
    assert_eq!(
        story.column("SELECT status FROM activity_history").await,
        ["Failed", "Failed"]
    );
    let told: Vec<_> = story.wire.told().into_iter().map(|(event, _)| event).collect();
    let ended = ["device_activity_changed", "job_run_completed"];
    assert_eq!(told, [ended, ended].concat());
}

#[tokio::test]
async fn a_playbook_that_the_servers_stop_cut_short_is_ended_at_the_next_start() {
    let mut story = Story::begin().await;
    story.wire.connect(&["A"]);
    story
        .sql(
            "INSERT INTO scheduled_job_runs (id, job_id, target_hostname, scheduled_ts, started_ts, status) \
             VALUES (5, 1, 'A', 60, 60, 'Running'); \
             INSERT INTO activity_history (id, hostname, status) VALUES (7, 'A', 'Running'); \
             INSERT INTO ansible_play_recaps (run_id, hostname, agent_id, scheduled_job_id, scheduled_run_id, \
             activity_job_id, status) VALUES ('r', 'A', 'server', 1, 5, 7, 'Running')",
        )
        .await;
    story.restart().await;
    story.scheduler.begin().await;
    let reason = "The server was stopped during the run";
    assert_eq!(story.runs().await, [format!("1 A Failed {reason}")]);
    assert_eq!(
        story
            .column("SELECT status || ' ' || stderr FROM activity_history")
            .await,
        [format!("Failed {reason}")]
    );
    assert_eq!(
        story.column("SELECT status FROM ansible_play_recaps").await,
        ["Failed"]
    );
}

const TWICE: &str = "Sent twice, and both times the connection ended before the device confirmed it. It may have run; \
                     it is not sent again";

#[tokio::test]
async fn what_is_not_confirmed_twice_is_given_up_with_its_reason() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    *story.wire.receipts.lock().unwrap() = vec![Receipt::Unknown; 9];
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    story.tick(M + 60).await;
    let sent = story.wire.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "one job id, one work");
    assert_eq!(story.runs().await, [format!("1 A Failed {TWICE}")]);
    assert_eq!(story.activities().await, [format!("Failed {TWICE}")]);
    let told: Vec<_> = story.wire.told().into_iter().map(|(event, _)| event).collect();
    assert_eq!(
        told,
        ["job_run_started", "device_activity_changed", "job_run_completed"]
    );
    for minute in 2..9 {
        story.tick(M + 60 * minute).await;
    }
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(story.column(WAITING).await, [""; 0]);
}

#[tokio::test]
async fn a_kill_at_any_moment_of_a_send_makes_no_third() {
    for deaths in [
        [Death::Uncounted, Death::Uncounted],
        [Death::Uncounted, Death::Counted],
        [Death::Uncounted, Death::Sent],
        [Death::Counted, Death::Uncounted],
        [Death::Counted, Death::Counted],
        [Death::Counted, Death::Sent],
        [Death::Sent, Death::Uncounted],
        [Death::Sent, Death::Counted],
        [Death::Sent, Death::Sent],
    ] {
        let mut story = Story::begin().await;
        story.wire.connect(&["A"]);
        story.job(SCRIPT, r#"["A"]"#, &[]).await;
        for (minute, death) in (0..).zip(deaths) {
            assert!(story.tick_and_die(M + 60 * minute, death).await, "{deaths:?}");
        }
        *story.wire.receipts.lock().unwrap() = vec![Receipt::Unknown; 9];
        for minute in 2..9 {
            story.tick(M + 60 * minute).await;
        }
        let counted = deaths.iter().filter(|death| **death != Death::Uncounted).count();
        let sent = deaths.iter().filter(|death| **death == Death::Sent).count();
        assert_eq!(story.wire.sent().len(), sent + 2 - counted, "{deaths:?}");
        assert_eq!(
            story.activities().await,
            [format!("Failed {TWICE}")],
            "{deaths:?}"
        );
    }
}

#[tokio::test]
async fn a_start_that_the_servers_death_cut_off_before_it_was_sent_is_sent_after_the_next() {
    for death in [Death::Uncounted, Death::Counted] {
        let mut story = Story::begin().await;
        story.wire.connect(&["A"]);
        story.job(SCRIPT, r#"["A"]"#, &[]).await;
        assert!(story.tick_and_die(M, death).await);
        assert_eq!(story.wire.sent().len(), 0);
        story.tick(M + 60).await;
        assert_eq!(story.wire.sent().len(), 1);
        assert_eq!(story.column(WAITING).await, [""; 0]);
    }
}

#[tokio::test]
async fn no_activity_runs_on_when_its_run_has_ended() {
    let story = Story::begin().await;
    story.wire.connect(&["A", "B"]);
    let two = r#"[{"type":"script","path":"hello.ps1"},{"type":"ansible","path":"p.yml"}]"#;
    story.job(two, r#"["A"]"#, &[]).await;
    story.job(SCRIPT, r#"["B"]"#, &[("expiration", "'1m'")]).await;
    // Taken from the end: what B gets is not confirmed.
    *story.wire.receipts.lock().unwrap() = vec![Receipt::Unknown, Receipt::Delivered, Receipt::Delivered];
    story.tick(M).await;
    // The agent of B never comes back.
    story.wire.connect(&["A"]);
    story.wire.told();
    story.tick(M + 60).await;
    assert_eq!(
        (story.runs().await, story.activities().await),
        (
            vec!["1 A Success".to_owned(), "2 B Timed Out".to_owned()],
            vec!["Success".to_owned(), "Success".to_owned(), "Timed Out".to_owned()]
        )
    );
    let told: Vec<_> = story.wire.told().into_iter().map(|(event, _)| event).collect();
    assert_eq!(
        told.iter()
            .filter(|event| *event == "device_activity_changed")
            .count(),
        3
    );
    assert_eq!(story.column(WAITING).await, [""; 0]);
}

#[tokio::test]
async fn work_whose_agent_never_comes_back_ends_with_the_days_for_which_runs_are_kept() {
    let story = Story::begin().await;
    story.wire.connect(&["A", "B"]);
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    // The other one was never sent.
    story.wire.connect(&["B"]);
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.job(SCRIPT, r#"["B"]"#, &[]).await;
    story.tick(M + 60).await;
    story
        .sql("UPDATE engine_undelivered_work SET sends = 0 WHERE activity_id = 2")
        .await;
    story.wire.connect(&[]);
    // A job that is off waits no longer than one that is on.
    story.sql("UPDATE scheduled_jobs SET enabled = 0").await;
    story.tick(M + 10 * 86_400).await;
    assert_eq!(story.activities().await, ["Running", "Running"]);
    story.tick(M + 10 * 86_400 + 120).await;
    let away = "The connection ended before the device confirmed it, and the device did not come back in time. It may \
                have run; it is not sent again";
    assert_eq!(
        story.runs().await,
        [
            format!("1 A Failed {away}"),
            "2 B Expired Device offline".to_owned()
        ]
    );
    assert_eq!(
        story.activities().await,
        [format!("Failed {away}"), "Expired Device offline".to_owned()]
    );
}

#[tokio::test]
async fn a_component_that_has_not_arrived_goes_on_when_another_has_reported() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    *story.wire.receipts.lock().unwrap() = vec![Receipt::Unknown, Receipt::Delivered];
    let two = r#"[{"type":"script","path":"hello.ps1"},{"type":"ansible","path":"p.yml"}]"#;
    story.job(two, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    story.wire.sent();
    // The script's result.
    story
        .sql(
            "UPDATE activity_history SET status = 'Success' WHERE id = 1; \
             UPDATE scheduled_job_runs SET status = 'Success', finished_ts = started_ts",
        )
        .await;
    story.tick(M + 60).await;
    assert_eq!(story.wire.sent_to(), ["A ansible_playbook_run"]);
    story.tick(M + 120).await;
    assert_eq!(story.activities().await, ["Success", "Success"]);
}
