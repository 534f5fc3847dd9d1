//! What a job sends when it starts, and what becomes of one that cannot.

use ed25519_dalek::{Signature, SigningKey, Verifier as _};

use super::{
    PLAYBOOK, SCRIPT,
    story::{M, Story},
};
use crate::domain::{base64, json::Json};

#[tokio::test]
async fn a_script_is_sent_signed_to_its_host_and_its_rows_are_written() {
    let story = Story::begin().await;
    story.wire.connect(&["WIN-A"]);
    let components = r#"[{"type":"script","path":"hello.ps1","variable_values":{"who":"you"},
        "variables":[{"name":"who","value":"it''s"}]}]"#;
    story.job(components, r#"["WIN-A"]"#, &[]).await;
    story.tick(M).await;

    let sent = story.wire.sent();
    let [(host, event, payload)] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!((host.as_str(), event.as_str()), ("WIN-A", "quick_job_run"));
    let text = |name: &str| payload.get(name).and_then(Json::as_text).unwrap();
    let script = base64::decode_strict(text("script_content")).unwrap();
    assert_eq!(script, b"Write-Output 'it''s'\n");
    let signature = base64::decode_strict(text("signature")).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]).verifying_key();
    assert!(
        key.verify(&script, &Signature::from_slice(&signature).unwrap())
            .is_ok()
    );
    assert_eq!(payload.get("job_id"), Some(&1.into()));
    assert_eq!(text("target_hostname"), "WIN-A");
    assert_eq!(
        (text("script_path"), text("run_mode")),
        ("Scripts/hello.ps1", "system")
    );
    assert_eq!(payload.as_object().unwrap().len(), 17);

    assert_eq!(story.runs().await, ["1 WIN-A Running"]);
    assert_eq!(
        story
            .column(
                "SELECT run_id || ' ' || activity_id || ' ' || component_kind || ' ' || script_type || ' ' || \
                 component_path || ' ' || component_name FROM scheduled_job_run_activity"
            )
            .await,
        ["1 1 script powershell Scripts/hello.ps1 hello"]
    );
    assert_eq!(
        story
            .column("SELECT hostname || ' ' || script_path || ' ' || status FROM activity_history")
            .await,
        ["WIN-A Scripts/hello.ps1 Running"]
    );
    let told = story.wire.told();
    assert_eq!(
        told,
        [(
            "job_run_started".to_owned(),
            Json::object([
                ("job_id", 1.into()),
                ("run_id", 1.into()),
                ("target", "WIN-A".into()),
                ("schedule_type", "immediately".into()),
                ("occurrence_ts", M.into()),
            ])
        )]
    );
}

#[tokio::test]
async fn scripts_go_before_playbooks_and_what_falls_out_stops_nothing() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.file("Scripts/bash.json", r#"{"type":"bash","script":"x!"}"#);
    let components = r#"[{"type":"ansible","path":"/p.yml","variable_values":{"a":1,"b":2},
          "variables":[{"name":"a","value":9},{"name":"c","value":3}]},
        {"type":"workflow","path":"w"},"x",{"type":"script","path":5},{"type":"script","path":"bash.json"},
        {"type":"script","path":"none.ps1"},{"type":"script","path":"../../secret"},
        {"type":"script","script_path":" Scripts\\hello.ps1 "}]"#;
    story.job(components, r#"["A"]"#, &[]).await;
    story.tick(M).await;
    let sent = story.wire.sent();
    let events: Vec<_> = sent.iter().map(|(_, event, _)| event.as_str()).collect();
    assert_eq!(events, ["quick_job_run", "ansible_playbook_run"]);
    let playbook = &sent[1].2;
    assert_eq!(
        playbook.get("variable_values"),
        Some(&Json::object([("a", 1.into()), ("b", 2.into()), ("c", 3.into())]))
    );
    for (name, expected) in [
        ("activity_job_id", 2.into()),
        ("scheduled_job_id", 1.into()),
        ("scheduled_run_id", 1.into()),
        ("connection", "winrm".into()),
        ("sig_alg", Json::from("ed25519")),
    ] {
        assert_eq!(playbook.get(name), Some(&expected), "{name}");
    }
    assert_eq!(
        playbook.get("run_id").and_then(Json::as_text).map(str::len),
        Some(32)
    );
}

