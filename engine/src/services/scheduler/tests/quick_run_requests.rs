//! What a quick run was asked for is stored once for all its hosts, and no longer than one of them waits for it.

use std::collections::HashSet;

use super::{
    quick_playbooks::{self, WINRM, author},
    story::{M, Story},
};
use crate::{
    domain::{fernet::FernetKey, json::Json},
    repositories::sqlite::SqliteStore,
    services::{scheduler::channel::Receipt, secret_box::SecretBox},
};

/// Bytes of the file's pages that hold something.
const STORED: &str = "SELECT CAST((page_count - freelist_count) * page_size AS TEXT) \
                      FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
const REQUESTS: &str = "SELECT CAST(COUNT(*) AS TEXT) FROM engine_quick_run_requests";
/// How long a value is.
const LONG: usize = 100_000;

fn hello(hosts: &[&str], who: &str) -> Json {
    Json::object([
        ("script_path", "Scripts/hello.ps1".into()),
        ("hostnames", Json::list(hosts.iter().copied())),
        ("variable_values", Json::object([("who", who.into())])),
    ])
}

async fn stored(story: &Story) -> usize {
    story.column(STORED).await[0].parse().unwrap()
}

async fn requests(story: &Story) -> String {
    story.column(REQUESTS).await.remove(0)
}

