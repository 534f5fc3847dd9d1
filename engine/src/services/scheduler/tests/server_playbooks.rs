//! Playbooks over SSH, with a shell in place of `ansible-playbook`: the playbook is a script that shows what it was
//! given.

use super::{
    PLAYBOOK,
    story::{M, Story},
};
use crate::domain::base64;

/// Prints its own place, its arguments and the files that they name.
const SHOWS: &str = "echo \"$0 $@\"\npwd\ncat \"$2\" \"${4#@}\"\nls -l \"$(dirname \"$2\")\"\n";
const SSH: (&str, &str) = ("execution_context", "'ssh'");

/// Runs until the file is there.
const WAITS: &str = "while [ ! -e \"$(dirname \"$0\")/go\" ]; do sleep 0.02; done\n";

async fn ran(script: &str, components: &str) -> (Story, String) {
    ran_on(script, components, "A").await
}

async fn ran_on(script: &str, components: &str, host: &str) -> (Story, String) {
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", script);
    let document = format!(
        r#"{{"script":"{}","script_encoding":"base64"}}"#,
        base64::encode(script.as_bytes())
    );
    story.file("Ansible_Playbooks/doc.json", &document);
    story.wire.connect(&[host]);
    story
        .job(
            components,
            &format!("[\"{host}\"]"),
            &[SSH, ("credential_id", "2")],
        )
        .await;
    story.tick(M).await;
    let stdout = story.column("SELECT stdout FROM activity_history").await.concat();
    (story, stdout)
}

#[tokio::test]
async fn a_playbook_gets_its_inventory_values_and_rights_and_leaves_nothing() {
    let components = r#"[{"type":"ansible","path":"p.yml","variable_values":{"x":"1"}}]"#;
    let (story, shown) = ran(SHOWS, components).await;
    for piece in [
        "Ansible_Playbooks/p.yml -i ",
        "inventory.yml --extra-vars @",
        "extra_vars.yml --become\n",
        r#"? !unsafe "ansible_host" : !unsafe "A""#,
        r#"? !unsafe "ansible_user" : !unsafe "alice""#,
        r#"? !unsafe "ansible_password" : !unsafe "t0psecret""#,
        r#"? !unsafe "ansible_ssh_private_key_file" : !unsafe "#,
        r#"? !unsafe "ansible_become" : true"#,
        r#"? !unsafe "ansible_become_method" : !unsafe "sudo""#,
        r#"? !unsafe "ansible_become_user" : !unsafe "root""#,
        r#"{? !unsafe "x" : !unsafe "1", }"#,
        "-rw------- ",
    ] {
        assert!(shown.contains(piece), "{piece} in {shown}");
    }
    assert!(!shown.contains("-rw-r"), "{shown}");
    assert!(
        std::fs::read_dir(story.root().join("runs"))
            .unwrap()
            .next()
            .is_none()
    );
    assert_eq!(story.runs().await, ["1 A Success"]);
    assert_eq!(
        story
            .column("SELECT status || ' ' || recap_json FROM ansible_play_recaps")
            .await,
        ["Success {}"]
    );
}

#[tokio::test]
async fn a_document_is_run_as_its_playbook_and_not_as_it_is_stored() {
    let (_, shown) = ran(
        SHOWS,
        r#"[{"type":"ansible","path":"doc.json","variable_values":{"x":1}}]"#,
    )
    .await;
    assert!(shown.contains("/playbook.yml -i "), "{shown}");
    assert!(!shown.contains("script_encoding"), "{shown}");
}

#[tokio::test]
async fn a_failure_is_told_with_its_reason() {
    let (story, _) = ran("echo out\necho unreachable >&2\nexit 4\n", PLAYBOOK).await;
    assert_eq!(story.runs().await, ["1 A Failed unreachable"]);
    let (story, _) = ran("exit 4\n", PLAYBOOK).await;
    assert_eq!(story.runs().await, ["1 A Failed ansible-playbook exited with 4"]);
    let told: Vec<_> = story.wire.told().into_iter().map(|(event, _)| event).collect();
    assert_eq!(
        told,
        [
            "device_activity_changed",
            "job_run_started",
            "ansible_recap_update",
            "device_activity_changed",
            "job_run_completed"
        ]
    );
}

