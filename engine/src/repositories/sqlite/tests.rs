use sqlx::Row as _;

use super::*;
use crate::{
    domain::operators::NewUser,
    repositories::{
        devices::ReadDevices as _,
        operators::{ReadUsers as _, WriteUsers as _},
    },
};

async fn open(folder: &Path) -> SqliteStore {
    let store = SqliteStore::open(&folder.join("database.db")).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn alice() -> NewUser {
    NewUser {
        username: "Alice".to_owned(),
        display_name: "Alice".to_owned(),
        password_sha512: "00".to_owned(),
        role: "Admin".to_owned(),
    }
}

#[tokio::test]
async fn an_empty_file_gets_the_legacy_s_tables_and_the_engine_s_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.migrate().await.unwrap();
    let mut view = store.reading().await.unwrap();
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            .fetch_all(view.connection())
            .await
            .unwrap();
    assert_eq!(
        tables.join(" "),
        "activity_history agent_service_account ansible_play_recaps credentials device_approvals device_keys \
         device_list_views device_sites devices engine_account_devices engine_activity_devices \
         engine_known_addresses engine_operator_accounts engine_operator_sessions \
         engine_quick_run_requests engine_undelivered_work enrollment_install_codes \
         enrollment_install_codes_persistent github_token refresh_tokens scheduled_job_run_activity scheduled_job_runs scheduled_jobs sites \
         sqlite_sequence users"
    );
}

#[tokio::test]
async fn a_host_name_that_cannot_be_read_hides_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut turn = store.writer.turn().await.unwrap();
    sqlx::raw_sql("INSERT INTO devices (guid, hostname) VALUES ('g1', 'web-1'), ('g2', CAST(x'ff41' AS TEXT)), ('g3', x'41')")
        .execute(turn.connection())
        .await
        .unwrap();
    drop(turn);
    let mut view = store.reading().await.unwrap();
    assert_eq!(view.host_names().await.unwrap(), ["web-1"]);
}

#[tokio::test]
async fn the_engines_own_tables_are_made_without_an_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("own.db")).await.unwrap();
    store.make_own_tables().await.unwrap();
    store.make_own_tables().await.unwrap();
    let mut view = store.reading().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(view.connection())
        .await
        .unwrap();
    assert_eq!(
        tables,
        [
            "engine_undelivered_work",
            "engine_activity_devices",
            "engine_account_devices",
            "engine_operator_accounts",
            "engine_operator_sessions",
            "engine_known_addresses",
            "engine_quick_run_requests",
        ]
    );
}

#[tokio::test]
async fn a_change_that_is_not_saved_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut work = store.begin().await.unwrap();
    work.insert_user(&alice(), 1).await.unwrap();
    drop(work);
    assert_eq!(
        store.view().await.unwrap().find_user("alice").await.unwrap(),
        None
    );
    let mut work = store.begin().await.unwrap();
    work.insert_user(&alice(), 1).await.unwrap();
    work.save().await.unwrap();
    let found = store
        .view()
        .await
        .unwrap()
        .find_user("ALICE")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((found.username.as_str(), found.mfa_enabled), ("Alice", false));
}

#[tokio::test]
async fn readers_go_on_beside_an_open_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut work = store.begin().await.unwrap();
    work.insert_user(&alice(), 1).await.unwrap();
    assert_eq!(store.view().await.unwrap().count_admins().await.unwrap(), 0);
    work.save().await.unwrap();
    assert_eq!(store.view().await.unwrap().count_admins().await.unwrap(), 1);
}

#[tokio::test]
async fn a_value_of_another_kind_is_named_by_table_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut work = store.work().await.unwrap();
    work.insert_user(&alice(), 1).await.unwrap();
    sqlx::raw_sql("UPDATE users SET display_name = x'ff'")
        .execute(work.connection())
        .await
        .unwrap();
    let error = work.find_user("alice").await.unwrap_err().to_string();
    assert!(error.contains("users.display_name"), "{error}");
}

#[tokio::test]
async fn a_look_names_what_a_database_lacks_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("database.db");
    let store = open(folder.path()).await;
    store.close().await;
    assert_eq!(inspect(&path).await.unwrap(), DatabaseState::default());
    let store = SqliteStore::open(&path).await.unwrap();
    sqlx::raw_sql(
        "DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT); DROP TABLE devices",
    )
    .execute(store.writer.turn().await.unwrap().connection())
    .await
    .unwrap();
    // Also while the server works in it.
    let running = inspect(&path).await.unwrap();
    store.close().await;
    let before = std::fs::read(&path).unwrap();
    let state = inspect(&path).await.unwrap();
    assert_eq!(running, state);
    assert_eq!(state.upgrade.tables, ["devices"]);
    assert_eq!(state.upgrade.gaps.len(), 1);
    assert!(state.damage.is_empty());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_every_call_of_a_device_runs_finds_its_rows_by_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut work = store.work().await.unwrap();
    for statement in [
        devices::reports::NOTE_REPORT,
        devices::reports::NOTE_REPORTS,
        device_access::lookups::DEVICES,
        device_access::lookups::TOKENS,
        device_access::refresh_notes::NOTE,
    ] {
        let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
            .fetch_all(work.connection())
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
        let scans = plan.iter().filter(|step| step.starts_with("SCAN"));
        // What is asked and noted together is a list.
        let scans: Vec<_> = scans.filter(|step| !step.contains("VIRTUAL TABLE")).collect();
        assert!(scans.is_empty(), "{statement}: {plan:?}");
        assert!(
            plan.iter().any(|step| step.starts_with("SEARCH")),
            "{statement}: {plan:?}"
        );
    }
}