#[tokio::test]
async fn a_job_that_cannot_be_built_fails_with_its_reason_and_the_next_one_runs() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.file("Scripts/broken.json", "{");
    let host = r#"["A"]"#;
    story
        .job(r#"[{"type":"script","path":"none.ps1"}]"#, host, &[])
        .await;
    story
        .job(r#"[{"type":"script","path":"broken.json"}]"#, host, &[])
        .await;
    story.job("{nonsense", host, &[]).await;
    story.job(SCRIPT, "{nonsense", &[]).await;
    story.job(PLAYBOOK, host, &[("execution_context", "'ssh'")]).await;
    story
        .job(
            PLAYBOOK,
            host,
            &[("execution_context", "'winrm'"), ("credential_id", "9")],
        )
        .await;
    story
        .job(
            PLAYBOOK,
            host,
            &[("execution_context", "'winrm'"), ("credential_id", "13")],
        )
        .await;
    story.job(SCRIPT, host, &[]).await;
    story.tick(M).await;
    assert_eq!(
        story.runs().await,
        [
            "1 A Failed Scripts/none.ps1 is not there",
            "2 A Running",
            "3 A Failed the job's components are unreadable",
            "5 A Failed Credential required for remote execution",
            "6 A Failed Credential not found",
            "7 A Failed Credential unreadable: sealed with another key",
            "8 A Running",
        ]
    );
    let sent = story.wire.sent();
    assert_eq!(sent.len(), 2);
    // A document that is none reads as an empty one, as in the legacy.
    let broken = &sent[0].2;
    assert_eq!(broken.get("script_name"), Some(&"broken".into()));
    assert_eq!(broken.get("script_content"), Some(&"".into()));
    let told: Vec<_> = story.wire.told().into_iter().map(|(event, _)| event).collect();
    assert_eq!(
        told.iter().filter(|event| *event == "job_run_completed").count(),
        5
    );
    assert_eq!(told.last().unwrap(), "job_run_started");
}

#[tokio::test]
async fn blanks_and_capitals_of_a_stored_context_do_not_count() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let host = r#"["A"]"#;
    for (components, context) in [
        (PLAYBOOK, "' SSH '"),
        (PLAYBOOK, "'WinRM'"),
        (SCRIPT, "' CurrentUser '"),
        (SCRIPT, "'  '"),
    ] {
        story
            .job(components, host, &[("execution_context", context)])
            .await;
    }
    story.tick(M).await;
    assert_eq!(
        story.runs().await,
        [
            "1 A Failed Credential required for remote execution",
            "2 A Failed Credential required for remote execution",
            "3 A Running",
            "4 A Running",
        ]
    );
    let modes: Vec<_> = story
        .wire
        .sent()
        .into_iter()
        .map(|(.., payload)| payload.get("run_mode").unwrap().python_str())
        .collect();
    assert_eq!(modes, ["currentuser", "system"]);
}

#[tokio::test]
async fn a_winrm_login_goes_to_the_host_and_nowhere_else() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let winrm = ("execution_context", "'winrm'");
    story
        .job(PLAYBOOK, r#"["A"]"#, &[winrm, ("credential_id", "1")])
        .await;
    story
        .job(
            PLAYBOOK,
            r#"["A"]"#,
            &[winrm, ("credential_id", "1"), ("use_service_account", "1")],
        )
        .await;
    story.tick(M).await;
    let sent = story.wire.sent();
    assert_eq!(
        sent[0].2.get("variable_values"),
        Some(&Json::object([
            ("__borealis_winrm_username", "bob".into()),
            ("__borealis_winrm_password", "s3cret".into()),
            ("__borealis_winrm_transport", "kerberos".into()),
        ]))
    );
    assert_eq!(
        sent[1].2.get("variable_values"),
        Some(&Json::object::<&str, 0>([]))
    );
    assert!(!format!("{:?}", story.wire.told()).contains("s3cret"));
    let everywhere = "SELECT group_concat(COALESCE(error, '')) FROM scheduled_job_runs UNION ALL \
                      SELECT group_concat(COALESCE(stdout, '') || COALESCE(stderr, '')) FROM activity_history";
    assert!(!story.column(everywhere).await.concat().contains("s3cret"));
}