#[tokio::test]
async fn a_host_name_is_data_to_ansible() {
    let (_, shown) = ran_on(SHOWS, PLAYBOOK, "{{ lookup(`pipe`) }}").await;
    for piece in [
        r#"? !unsafe "hosts" : {? !unsafe "device" : {"#,
        r#"? !unsafe "ansible_host" : !unsafe "{{ lookup(`pipe`) }}""#,
    ] {
        assert!(shown.contains(piece), "{piece} in {shown}");
    }
    let (_, shown) = ran_on(SHOWS, PLAYBOOK, "büro-7.example").await;
    assert!(
        shown.contains(r#"{? !unsafe "b\U000000FCro-7.example" : {"#),
        "{shown}"
    );
}

#[tokio::test]
async fn a_host_name_is_no_option_of_ssh() {
    for host in ["-oProxyCommand=touch owned", " -F", ""] {
        let (story, shown) = ran_on(SHOWS, PLAYBOOK, host).await;
        let expected = format!("1 {host} Failed The device's host name is none that SSH could reach");
        assert_eq!((story.runs().await, shown.as_str()), (vec![expected], ""));
    }
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_ended_with_its_reason_and_what_it_printed() {
    let document = |seconds: u32| {
        let script = base64::encode(b"echo begun; echo not well >&2; sleep 600");
        format!(r#"{{"script":"{script}","script_encoding":"base64","timeout_seconds":{seconds}}}"#)
    };
    // Long enough for a shell to begin on a busy machine.
    for (limit, expiration, expected) in [(5, "'no_expire'", "Failed"), (600, "'-1m'", "Timed Out")] {
        let story = Story::begin().await;
        story.file("Ansible_Playbooks/doc.json", &document(limit));
        story.wire.connect(&["A"]);
        let more = [SSH, ("credential_id", "2"), ("expiration", expiration)];
        story
            .job(r#"[{"type":"ansible","path":"doc.json"}]"#, r#"["A"]"#, &more)
            .await;
        story.tick(M).await;
        let seconds = if expected == "Failed" { limit } else { 0 };
        assert_eq!(
            story.runs().await,
            [format!(
                "1 A {expected} ansible-playbook was ended after {seconds} s"
            )]
        );
        assert_eq!(
            story.column("SELECT status FROM ansible_play_recaps").await,
            [expected]
        );
        if expected == "Failed" {
            assert_eq!(
                story
                    .column("SELECT stdout || stderr FROM activity_history")
                    .await,
                ["begun\nnot well\nansible-playbook was ended after 5 s"]
            );
        }
    }
}

async fn until(story: &Story, sql: &'static str, expected: &[&str]) {
    for _ in 0..3000 {
        if story.column(sql).await == expected {
            return;
        }
        a_moment().await;
    }
    panic!("{:?} is not {expected:?}", story.column(sql).await);
}

/// Waits until operators were told of that many `event`s: a row is committed before they hear of it.
async fn until_told(story: &Story, event: &str, count: usize) {
    let mut heard = 0;
    for _ in 0..3000 {
        let told = story.wire.told();
        heard += told.iter().filter(|(name, _)| name == event).count();
        if heard >= count {
            assert_eq!(heard, count);
            return;
        }
        a_moment().await;
    }
    panic!("{event} was told {heard} times and not {count}");
}

async fn a_moment() {
    tokio::task::spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(10)))
        .await
        .unwrap();
}

const STATES: &str = "SELECT r.status || ' ' || a.status || ' ' || p.status || ' ' || count(*) \
                      || ' ' || CAST(count(r.started_ts) = sum(r.status <> 'Pending') AS TEXT) \
                      FROM scheduled_job_runs AS r \
                      JOIN ansible_play_recaps AS p ON p.scheduled_run_id = r.id \
                      JOIN activity_history AS a ON a.id = p.activity_job_id GROUP BY r.status, a.status, p.status ORDER BY r.status";

/// Nine playbooks that have begun: eight run, and one waits for its turn.
async fn with_all_places_taken() -> Story {
    with_all_places_taken_by(&[]).await
}

/// The same by jobs with these columns too.
async fn with_all_places_taken_by(columns: &[(&str, &str)]) -> Story {
    let columns = [&[SSH, ("credential_id", "2")], columns].concat();
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", WAITS);
    story.wire.connect(&["A"]);
    for _ in 0..9 {
        story.job(PLAYBOOK, r#"["A"]"#, &columns).await;
    }
    story.scheduler.tick(M).await;
    until(
        &story,
        STATES,
        &["Pending Pending Pending 1 1", "Running Running Running 8 1"],
    )
    .await;
    story
}

#[tokio::test]
async fn what_waits_for_its_turn_is_pending_keeps_its_host_and_is_never_taken_for_a_success() {
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", WAITS);
    story.wire.connect(&["A"]);
    let start = M.to_string();
    let more = [
        SSH,
        ("credential_id", "2"),
        ("schedule_type", "'every_5_minutes'"),
        ("start_ts", start.as_str()),
    ];
    for _ in 0..9 {
        story.job(PLAYBOOK, r#"["A"]"#, &more).await;
    }
    story.scheduler.tick(M).await;
    let begun = ["Pending Pending Pending 1 1", "Running Running Running 8 1"];
    until(&story, STATES, &begun).await;
    until_told(&story, "job_run_started", 8).await;
    // Long after the simulated end, and at the next occurrence.
    for later in [120, 300] {
        story.scheduler.tick(M + later).await;
        until(&story, STATES, &begun).await;
    }
    assert!(
        !story
            .wire
            .told()
            .iter()
            .any(|(event, _)| event == "job_run_completed")
    );
    story.file("Ansible_Playbooks/go", "");
    story.quiet().await;
    until(&story, STATES, &["Success Success Success 9 1"]).await;
    let told = story.wire.told();
    assert_eq!(
        told.iter()
            .filter(|(event, _)| event == "job_run_completed")
            .count(),
        9
    );
}

#[tokio::test]
async fn what_waits_for_its_turn_expires_with_its_job() {
    let story = with_all_places_taken_by(&[("expiration", "'30m'")]).await;
    story.wire.told();
    story.ground.set_clock(M + 1799);
    a_moment().await;
    until(
        &story,
        STATES,
        &["Pending Pending Pending 1 1", "Running Running Running 8 1"],
    )
    .await;
    story.ground.set_clock(M + 1801);
    until(
        &story,
        STATES,
        &["Expired Expired Expired 1 0", "Running Running Running 8 1"],
    )
    .await;
    let expired =
        "SELECT error || ' ' || COALESCE(started_ts, '-') FROM scheduled_job_runs WHERE status = 'Expired'";
    assert_eq!(
        story.column(expired).await,
        ["The run did not get its turn before it expired -"]
    );
    until_told(&story, "job_run_completed", 1).await;
    // Its turn has not come by that.
    story.file("Ansible_Playbooks/go", "");
    story.quiet().await;
    until(
        &story,
        STATES,
        &["Expired Expired Expired 1 0", "Success Success Success 8 1"],
    )
    .await;
}

#[tokio::test]
async fn a_stop_ends_what_runs_and_what_waits_as_failed() {
    let mut story = with_all_places_taken().await;
    story.restart().await;
    assert_eq!(story.column(STATES).await, ["Failed Failed Failed 9 1"]);
    let reasons = story
        .column("SELECT error || ' ' || count(*) FROM scheduled_job_runs GROUP BY error")
        .await;
    assert_eq!(
        reasons,
        [
            "The server was stopped before the run got its turn 1",
            "The server was stopped during the run 8"
        ]
    );
    assert_eq!(std::fs::read_dir(story.root().join("runs")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_run_of_several_playbooks_ends_with_the_last_and_fails_with_any() {
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", WAITS);
    story.file("Ansible_Playbooks/bad.yml", "echo no such package >&2; exit 2\n");
    story.wire.connect(&["A"]);
    let components = r#"[{"type":"ansible","path":"p.yml"},{"type":"ansible","path":"bad.yml"}]"#;
    story
        .job(components, r#"["A"]"#, &[SSH, ("credential_id", "2")])
        .await;
    story.scheduler.tick(M).await;
    until(
        &story,
        "SELECT status FROM activity_history ORDER BY id",
        &["Running", "Failed"],
    )
    .await;
    assert_eq!(
        story.column("SELECT status FROM scheduled_job_runs").await,
        ["Running"]
    );
    story.file("Ansible_Playbooks/go", "");
    story.quiet().await;
    assert_eq!(story.runs().await, ["1 A Failed no such package\n".trim_end()]);
    assert_eq!(
        story
            .column("SELECT status FROM activity_history ORDER BY id")
            .await,
        ["Success", "Failed"]
    );
}

#[tokio::test]
async fn a_job_that_was_deleted_starts_no_playbook() {
    let story = with_all_places_taken().await;
    story.sql("DELETE FROM scheduled_jobs WHERE id = (SELECT job_id FROM scheduled_job_runs WHERE status = 'Pending')").await;
    story.file("Ansible_Playbooks/go", "");
    story.quiet().await;
    until(
        &story,
        STATES,
        &["Failed Failed Failed 1 1", "Success Success Success 8 1"],
    )
    .await;
}

#[tokio::test]
async fn every_start_removes_what_a_crash_left() {
    let story = Story::begin().await;
    for left in ["runs/1", "Logs/Server/AnsibleRuns/2"] {
        std::fs::create_dir_all(story.root().join(left)).unwrap();
        std::fs::write(story.root().join(left).join("ssh_key"), "KEY").unwrap();
    }
    story.scheduler.begin().await;
    assert_eq!(std::fs::read_dir(story.root().join("runs")).unwrap().count(), 0);
    assert!(!story.root().join("Logs/Server/AnsibleRuns").exists());
}
