//! Playbooks over SSH, with a shell in place of `ansible-playbook`: the playbook is a script that shows what it was given.

use super::{
    PLAYBOOK,
    story::{M, Story},
};
use crate::domain::base64;

/// Prints its own place, its arguments and the files that they name.
const SHOWS: &str = "echo \"$0 $@\"\npwd\ncat \"$2\" \"${4#@}\"\nls -l \"$(dirname \"$2\")\"\n";
const SSH: (&str, &str) = ("execution_context", "'ssh'");

async fn ran(script: &str, components: &str) -> (Story, String) {
    let story = Story::begin().await;
    story.file("Ansible_Playbooks/p.yml", script);
    let document = format!(
        r#"{{"script":"{}","script_encoding":"base64"}}"#,
        base64::encode(script.as_bytes())
    );
    story.file("Ansible_Playbooks/doc.json", &document);
    story.wire.connect(&["A"]);
    story
        .job(components, r#"["A"]"#, &[SSH, ("credential_id", "2")])
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
        "inventory.json --extra-vars @",
        "extra_vars.json --become --become-method sudo --become-user root\n",
        r#""ansible_host":"A""#,
        r#""ansible_user":"alice""#,
        r#""ansible_password":"t0psecret""#,
        r#""ansible_ssh_private_key_file":"#,
        r#""ansible_become":true"#,
        r#"{"x":"1"}"#,
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
            "job_run_started",
            "ansible_recap_update",
            "device_activity_changed",
            "job_run_completed"
        ]
    );
}
