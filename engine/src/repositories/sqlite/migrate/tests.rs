//! Long because it is a list of stories.

use std::{fs, path::PathBuf};

use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::*;
use crate::{
    config::logging::capture::capture,
    integrations::random::SeededRandom,
    repositories::{
        StoreError,
        sqlite::{SqliteStore, inspect, try_upgrade},
    },
};

const DETAILS: &str = r#"{"summary": {"last_seen": 1700000000, "os": "Windows 10", "uptime_sec": 77}, "memory": [{"slot": "A"}], "network": [], "cpu": {"cores": 4}}"#;

/// A database that older servers left.
struct Old {
    folder: tempfile::TempDir,
}

impl Old {
    async fn new(statements: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let old = Self { folder };
        let mut connection = old.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        old
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("database.db")
    }

    async fn connect(&self) -> SqliteConnection {
        let url = format!("sqlite://{}?mode=rwc", self.path().display());
        SqliteConnection::connect(&url).await.unwrap()
    }

    async fn upgrade(&self) -> Result<Upgraded, MigrationError> {
        let store = SqliteStore::open(&self.path()).await.unwrap();
        let now = "2030-01-02T03:04:05.678901Z".parse().unwrap();
        let done = store.upgrade(now, &SeededRandom::new(1)).await;
        store.close().await;
        done
    }