#[tokio::test]
async fn a_playbook_over_ssh_ends_with_its_reason() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    let ssh = ("execution_context", "'ssh'");
    story
        .job(PLAYBOOK, r#"["A"]"#, &[ssh, ("credential_id", "9")])
        .await;
    story
        .job(PLAYBOOK, r#"["A"]"#, &[ssh, ("credential_id", "1")])
        .await;
    story.tick(M).await;
    let unsupported = "Unsupported credential connection type 'winrm' for server execution";
    assert_eq!(
        story.runs().await,
        [
            "1 A Failed Credential not found".to_owned(),
            format!("2 A Failed {unsupported}")
        ]
    );
    assert_eq!(
        story
            .column("SELECT hostname || ' ' || agent_id || ' ' || status || ' ' || recap_json FROM ansible_play_recaps")
            .await,
        ["A server Failed {}", "A server Failed {}"]
    );
    assert_eq!(
        story.column("SELECT stderr FROM activity_history").await[0],
        "Credential not found"
    );
    assert_eq!(story.wire.sent_to(), [""; 0]);
    let told: Vec<_> = story.wire.told().into_iter().map(|(event, _)| event).collect();
    // Nothing was started.
    assert!(!told.iter().any(|told| told == "job_run_started"));
    for event in [
        "ansible_recap_update",
        "device_activity_changed",
        "job_run_completed",
    ] {
        assert_eq!(told.iter().filter(|told| *told == event).count(), 2, "{event}");
    }
}

#[tokio::test]
async fn offline_hosts_wait_until_the_occurrence_expires() {
    let story = Story::begin().await;
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story.job(SCRIPT, r#"["A"]"#, &[("expiration", "'2m'")]).await;
    story.job(SCRIPT, r#"["A"]"#, &[("expiration", "'0m'")]).await;
    story.tick(M).await;
    assert_eq!(story.runs().await, ["3 A Expired Device offline"]);
    story.tick(M + 120).await;
    assert_eq!(
        story.runs().await,
        ["3 A Expired Device offline", "2 A Expired Device offline"]
    );
    story.wire.connect(&["A"]);
    story.tick(M + 300).await;
    assert_eq!(story.runs().await.last().unwrap(), "1 A Running");
    // A host that never started is no run that has ended.
    assert!(
        story
            .wire
            .told()
            .iter()
            .all(|(event, _)| event == "job_run_started")
    );
}

#[tokio::test]
async fn a_thousand_due_jobs_run_in_one_tick() {
    let story = Story::begin().await;
    story.wire.connect(&["A"]);
    story.job(SCRIPT, r#"["A"]"#, &[]).await;
    story
        .sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
             INSERT INTO scheduled_jobs (name, components_json, targets_json, schedule_type, execution_context, \
             use_service_account, created_at) SELECT name, components_json, targets_json, schedule_type, \
             execution_context, use_service_account, created_at FROM scheduled_jobs, n",
        )
        .await;
    story.tick(M).await;
    assert_eq!(story.wire.sent().len(), 1000);
    story.tick(M + 60).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(
        story
            .column("SELECT CAST(COUNT(*) AS TEXT) FROM scheduled_job_runs WHERE status = 'Success'")
            .await,
        ["1000"]
    );
}

#[tokio::test]
async fn a_path_may_lead_out_of_its_island_and_in_again() {
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", "- hosts: all\n");
    story.wire.connect(&["A"]);
    let root = story.root().file_name().unwrap().to_str().unwrap().to_owned();
    for components in [
        r#"[{"type":"script","path":"../../Assemblies/Scripts/hello.ps1"}]"#.to_owned(),
        format!(r#"[{{"type":"script","path":"Scripts/../../../{root}/Assemblies/Scripts/hello.ps1"}}]"#),
        r#"[{"type":"ansible","path":"../../Assemblies/Ansible_Playbooks/p.yml"}]"#.to_owned(),
    ] {
        story.job(&components, r#"["A"]"#, &[]).await;
        story.tick(M).await;
        assert_eq!(story.wire.sent().len(), 1, "{components}");
    }
    story
        .job(
            r#"[{"type":"script","path":"../../Scripts/hello.ps1"}]"#,
            r#"["A"]"#,
            &[],
        )
        .await;
    story.tick(M).await;
    assert_eq!(story.wire.sent().len(), 0);
}