/// What was sent: to which host, and the value of the script's variable.
fn sent(story: &Story) -> Vec<(String, String)> {
    let who = |payload: &Json| {
        payload
            .get("environment")?
            .get("WHO")?
            .as_text()
            .map(str::to_owned)
    };
    let sent = story.wire.sent().into_iter();
    sent.map(|(host, _, payload)| (host, who(&payload).unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn hundreds_of_hosts_and_a_long_value_take_the_room_of_one_request() {
    let names: Vec<_> = (0..200).map(|number| format!("HOST-{number}")).collect();
    let hosts: Vec<_> = names.iter().map(String::as_str).collect();
    let long = "x".repeat(LONG);
    for is_playbook in [false, true] {
        let mut story = quick_playbooks::story().await;
        let before = stored(&story).await;
        let run_ids: HashSet<_> = if is_playbook {
            let values = Json::object([("who", long.as_str().into())]);
            let started = quick_playbooks::start(&story, &author(true), &hosts, Some(WINRM), values).await;
            started.unwrap().into_iter().map(|run| run.run_id).collect()
        } else {
            story.quick_run(hello(&hosts, &long)).await;
            HashSet::new()
        };
        let of_both = stored(&story).await - before;
        assert!(of_both < 2 * LONG, "{of_both} bytes for {} hosts", hosts.len());

        story.restart().await;
        story.wire.connect(&hosts);
        assert_eq!(story.look(M + 15).await, hosts.len());
        let sent = story.wire.sent();
        let reached: Vec<_> = sent.iter().map(|(host, ..)| host.as_str()).collect();
        assert_eq!(reached, hosts);
        let member = |payload: &Json, object, name| {
            let value = payload.get(object).and_then(|values| values.get(name));
            value.and_then(Json::as_text).map(str::to_owned)
        };
        if is_playbook {
            let sent_ids: HashSet<_> = sent
                .iter()
                .filter_map(|(.., payload)| payload.get("run_id").and_then(Json::as_text))
                .map(str::to_owned)
                .collect();
            assert_eq!((sent_ids.len(), sent_ids), (hosts.len(), run_ids));
        }
        let (object, name) = if is_playbook {
            ("variable_values", "who")
        } else {
            ("environment", "WHO")
        };
        assert!(
            sent.iter()
                .all(|(.., payload)| member(payload, object, name).as_ref() == Some(&long))
        );
        assert_eq!(
            (story.look(M + 30).await, requests(&story).await),
            (0, "0".to_owned())
        );
        // Their results are awaited still, and have nothing of what was asked for.
        let of_hosts = stored(&story).await - before;
        assert!(of_hosts < LONG, "{of_hosts} bytes for {} hosts", hosts.len());
    }
}

#[tokio::test]
async fn each_host_gets_what_its_own_quick_run_was_asked_for() {
    let mut story = Story::begin().await;
    story.quick_run(hello(&["A", "B"], "one")).await;
    story.quick_run(hello(&["B", "A"], "two")).await;
    story.restart().await;
    story.wire.connect(&["A", "B"]);
    story.look(M + 15).await;
    let expected = [("A", "one"), ("B", "one"), ("B", "two"), ("A", "two")];
    assert_eq!(
        sent(&story),
        expected.map(|(host, who)| (host.to_owned(), who.to_owned()))
    );
}

#[tokio::test]
async fn a_request_goes_with_the_last_host_that_waits_for_it() {
    let story = Story::begin().await;
    let counts = async || {
        let mut view = story.ground.store().view().await.unwrap();
        let counts = view.count_undelivered().await.unwrap();
        let listed = view.undelivered_quick_runs().await.unwrap().len();
        assert_eq!((counts.of_jobs, counts.of_quick_runs), (0, listed));
        listed
    };
    story.wire.connect(&["A", "F"]);
    // A gets it, B never comes.
    story.quick_run(hello(&["A", "B"], "one")).await;
    assert_eq!((counts().await, requests(&story).await), (1, "1".to_owned()));
    story.look(M + 300).await;
    assert_eq!((counts().await, requests(&story).await), (0, "0".to_owned()));
    // C's history is deleted, D's result comes before the next look at it, E's row is taken away from outside.
    for host in ["C", "D", "E"] {
        story.quick_run(hello(&[host], "two")).await;
    }
    assert_eq!((counts().await, requests(&story).await), (3, "3".to_owned()));
    story
        .sql(
            "DELETE FROM activity_history WHERE hostname = 'C'; \
             UPDATE activity_history SET status = 'Success' WHERE hostname = 'D'; \
             DELETE FROM engine_undelivered_work WHERE activity_id = \
             (SELECT id FROM activity_history WHERE hostname = 'E')",
        )
        .await;
    story.look(M + 315).await;
    assert_eq!((counts().await, requests(&story).await), (0, "2".to_owned()));
    story.tick(M + 330).await;
    assert_eq!(requests(&story).await, "0");
    // F may have it and is sent it again, so it stays.
    story.wire.receipts.lock().unwrap().push(Receipt::Unknown);
    story.quick_run(hello(&["F"], "three")).await;
    story.tick(M + 345).await;
    assert_eq!((counts().await, requests(&story).await), (1, "1".to_owned()));
    story.look(M + 360).await;
    assert_eq!((counts().await, requests(&story).await), (0, "0".to_owned()));
    // Nobody is sent anything, so nothing is kept.
    story
        .sql(
            "INSERT INTO devices (guid, hostname, created_at, status) \
             VALUES ('3F2504E0-4F89-11D3-9A0C-0305E82C3301', 'Q', 0, 'quarantined')",
        )
        .await;
    story.quick_run(hello(&["Q"], "four")).await;
    assert_eq!(requests(&story).await, "0");
}

#[tokio::test]
async fn a_host_whose_request_is_gone_gets_no_other() {
    let mut story = Story::begin().await;
    story.quick_run(hello(&["A"], "one")).await;
    story.sql("DELETE FROM engine_quick_run_requests").await;
    story.quick_run(hello(&["B"], "two")).await;
    story.restart().await;
    story.wire.connect(&["A", "B"]);
    story.look(M + 15).await;
    assert_eq!(sent(&story), [("B".to_owned(), "two".to_owned())]);
    assert_eq!(
        story.activities().await,
        ["Failed What was asked for cannot be read any more", "Running"]
    );
}

#[tokio::test]
async fn what_an_older_engine_left_reaches_its_agents() {
    /// The table as it was: each row has its request.
    const OLDER: &str = "DROP TABLE engine_quick_run_requests; DROP TABLE engine_undelivered_work; \
                         CREATE TABLE engine_undelivered_work (activity_id INTEGER PRIMARY KEY, \
                         component_index INTEGER NOT NULL, sends INTEGER NOT NULL DEFAULT 0, request BLOB, \
                         patience INTEGER, until INTEGER); \
                         INSERT INTO engine_undelivered_work (activity_id, component_index, request, patience) VALUES ";
    const SCRIPT: &str = r#"{"digest":"wODek6Gg7z/+YJA4APWKc1Bha08I0F1ENSN4Fg45aZQ=","run_mode":"system","script_path":"Scripts/hello.ps1","variable_values":{"who":"s3cret"}}"#;
    const PLAYBOOK: &str = r#"{"credential_id":null,"digest":"v/KSbmfQvUS7vbkzYACvo1ApaVLpx6Wmedj/W4kqxzY=","playbook_path":"p.yml","run_id":"0123456789abcdef0123456789abcdef","variable_values":{"x":"s3cret"}}"#;
    let mut story = quick_playbooks::story().await;
    story.quick_run(hello(&["A", "B"], "s3cret")).await;
    let values = Json::object([("x", "s3cret".into())]);
    quick_playbooks::start(&story, &author(true), &["C"], None, values)
        .await
        .unwrap();
    let secrets = SecretBox::new(FernetKey::from_bytes([9; 32]), story.ground.environment.clone());
    let sealed = |text| String::from_utf8(secrets.seal(text)).unwrap();
    let (script, playbook) = (sealed(SCRIPT), sealed(PLAYBOOK));
    story
        .sql(&format!(
            "{OLDER} (1, 0, CAST('{script}' AS BLOB), 90), (2, 0, CAST('{script}' AS BLOB), 90), \
             (3, 0, CAST('{playbook}' AS BLOB), 90)"
        ))
        .await;
    let store = SqliteStore::open(&story.root().join("database.db"))
        .await
        .unwrap();
    store.make_own_tables().await.unwrap();
    store.close().await;
    story.restart().await;
    story.wire.connect(&["A", "B", "C"]);
    assert_eq!(story.look(M + 15).await, 3);
    let sent = story.wire.sent();
    let text = |number: usize, names: &[&str]| {
        let payload = Some(&sent[number].2);
        let value = names
            .iter()
            .fold(payload, |value, name| value.and_then(|value| value.get(name)));
        value.and_then(Json::as_text).unwrap_or_default()
    };
    assert_eq!(
        sent.iter().map(|(host, ..)| host.as_str()).collect::<Vec<_>>(),
        ["A", "B", "C"]
    );
    assert_eq!(text(0, &["environment", "WHO"]), "s3cret");
    assert_eq!(text(1, &["environment", "WHO"]), "s3cret");
    assert_eq!(text(2, &["variable_values", "x"]), "s3cret");
    assert_eq!(text(2, &["run_id"]), "0123456789abcdef0123456789abcdef");
    // They have arrived, and keep nothing of it until their results come.
    assert_eq!(
        story
            .column("SELECT length(request) || ' ' || (until > 0) FROM engine_undelivered_work")
            .await,
        ["0 1"; 3]
    );
    assert_eq!(story.look(M + 30).await, 0);
}
