//! When jobs run again, and what the tick does to runs.

use super::{
    SCRIPT,
    story::{M, Story},
};
use crate::domain::clock::Clock as _;

const EVERY_5: (&str, &str) = ("schedule_type", "'every_5_minutes'");
const START: (&str, &str) = ("start_ts", "60");

/// A run of job 1 in an occurrence.
async fn run(story: &Story, host: &str, occurrence: i64, status: &str) {
    story
        .sql(&format!(
            "INSERT INTO scheduled_job_runs (job_id, target_hostname, scheduled_ts, started_ts, status) \
             VALUES (1, '{host}', {occurrence}, {M}, '{status}')"
        ))
        .await;
}

async fn occurrences(story: &Story) -> Vec<String> {
    story
        .column(
            "SELECT target_hostname || ' ' || (scheduled_ts - 1907757240) || ' ' || status FROM scheduled_job_runs \
             ORDER BY id",
        )
        .await
}

#[tokio::test]
async fn every_end_lets_the_next_occurrence_come() {
    for word in ["Success", "Failed", "Timed Out", "Expired", "Completed"] {
        let story = Story::begin().await;
        story.wire.connect(&["A"]);
        story.job(SCRIPT, r#"["A","A"]"#, &[EVERY_5, START]).await;
        run(&story, "A", M - 300, word).await;
        story.tick(M).await;
        assert_eq!(
            occurrences(&story).await,
            [format!("A -300 {word}"), "A 0 Running".to_owned()]
        );
    }
}

#[tokio::test]
async fn a_host_is_not_given_work_while_it_still_runs() {
    let story = Story::begin().await;
    story.wire.connect(&["A", "B"]);
    story
        .job(SCRIPT, r#"["A","B"]"#, &[EVERY_5, START, ("expiration", "'1d'")])
        .await;
    run(&story, "A", M - 300, "Running").await;
    story.tick(M).await;
    assert_eq!(occurrences(&story).await, ["A -300 Running", "B 0 Running"]);
    // Its run ends, and there is still time.
    story
        .sql("UPDATE scheduled_job_runs SET status = 'Success' WHERE target_hostname = 'A'")
        .await;
    story.tick(M + 60).await;
    assert_eq!(occurrences(&story).await.last().unwrap(), "A 0 Running");
}

#[tokio::test]
async fn a_host_that_was_away_waits_until_the_next_occurrence_and_no_longer() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.job(SCRIPT, r#"["A","B"]"#, &[EVERY_5, START]).await;
    run(&story, "A", M, "Success").await;
    story.wire.connect(&["A", "B"]);
    story.tick(M + 240).await;
    assert_eq!(occurrences(&story).await.last().unwrap(), "B 0 Running");
    let story = Story::begin().await;
    story.job(SCRIPT, r#"["A","B"]"#, &[EVERY_5, START]).await;
    run(&story, "A", M, "Success").await;
    story.tick(M + 300).await;
    story.wire.connect(&["A", "B"]);
    story.tick(M + 360).await;
    assert_eq!(
        occurrences(&story).await,
        ["A 0 Success", "A 300 Running", "B 300 Running"]
    );
}

#[tokio::test]
async fn a_missed_first_occurrence_of_a_recurring_job_is_rolled_forward() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let start = (M - 86_400 - 120).to_string();
    story
        .job(
            SCRIPT,
            r#"["A"]"#,
            &[("schedule_type", "'daily'"), ("start_ts", &start)],
        )
        .await;
    let past = (M - 360).to_string();
    story
        .job(
            SCRIPT,
            r#"["A"]"#,
            &[("schedule_type", "'once'"), ("start_ts", &past)],
        )
        .await;
    story
        .job(
            SCRIPT,
            r#"["A"]"#,
            &[
                ("schedule_type", "'daily'"),
                ("start_ts", &past),
                ("enabled", "0"),
            ],
        )
        .await;
    story.tick(M).await;
    assert_eq!(occurrences(&story).await, ["A -120 Running"]);
}

#[tokio::test]
async fn once_and_immediately_never_run_again() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let start = M.to_string();
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story
        .job(
            SCRIPT,
            r#"["A"]"#,
            &[("schedule_type", "'once'"), ("start_ts", &start)],
        )
        .await;
    for minute in 0..5 {
        story.tick(M + minute * 60).await;
    }
    assert_eq!(story.wire.sent().len(), 2);
}

/// A job of this schedule for A alone, whose occurrence a minute ago has these runs.
async fn after_runs(schedule: &str, targets: &str, runs: &[(&str, &str)]) -> Vec<String> {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let start = (M - 60).to_string();
    story
        .job(
            SCRIPT,
            targets,
            &[("schedule_type", schedule), ("start_ts", &start)],
        )
        .await;
    for (host, status) in runs {
        run(&story, host, M - 60, status).await;
    }
    story.tick(M).await;
    let begun = occurrences(&story).await;
    begun.into_iter().skip(runs.len()).collect()
}

#[tokio::test]
async fn a_completed_occurrence_is_not_worked_on_again_when_targets_are_replaced() {
    for schedule in ["'once'", "'immediately'", "'daily'", "'fortnightly'"] {
        for word in ["Success", "Failed", "Timed Out", "Expired", "Completed"] {
            let begun = after_runs(schedule, r#"["A"]"#, &[("GONE", word)]).await;
            assert_eq!(begun, [""; 0], "{schedule} {word}");
        }
        // A target that is named twice is one.
        let begun = after_runs(schedule, r#"["A","A"]"#, &[("GONE", "Success")]).await;
        assert_eq!(begun, [""; 0], "{schedule}");
        let ended = [("GONE", "Success"), ("GONE TOO", "Failed")];
        let begun = after_runs(schedule, r#"["A","B"]"#, &ended).await;
        assert_eq!(begun, [""; 0], "{schedule}");
    }
}

#[tokio::test]
async fn an_occurrence_goes_on_while_fewer_hosts_have_ended_than_there_are_targets() {
    for schedule in ["'once'", "'immediately'", "'daily'", "'fortnightly'"] {
        for runs in [
            &[("GONE", "Success")][..],
            &[("GONE", "Success"), ("GONE", "Failed")],
            &[("GONE", "Success"), ("GONE TOO", "Running")],
            &[("GONE", "Success"), ("GONE TOO", "Pending")],
        ] {
            let begun = after_runs(schedule, r#"["A","B"]"#, runs).await;
            assert_eq!(begun, ["A -60 Running"], "{schedule} {runs:?}");
        }
    }
}

#[tokio::test]
async fn replaced_targets_get_the_next_occurrence() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.job(SCRIPT, r#"["A"]"#, &[EVERY_5, START]).await;
    run(&story, "GONE", M - 300, "Success").await;
    story.tick(M - 60).await;
    assert_eq!(occurrences(&story).await, ["GONE -300 Success"]);
    story.tick(M).await;
    assert_eq!(occurrences(&story).await, ["GONE -300 Success", "A 0 Running"]);
}

#[tokio::test]
async fn runs_time_out_or_are_taken_for_a_success_and_old_ones_go() {
    let story = Story::begin().await;
    story
        .job(SCRIPT, r#"["T"]"#, &[("expiration", "'10m'"), ("enabled", "0")])
        .await;
    let old = M - 11 * 86_400;
    story
        .sql(&format!(
            "INSERT INTO scheduled_job_runs (job_id, target_hostname, scheduled_ts, started_ts, status) VALUES \
             (1, 'T1', {M}, {M} - 600, 'Running'), (1, 'T2', {M}, {M} - 30, 'Running'), \
             (1, 'T3', {M}, {M} - 29, 'Running'), (1, 'T4', {M}, NULL, 'Running'), \
             (9, 'orphan', {M}, {M} - 999999, 'Running'), (1, 'old', {old}, {old}, 'Success'), \
             (2, 'latest', {old}, {old}, 'Success'), (9, 'old', {old}, {old}, 'Success')"
        ))
        .await;
    story
        .job(
            SCRIPT,
            r#"["L"]"#,
            &[("schedule_type", "'yearly'"), ("start_ts", "60")],
        )
        .await;
    story.tick(M).await;
    assert_eq!(
        story
            .column(
                "SELECT target_hostname || ' ' || status || ' ' || (finished_ts IS NOT NULL) \
                 FROM scheduled_job_runs ORDER BY id"
            )
            .await,
        [
            "T1 Timed Out 0",
            "T2 Success 1",
            "T3 Running 0",
            "T4 Running 0",
            "orphan Success 1",
            "latest Success 0",
        ]
    );
    let told: Vec<_> = story
        .wire
        .told()
        .into_iter()
        .map(|(event, payload)| format!("{event} {}", payload.get("status").unwrap().python_str()))
        .collect();
    assert_eq!(
        told,
        [
            "job_run_completed Timed Out",
            "job_run_completed Success",
            "job_run_completed Success",
        ]
    );
}

#[tokio::test]
async fn ticks_belong_to_their_minutes() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let created = (M + 59).to_string();
    story.job(SCRIPT, r#"["A"]"#, &[("created_at", &created)]).await;
    let working = story.ground.clock.working();
    let running = tokio::spawn(std::sync::Arc::clone(&story.scheduler).run(working));
    story.ground.clock.rest().await;
    assert_eq!(story.wire.sent().len(), 0);
    // The clock goes past the minute in one step.
    story
        .ground
        .clock
        .set(jiff::Timestamp::from_second(M + 75).unwrap());
    story.ground.clock.rest().await;
    assert_eq!(story.wire.sent().len(), 1);
    assert_eq!(
        story
            .column("SELECT CAST(started_ts - 1907757240 AS TEXT) FROM scheduled_job_runs")
            .await,
        ["60"]
    );
    running.abort();
}

#[tokio::test]
async fn a_tick_comes_with_the_first_microsecond_of_its_minute() {
    let story = Story::begin().await;
    story
        .ground
        .clock
        .set(jiff::Timestamp::from_millisecond(M * 1000 + 39_800).unwrap());
    let working = story.ground.clock.working();
    let running = tokio::spawn(std::sync::Arc::clone(&story.scheduler).run(working));
    story.ground.clock.rest().await;
    for at in [59_999, 60_001] {
        story
            .ground
            .clock
            .set(jiff::Timestamp::from_millisecond(M * 1000 + at).unwrap());
        story.ground.clock.rest().await;
    }
    running.abort();
}
