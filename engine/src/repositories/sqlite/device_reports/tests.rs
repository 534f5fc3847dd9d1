use super::*;
use crate::{
    domain::device_document::DeviceSnapshot,
    repositories::{Store as _, UnitOfWork as _, sqlite::SqliteStore},
};

use crate::testkit::START as NOW;

async fn store(rows: &'static str) -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("database.db"))
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let mut work = store.work().await.unwrap();
    sqlx::raw_sql(rows).execute(work.connection()).await.unwrap();
    Box::new(work).save().await.unwrap();
    (folder, store)
}

async fn rewrite(store: &SqliteStore, hostname: &str, change: impl FnOnce(&mut DeviceUpsert)) -> DeviceRow {
    let mut work = store.begin().await.unwrap();
    let row = work.device_row_named(hostname).await.unwrap();
    let known = row.as_ref().map(DeviceSnapshot::from);
    let mut device = DeviceUpsert::rewrite(hostname, known.as_ref(), NOW);
    change(&mut device);
    work.upsert_device(&device).await.unwrap();
    work.save().await.unwrap();
    let mut view = store.view().await.unwrap();
    view.device_row_named(hostname).await.unwrap().unwrap()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn a_heartbeat_of_an_unknown_host_makes_a_row() {
    let (_folder, store) = store("SELECT 1").await;
    let made = rewrite(&store, "WIN-1", |device| {
        device.last_seen = Some(5);
        device.agent_id = text("agent-1");
    })
    .await;
    let expected = DeviceRow {
        hostname: text("WIN-1"),
        description: text(""),
        created_at: Some(NOW),
        memory: text("[]"),
        network: text("[]"),
        software: text("[]"),
        storage: text("[]"),
        cpu: text("{}"),
        last_seen: Some(5),
        agent_id: text("agent-1"),
        ..DeviceRow::default()
    };
    assert_eq!(made, expected);
}

#[tokio::test]
async fn rewriting_tidies_and_keeps() {
    let (_folder, store) = store(
        "INSERT INTO devices (guid, hostname, memory, network, cpu, domain, last_user, external_ip, uptime, \
         last_seen, ssl_key_fingerprint, token_version, status) VALUES ('{aaaaaaaa111142228333444444444444}', 'WIN-1', \
         '{bad', '[\"\u{e9}\"]', '[1]', ' LAB ', '  ', '203.0.113.5', 7.9, 100, 'ab', 3, 'quarantined')",
    )
    .await;
    let written = rewrite(&store, "WIN-1", |device| device.last_seen = Some(0)).await;
    let expected = DeviceRow {
        guid: text("AAAAAAAA-1111-4222-8333-444444444444"),
        hostname: text("WIN-1"),
        description: text(""),
        created_at: Some(NOW),
        memory: text("[]"),
        network: text("[\"\\u00e9\"]"),
        software: text("[]"),
        storage: text("[]"),
        cpu: text("{}"),
        domain: text("LAB"),
        last_user: text("  "),
        external_ip: text("203.0.113.5"),
        connection_endpoint: text("203.0.113.5"),
        uptime: Some(7),
        last_seen: Some(100),
        ..DeviceRow::default()
    };
    assert_eq!(written, expected);
    assert_eq!(
        rewrite(&store, "WIN-1", |_| ()).await,
        expected,
        "a second time changes nothing"
    );
    let mut work = store.work().await.unwrap();
    let kept: (String, i64, String) =
        sqlx::query_as("SELECT ssl_key_fingerprint, token_version, status FROM devices")
            .fetch_one(work.turn.connection())
            .await
            .unwrap();
    assert_eq!(kept, ("ab".to_owned(), 3, "quarantined".to_owned()));
}

#[tokio::test]
async fn columns_of_another_type_are_no_failure() {
    let (_folder, store) = store(
        "INSERT INTO devices (guid, hostname, created_at, last_seen, uptime) VALUES ('A', 'WIN-1', 'soon', 12.9, -3)",
    )
    .await;
    let row = store
        .view()
        .await
        .unwrap()
        .device_row("a")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.created_at, row.last_seen, row.uptime),
        (None, Some(12), Some(-3))
    );
}

#[tokio::test]
async fn the_exact_guid_comes_first() {
    let (_folder, store) =
        store("INSERT INTO devices (guid, hostname) VALUES ('a', 'WIN-1'), ('A', 'WIN-2'), (NULL, NULL)")
            .await;
    let mut view = store.view().await.unwrap();
    assert_eq!(
        view.device_row("A").await.unwrap().unwrap().hostname,
        text("WIN-2")
    );
    assert_eq!(
        view.device_row("a").await.unwrap().unwrap().hostname,
        text("WIN-1")
    );
    assert_eq!(view.device_row("b").await.unwrap(), None);
    assert_eq!(view.device_row_named("win-1").await.unwrap(), None);
}

#[tokio::test]
async fn a_guid_of_another_host_is_refused() {
    let (_folder, store) = store("INSERT INTO devices (guid, hostname) VALUES ('A', 'WIN-1')").await;
    let mut work = store.begin().await.unwrap();
    let device = DeviceUpsert {
        hostname: "WIN-2".to_owned(),
        guid: text("A"),
        ..DeviceUpsert::default()
    };
    assert!(work.upsert_device(&device).await.is_err());
}
