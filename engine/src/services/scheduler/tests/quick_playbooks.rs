//! Playbooks that an operator runs now reach their agents, run on the server, or end.

use super::story::{M, Story};
use crate::{
    builders::quick_run::quick_playbook,
    domain::json::Json,
    services::{
        quick_run::{Execution, QuickPlaybookError, StartedPlaybook},
        scheduled_jobs::JobAuthor,
    },
};

pub(super) const WINRM: i64 = 1;
const SSH: i64 = 2;

pub(super) fn author(may_use_credentials: bool) -> JobAuthor {
    JobAuthor {
        name: "ann".to_owned(),
        may_use_credentials,
    }
}

/// A story with a playbook, and with the credentials that the vault opens.
pub(super) async fn story() -> Story {
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", "echo \"ran $@\"\n");
    for (id, connection) in [(WINRM, "winrm"), (SSH, "ssh"), (3, "api"), (4, "linux")] {
        story
            .sql(&format!(
                "INSERT INTO credentials (id, name, connection_type, created_at, updated_at) \
                 VALUES ({id}, '{connection}', '{connection}', 0, 0)"
            ))
            .await;
    }
    story
}

pub(super) async fn start(
    story: &Story,
    author: &JobAuthor,
    hosts: &[&str],
    credential: Option<i64>,
    values: Json,
) -> Result<Vec<StartedPlaybook>, QuickPlaybookError> {
    let body = Json::object([
        ("playbook_path", "p.yml".into()),
        ("hostnames", Json::list(hosts.iter().copied())),
        ("credential_id", credential.into()),
        ("variable_values", values),
    ]);
    let wanted = quick_playbook(body.as_object().unwrap()).unwrap();
    let started = story.quick_runs.start_playbook(author, wanted).await;
    story.quiet().await;
    started
}

#[tokio::test]
async fn a_playbook_waits_for_its_agent_also_across_a_restart_and_is_the_one_that_was_asked_for() {
    let mut story = story().await;
    let values = Json::object([("x", "s3cret".into())]);
    let started = start(&story, &author(true), &["A", "B"], Some(WINRM), values)
        .await
        .unwrap();
    let stored = story
        .column("SELECT CAST(request AS TEXT) FROM engine_quick_run_requests")
        .await;
    assert!(stored[0].starts_with("gAAAAA"), "{stored:?}");
    story.restart().await;
    story.wire.connect(&["A", "B"]);
    story.look(M + 15).await;
    let sent = story.wire.sent();
    assert_eq!(sent.len(), 2);
    for ((host, event, payload), run) in sent.iter().zip(&started) {
        assert_eq!(
            (host.as_str(), event.as_str()),
            (run.hostname.as_text().unwrap(), "ansible_playbook_run")
        );
        assert_eq!(payload.get("run_id"), Some(&run.run_id.as_str().into()));
        assert_eq!(payload.get("activity_job_id"), Some(&run.activity_id.into()));
        assert!(payload.get("signature").is_some());
        let values = payload.get("variable_values").unwrap();
        assert_eq!(values.get("x"), Some(&"s3cret".into()));
        assert!(values.get("__borealis_winrm_password").is_some());
    }
    assert_eq!(story.look(M + 30).await, 0);
}

#[tokio::test]
async fn a_playbook_that_was_changed_or_whose_agent_never_comes_ends() {
    let story = story().await;
    start(&story, &author(false), &["A"], None, Json::Null)
        .await
        .unwrap();
    story.file("Ansible_Playbooks/p.yml", "echo another\n");
    story.wire.connect(&["A"]);
    story.look(M + 15).await;
    start(&story, &author(false), &["B"], None, Json::Null)
        .await
        .unwrap();
    story.look(M + 15 + 300).await;
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(
        story.activities().await,
        [
            "Failed The playbook was changed before it reached the device",
            "Failed Device offline"
        ]
    );
}

#[tokio::test]
async fn a_playbook_over_ssh_runs_on_the_server_and_belongs_to_no_job() {
    let story = story().await;
    let started = start(&story, &author(true), &["L"], Some(SSH), Json::Null)
        .await
        .unwrap();
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(
        story
            .column(
                "SELECT r.run_id || ' ' || r.status || ' ' || a.status || ' ' || a.script_type || ' ' || \
                 COALESCE(r.scheduled_job_id, '-') FROM ansible_play_recaps r \
                 JOIN activity_history a ON a.id = r.activity_job_id"
            )
            .await,
        [format!("{} Success Success ansible -", started[0].run_id)]
    );
    let printed = story.column("SELECT stdout FROM activity_history").await.concat();
    assert!(printed.starts_with("ran -i "), "{printed}");
}

#[tokio::test]
async fn who_may_not_use_a_credential_and_what_no_playbook_may_have_is_refused_before_anything_is_written() {
    let story = story().await;
    let refused = async |author: JobAuthor, credential, values| {
        start(&story, &author, &["L"], Some(credential), values)
            .await
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused(author(false), SSH, Json::Null).await, "forbidden");
    assert_eq!(refused(author(false), 99, Json::Null).await, "forbidden");
    assert_eq!(
        refused(author(true), 99, Json::Null).await,
        "Credential not found"
    );
    assert_eq!(
        refused(author(true), 3, Json::Null).await,
        "Credential connection 'api' not supported"
    );
    let taking_over = Json::object([("ansible_host", "elsewhere".into())]);
    assert_eq!(
        refused(author(true), SSH, taking_over).await,
        "the variable ansible_host is not allowed"
    );
    assert_eq!(story.activities().await, [""; 0]);
}

#[tokio::test]
async fn a_quarantined_device_gets_no_playbook() {
    let story = story().await;
    story
        .sql(
            "INSERT INTO devices (guid, hostname, created_at, status) \
             VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'Q', 0, 'quarantined')",
        )
        .await;
    story.wire.connect(&["Q"]);
    for credential in [None, Some(SSH)] {
        let started = start(&story, &author(true), &["Q"], credential, Json::Null)
            .await
            .unwrap();
        assert_eq!(started[0].refused.as_deref(), Some("Device quarantined"));
    }
    assert_eq!(story.wire.sent().len(), 0);
    assert_eq!(story.activities().await, ["Failed Device quarantined"; 2]);
    assert_eq!(
        story.column("SELECT run_id FROM ansible_play_recaps").await,
        [""; 0]
    );
}

#[tokio::test]
async fn a_credential_of_no_type_is_one_for_ssh() {
    let story = story().await;
    story
        .sql("INSERT INTO credentials (id, name, connection_type, created_at, updated_at) VALUES (5, 'c', '', 0, 0)")
        .await;
    let none = Json::object::<&str, 0>([]);
    let started = start(&story, &author(true), &["A"], Some(5), none).await.unwrap();
    assert_eq!(started[0].execution, Execution::Server);
}