    /// Rows of texts, `-` for NULL.
    async fn rows(&self, query: &str) -> Vec<String> {
        let mut connection = self.connect().await;
        let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        rows.iter()
            .map(|row| {
                let values = (0..row.len()).map(|column| {
                    let value: Option<String> = row.try_get_unchecked(column).unwrap();
                    value.unwrap_or_else(|| "-".to_owned())
                });
                values.collect::<Vec<_>>().join("|")
            })
            .collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The present `devices` without defaults and indexes, and with more columns.
fn complete_devices(more: &str) -> String {
    let columns = "guid TEXT PRIMARY KEY, hostname TEXT, description TEXT, created_at INTEGER, agent_hash TEXT, \
                   memory TEXT, network TEXT, software TEXT, storage TEXT, cpu TEXT, device_type TEXT, domain TEXT, \
                   external_ip TEXT, internal_ip TEXT, last_reboot TEXT, last_seen INTEGER, last_user TEXT, \
                   operating_system TEXT, uptime INTEGER, agent_id TEXT, ansible_ee_ver TEXT, connection_type TEXT, \
                   connection_endpoint TEXT, ssl_key_fingerprint TEXT, token_version INTEGER, status TEXT, \
                   key_added_at TEXT";
    format!("CREATE TABLE devices ({columns}{more});")
}

#[tokio::test]
async fn devices_keyed_by_host_name_are_rebuilt_and_keep_their_details() {
    let old = Old::new(&format!(
        "CREATE TABLE devices (hostname TEXT PRIMARY KEY, description TEXT, details TEXT, created_at INTEGER, \
         agent_hash TEXT, guid TEXT); \
         INSERT INTO devices VALUES ('OLD-1', 'first', '{DETAILS}', 1600000000, 'hash1', 'Ab-1'), \
         ('OLD-2', NULL, NULL, NULL, NULL, '  b-2  '), ('OLD-3', NULL, '{{}}', 0, NULL, NULL)"
    ))
    .await;
    let done = old.upgrade().await.unwrap();
    assert_eq!(done.changes[0], "the table devices is rebuilt around the GUID");
    assert_eq!(
        old.rows(
            "SELECT CASE hostname WHEN 'OLD-3' THEN length(guid) = 36 AND lower(guid) = guid ELSE guid END, hostname, \
             agent_hash, token_version, status, key_added_at, memory, network, cpu, operating_system, last_seen, uptime \
             FROM devices ORDER BY rowid"
        )
        .await,
        [
            "Ab-1|OLD-1|hash1|1|active|2020-09-13T12:26:40+00:00|[{\"slot\": \"A\"}]|-|{\"cores\": 4}|Windows \
             10|1700000000|77",
            "b-2|OLD-2|-|1|active|2030-01-02T03:04:05.678901+00:00|-|-|-|-|-|-",
            "1|OLD-3|-|1|active|2030-01-02T03:04:05.678901+00:00|-|-|-|-|-|-",
        ]
    );
    assert_eq!(
        old.rows("SELECT name FROM sqlite_master WHERE tbl_name GLOB 'devices*' AND name NOT GLOB 'sqlite_*' ORDER BY name")
            .await,
        ["devices", "idx_devices_ssl_key", "idx_devices_status", "uq_devices_hostname"]
    );
}

#[tokio::test]
async fn an_upgraded_database_is_closed_with_a_checkpoint() {
    let log = capture();
    let old = Old::new("CREATE TABLE sites (id INTEGER PRIMARY KEY)").await;
    assert!(!old.upgrade().await.unwrap().changes.is_empty());
    assert_eq!(log.messages(), [""; 0]);
}

#[tokio::test]
async fn in_a_rebuild_a_later_row_of_the_same_guid_or_host_wins() {
    let old = Old::new(
        "CREATE TABLE devices (id INTEGER PRIMARY KEY, guid TEXT, hostname TEXT, status TEXT, token_version INTEGER, \
         key_added_at TEXT, colour TEXT); \
         INSERT INTO devices (guid, hostname, status, token_version, key_added_at) VALUES \
         ('a', 'DUP', 'x', 3, 'k1'), ('b', 'DUP', '', 0, 'k2'), ('c', 'C1', NULL, NULL, ''), (' c', 'C2', 'revoked', 7, 'k4'), \
         ('d', NULL, 'y', 1, 'k5'), ('e', NULL, 'z', 1, 'k6')",
    )
    .await;
    old.upgrade().await.unwrap();
    assert_eq!(
        old.rows("SELECT guid, hostname, status, token_version, key_added_at FROM devices ORDER BY guid")
            .await,
        [
            "b|DUP|active|1|k2",
            "c|C2|revoked|7|k4",
            "d|-|y|1|k5",
            "e|-|z|1|k6"
        ]
    );
    assert_eq!(old.upgrade().await.unwrap(), Upgraded::default());
}

#[tokio::test]
async fn details_beside_complete_columns_are_spread_and_blanks_take_no_place() {
    let old = Old::new(&format!(
        "{} INSERT INTO devices (guid, hostname, memory, network, status, token_version, details) VALUES \
         ('1', 'A', '[1]', '[2]', NULL, NULL, '{DETAILS}'), ('2', 'B', '[1]', NULL, '', 0, 'no JSON'), \
         ('3', 'C', '', '{{}}', 'quarantined', 4, NULL), ('4', NULL, NULL, NULL, 'active', 1, '{{}}')",
        complete_devices(", details TEXT")
    ))
    .await;
    old.upgrade().await.unwrap();
    assert_eq!(
        old.rows(
            "SELECT guid, memory, network, software, cpu, operating_system, uptime, status, token_version, key_added_at \
             FROM devices ORDER BY guid"
        )
        .await,
        [
            "1|[{\"slot\": \"A\"}]|[2]|[]|{\"cores\": 4}|Windows 10|77|active|1|-",
            "2|[1]|[]|[]|{}|-|-||0|-",
            "3|[]|[]|[]|{}|-|-|quarantined|4|-",
            // The legacy goes by host names.
            "4|-|-|-|-|-|-|active|1|-",
        ]
    );
    let columns =
        "SELECT count(*) FROM pragma_table_info('devices') WHERE name = 'details' OR dflt_value IS NOT NULL";
    assert_eq!(old.rows(columns).await, ["0"]);
}

#[tokio::test]
async fn of_two_rows_of_one_host_the_one_seen_last_is_kept() {
    let old = Old::new(&format!(
        "{} INSERT INTO devices (guid, hostname, last_seen) VALUES ('1', 'A', 9), ('2', 'A', 5), ('3', 'B', 1), \
         ('4', 'B', 1), ('5', NULL, 1), ('6', NULL, 2), ('7', 'a', NULL)",
        complete_devices("")
    ))
    .await;
    old.upgrade().await.unwrap();
    assert_eq!(
        old.rows("SELECT group_concat(guid, '') FROM (SELECT guid FROM devices ORDER BY guid)")
            .await,
        ["14567"]
    );
}

#[tokio::test]
async fn the_oldest_table_is_taken_over_once_and_stays() {
    let old = Old::new(&format!(
        "CREATE TABLE device_details (hostname TEXT PRIMARY KEY, description TEXT, details TEXT, created_at INTEGER); \
         INSERT INTO device_details VALUES ('ANCIENT-1', 'long ago', '{DETAILS}', 1500000000)"
    ))
    .await;
    old.upgrade().await.unwrap();
    let devices = "SELECT hostname, description, created_at, key_added_at, uptime FROM devices";
    let taken = ["ANCIENT-1|long ago|1500000000|2017-07-14T02:40:00+00:00|77"];
    assert_eq!(old.rows(devices).await, taken);
    assert_eq!(
        old.rows("SELECT hostname FROM device_details").await,
        ["ANCIENT-1"]
    );
    assert_eq!(old.upgrade().await.unwrap(), Upgraded::default());
    assert_eq!(old.rows(devices).await, taken);
}

#[tokio::test]
async fn what_an_interrupted_rebuild_left_is_put_back() {
    let old = Old::new(&format!(
        "{} CREATE TABLE devices_legacy (hostname TEXT PRIMARY KEY, guid TEXT, description TEXT); \
         INSERT INTO devices (guid, hostname, description, token_version, status) VALUES ('a', 'A', 'new', 5, 'active'); \
         INSERT INTO devices_legacy VALUES ('A', 'a', 'old'), ('B', 'b', 'lost')",
        complete_devices("")
    ))
    .await;
    let done = old.upgrade().await.unwrap();
    assert_eq!(
        done.changes[0],
        "devices are taken over from the older table devices_legacy"
    );
    assert_eq!(
        old.rows("SELECT guid, description, token_version FROM devices ORDER BY guid")
            .await,
        ["a|new|5", "b|lost|1"]
    );
    assert_eq!(
        old.rows("SELECT name FROM sqlite_master WHERE name = 'devices_legacy'")
            .await,
        [""; 0]
    );
}

const OLD_USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE NOT NULL, \
                         display_name TEXT, password_sha512 TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'Admin', \
                         last_login INTEGER, created_at INTEGER, updated_at INTEGER); \
                         INSERT INTO users (username, password_sha512) VALUES ('old', '00');";

#[tokio::test]
async fn columns_are_added_at_the_end_in_the_legacy_s_order() {
    let old = Old::new(&format!(
        "{OLD_USERS} CREATE TABLE credentials (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, \
         username TEXT, password_encrypted BLOB, private_key_encrypted BLOB, created_at INTEGER NOT NULL, \
         updated_at INTEGER NOT NULL); \
         INSERT INTO credentials (name, created_at, updated_at) VALUES ('old', 1, 2)"
    ))
    .await;
    let done = old.upgrade().await.unwrap();
    assert!(
        done.changes
            .contains(&"the table users gets the column mfa_secret".to_owned()),
        "{done:?}"
    );
    assert_eq!(
        old.rows("SELECT username, mfa_enabled, mfa_secret FROM users")
            .await,
        ["old|0|-"]
    );
    assert_eq!(
        old.rows("SELECT connection_type, credential_type, site_id FROM credentials")
            .await,
        ["ssh|machine|-"]
    );
    assert_eq!(
        old.rows("SELECT group_concat(name, ' ') FROM pragma_table_info('credentials') WHERE cid >= 7")
            .await,
        [
            "connection_type credential_type metadata_json private_key_passphrase_encrypted become_method become_username \
             become_password_encrypted site_id description"
        ]
    );
}

#[tokio::test]
async fn other_old_shapes_and_unknown_tables_are_left_as_they_are() {
    let old = Old::new(
        "CREATE TABLE sites (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO sites VALUES (1, 'Berlin'); \
         CREATE TABLE plugins (name TEXT); INSERT INTO plugins VALUES ('mine')",
    )
    .await;
    assert_eq!(
        inspect(&old.path()).await.unwrap().upgrade.gaps,
        [(
            "sites".to_owned(),
            vec!["description".to_owned(), "created_at".to_owned()]
        )]
    );
    old.upgrade().await.unwrap();
    assert_eq!(old.rows("SELECT * FROM sites").await, ["1|Berlin"]);
    assert_eq!(old.rows("SELECT * FROM plugins").await, ["mine"]);
}

#[tokio::test]
async fn an_upgrade_leaves_a_copy_of_before_and_never_writes_over_another() {
    let old = Old::new(OLD_USERS).await;
    let expected = "database.db.before-upgrade-20300102T030405Z";
    fs::write(old.folder.path().join(expected), "another").unwrap();
    let backup = old.upgrade().await.unwrap().backup.unwrap();
    assert_eq!(
        old.names(),
        [
            "database.db".to_owned(),
            expected.to_owned(),
            format!("{expected}-2")
        ]
    );
    assert_eq!(fs::read(old.folder.path().join(expected)).unwrap(), *b"another");
    fs::rename(backup, old.path()).unwrap();
    assert_eq!(
        old.rows("SELECT tbl_name FROM sqlite_master WHERE type = 'table'")
            .await,
        ["users", "sqlite_sequence"]
    );
    assert_eq!(old.rows("SELECT * FROM users").await, ["1|old|-|00|Admin|-|-|-"]);
}

#[tokio::test]
async fn a_present_or_new_database_is_not_copied() {
    let old = Old::new("").await;
    assert_eq!(old.upgrade().await.unwrap(), Upgraded::default());
    assert_eq!(old.upgrade().await.unwrap(), Upgraded::default());
    assert_eq!(old.names(), ["database.db"]);
    // The engine's own table is no upgrade.
    let mut connection = old.connect().await;
    sqlx::raw_sql("DROP TABLE engine_undelivered_work")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert_eq!(old.upgrade().await.unwrap(), Upgraded::default());
    assert_eq!(
        old.rows("SELECT count(*) FROM engine_undelivered_work").await,
        ["0"]
    );
}

#[tokio::test]
async fn the_engines_own_table_of_an_older_engine_is_brought_up_to_date_without_a_copy() {
    const OLDER: &str = "DROP TABLE engine_undelivered_work; \
                         CREATE TABLE engine_undelivered_work (activity_id INTEGER PRIMARY KEY, \
                         component_index INTEGER NOT NULL); \
                         INSERT INTO engine_undelivered_work VALUES (7, 2)";
    let old = Old::new("").await;
    old.upgrade().await.unwrap();
    for migrates in [true, false] {
        let mut connection = old.connect().await;
        sqlx::raw_sql(OLDER).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        if migrates {
            assert_eq!(old.upgrade().await.unwrap(), Upgraded::default());
        } else {
            let store = SqliteStore::open(&old.path()).await.unwrap();
            store.make_own_tables().await.unwrap();
            store.close().await;
        }
        // What is there may have been sent already.
        assert_eq!(
            old.rows(
                "SELECT activity_id, component_index, sends, request, patience, until, request_id, run_id \
                 FROM engine_undelivered_work"
            )
            .await,
            ["7|2|1|-|-|-|-|-"]
        );
        // An older engine goes on with it.
        let mut connection = old.connect().await;
        sqlx::raw_sql(
            "INSERT OR REPLACE INTO engine_undelivered_work (activity_id, component_index) VALUES (8, 0)",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn without_a_copy_nothing_is_upgraded() {
    let old = Old::new(OLD_USERS).await;
    let before = fs::read(old.path()).unwrap();
    let stamp = "database.db.before-upgrade-20300102T030405Z";
    // The place that the copy is written to is taken by a folder.
    fs::create_dir(old.folder.path().join(format!("{stamp}.part"))).unwrap();
    let error = old.upgrade().await.unwrap_err();
    assert!(matches!(error, MigrationError::Backup(_)), "{error}");
    assert!(
        error.to_string().contains("the copy of it cannot be written"),
        "{error}"
    );
    assert_eq!(fs::read(old.path()).unwrap(), before);
    assert_eq!(old.names(), ["database.db".to_owned(), format!("{stamp}.part")]);
}

#[tokio::test]
async fn an_upgrade_that_fails_changes_nothing_and_leaves_no_copy() {
    // Two keys that the present unique index forbids.
    let old = Old::new(&format!(
        "{OLD_USERS} CREATE TABLE device_keys (id TEXT PRIMARY KEY, guid TEXT NOT NULL, ssl_key_fingerprint TEXT NOT NULL, \
         added_at TEXT NOT NULL, retired_at TEXT); \
         INSERT INTO device_keys VALUES ('1', 'g', 'f', '', NULL), ('2', 'g', 'f', '', NULL)"
    ))
    .await;
    let before = fs::read(old.path()).unwrap();
    let told = try_upgrade(&old.path(), Timestamp::UNIX_EPOCH, &SeededRandom::new(1)).await;
    assert!(told.unwrap_err().to_string().contains("device_keys.guid"));
    let error = old.upgrade().await.unwrap_err().to_string();
    assert!(error.contains("device_keys.guid"), "{error}");
    assert_eq!(old.names(), ["database.db"]);
    assert_eq!(fs::read(old.path()).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_older_database_is_not_upgraded() {
    let old = Old::new(&format!(
        "{OLD_USERS} CREATE TABLE filler (text TEXT); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
         INSERT INTO filler SELECT hex(randomblob(50)) FROM n"
    ))
    .await;
    let mut content = fs::read(old.path()).unwrap();
    let middle = content.len() / 2 / 4096 * 4096;
    content[middle..middle + 64].fill(0xa5);
    fs::write(old.path(), &content).unwrap();
    let error = old.upgrade().await.unwrap_err();
    assert!(matches!(error, MigrationError::Damaged(_)), "{error}");
    assert_eq!(old.names(), ["database.db"]);
    assert_eq!(fs::read(old.path()).unwrap(), content);
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_not_touched() {
    let old = Old::new("CREATE TABLE invoices (id INTEGER PRIMARY KEY)").await;
    let before = fs::read(old.path()).unwrap();
    let error = old.upgrade().await.unwrap_err();
    assert!(
        matches!(error, MigrationError::Store(StoreError::Foreign)),
        "{error}"
    );
    assert!(matches!(inspect(&old.path()).await, Err(StoreError::Foreign)));
    assert_eq!(old.names(), ["database.db"]);
    assert_eq!(fs::read(old.path()).unwrap(), before);
    // One table that some version had is enough.
    let old =
        Old::new("CREATE TABLE invoices (id INTEGER); CREATE TABLE device_details (hostname TEXT)").await;
    assert!(old.upgrade().await.is_ok());
}

#[tokio::test]
async fn a_newer_or_unreadable_file_is_refused_and_not_touched() {
    let old = Old::new("CREATE TABLE users (id INTEGER PRIMARY KEY); PRAGMA user_version = 7").await;
    let before = fs::read(old.path()).unwrap();
    let error = SqliteStore::open(&old.path()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { user_version: 7, .. }),
        "{error}"
    );
    assert!(matches!(
        inspect(&old.path()).await,
        Err(StoreError::Newer { .. })
    ));
    assert_eq!(fs::read(old.path()).unwrap(), before);

    let text = b"no database, but a text that is longer than the header of a database, which has a hundred bytes, so that it is read";
    fs::write(old.path(), text).unwrap();
    let error = SqliteStore::open(&old.path()).await.unwrap_err().to_string();
    assert!(error.contains("not a database"), "{error}");
    assert_eq!(fs::read(old.path()).unwrap(), text);
    assert_eq!(old.names(), ["database.db"]);
}
