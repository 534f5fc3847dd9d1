//! Long because all indexes are held against what a look at every row finds, by the same changes.

use std::path::PathBuf;

use proptest::prelude::*;
use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

use super::*;
use crate::{
    domain::{host_name::HostKey, search::Search},
    repositories::{
        Store as _, UnitOfWork as _,
        activity::WriteActivityHistory as _,
        approvals::WriteApprovals as _,
        devices::{ReadDevices as _, WriteDevices as _},
    },
};

struct Ground {
    store: SqliteStore,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

/// What a search finds, or why it fails.
type Found = Result<Vec<(SearchedDevice, String)>, String>;

impl Ground {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database.db");
        let store = SqliteStore::open(&path).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            path,
            _folder: folder,
        }
    }

    /// The server changes something, and saves it or does not.
    async fn own(&self, sql: &str, is_saved: bool) {
        let mut work = self.store.work().await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(work.connection())
            .await;
        if done.is_ok() && is_saved {
            Box::new(work).save().await.unwrap();
        }
    }

    /// Another program changes something.
    async fn others(&self, sql: &str) {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .foreign_keys(false);
        let mut connection = options.connect().await.unwrap();
        // What the tables refuse is refused to everybody.
        let _ = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await;
    }

    async fn searched(&self, field: DeviceField, text: &str, limit: i128) -> Found {
        let mut search = Search::new(text, limit);
        let needle = search.needle().map(str::to_owned);
        let mut visitor = |device| search.look_at(device, |device: &SearchedDevice| device.value(field));
        let done = self
            .store
            .search_devices(field, needle.as_deref(), &mut visitor)
            .await;
        done.map(|()| search.found).map_err(|error| error.to_string())
    }

    /// The same by a look at every row.
    async fn looked_through(&self, field: DeviceField, text: &str, limit: i128) -> Found {
        let mut search = Search::new(text, limit);
        let needle = search.needle().map(str::to_owned);
        let mut visitor = |device| search.look_at(device, |device: &SearchedDevice| device.value(field));
        let mut view = self.store.reading().await.unwrap();
        let done = devices::search(view.connection(), field, needle.as_deref(), None, &mut visitor).await;
        done.map(|_| search.found).map_err(|error| error.to_string())
    }

    async fn hostnames(&self, text: &str) -> Vec<String> {
        let found = self.searched(DeviceField::Hostname, text, 100).await.unwrap();
        found.into_iter().map(|(device, _)| device.hostname).collect()
    }

    async fn with_agent(&self, agent_id: &str) -> Vec<String> {
        let mut work = self.store.begin().await.unwrap();
        work.guids_with_agent_id(agent_id).await.unwrap()
    }

    async fn history(&self, hostname: &str) -> Vec<i64> {
        let found = self.store.activities_of_host(hostname).await.unwrap();
        found.into_iter().map(|line| line.activity.id).collect()
    }

    async fn proposed_for(&self, text: &'static str) -> Option<Vec<i64>> {
        let fitting = move |columns: &DeviceColumns| columns.holding(DeviceField::Hostname, Some(text));
        self.store.indexes.devices.propose(fitting).await
    }
}

const FIELDS: [DeviceField; 5] = [
    DeviceField::Hostname,
    DeviceField::Description,
    DeviceField::LastUser,
    DeviceField::InternalIp,
    DeviceField::ExternalIp,
];
const LAB: &str = "INSERT INTO devices (guid, hostname, agent_id) VALUES ('A', 'lab-1', 'one'), ('B', 'LAB-2', 'two'), \
                   ('C', 'office', 'two'); INSERT INTO activity_history (hostname) VALUES ('lab-1'), ('office'), ('lab-1')";

#[tokio::test]
async fn only_rows_that_fit_are_proposed() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    assert_eq!(ground.proposed_for("lab").await, Some(vec![1, 2]));
    ground
        .own("UPDATE devices SET hostname = 'shop' WHERE guid = 'B'", true)
        .await;
    assert_eq!(ground.proposed_for("lab").await, Some(vec![1]));
    assert_eq!(ground.hostnames("lab").await, ["lab-1"]);
    let of_host = |hosts: &ActivityHosts| hosts.of("lab-1");
    assert_eq!(
        ground.store.indexes.activities.propose(of_host).await,
        Some(vec![1, 3])
    );
}

#[tokio::test]
async fn a_host_is_found_by_its_name_in_any_letter_case_within_a_change() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    while ground.proposed_for("lab").await.is_none() {}
    let named = async |name| {
        let mut work = ground.store.work().await.unwrap();
        work.host_names_with(&HostKey::of(name)).await.unwrap()
    };
    assert_eq!(named(" Lab-2").await, Some(vec!["LAB-2".to_owned()]));
    ground
        .own("UPDATE devices SET hostname = 'lab-2 ' WHERE guid = 'A'", true)
        .await;
    let both = ["LAB-2", "lab-2 "].map(str::to_owned);
    assert_eq!(named("lab-2").await, Some(both.to_vec()));
    assert_eq!(named("lab-1").await, Some(Vec::new()));
    // Only a change can ask.
    let mut view = ground.store.view().await.unwrap();
    assert_eq!(view.host_names_with(&HostKey::of("lab-2")).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_changed_without_a_new_value_is_not_read_again() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    assert!(ground.proposed_for("lab").await.is_some());
    ground
        .own(
            "UPDATE devices SET hostname = hostname, last_user = last_user, last_seen = 7",
            true,
        )
        .await;
    let mut turn = ground.store.writer.turn().await.unwrap();
    let noted: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM temp.noted_devices")
        .fetch_one(turn.connection())
        .await
        .unwrap();
    assert_eq!(noted, 0);
}

#[tokio::test]
async fn what_another_program_changes_is_found_at_once() {
    let ground = Ground::new().await;
    assert_eq!(ground.hostnames("lab").await, [""; 0]);
    assert_eq!(ground.with_agent("two").await, [""; 0]);
    assert_eq!(ground.history("lab-1").await, [0; 0]);
    ground.others(LAB).await;
    // Within a change first: nobody has read the rows again.
    assert_eq!(ground.with_agent("two").await, ["B", "C"]);
    assert_eq!(ground.hostnames("lab").await, ["lab-1", "LAB-2"]);
    assert_eq!(ground.history("lab-1").await, [3, 1]);
    ground
        .others("UPDATE devices SET hostname = 'lab-3', agent_id = 'two' WHERE guid = 'A'; DELETE FROM devices WHERE guid = 'B'; \
                 UPDATE activity_history SET hostname = 'lab-1' WHERE id = 2; VACUUM")
        .await;
    assert_eq!(ground.with_agent("two").await, ["A", "C"]);
    assert_eq!(ground.hostnames("lab").await, ["lab-3"]);
    assert_eq!(ground.history("lab-1").await, [3, 2, 1]);
}

#[tokio::test]
async fn a_change_that_is_undone_leaves_no_trace() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    assert_eq!(ground.hostnames("lab").await.len(), 2);
    let mut work = ground.store.work().await.unwrap();
    sqlx::raw_sql("UPDATE devices SET hostname = 'lab-9', agent_id = 'nine' WHERE guid = 'C'")
        .execute(work.connection())
        .await
        .unwrap();
    assert_eq!(work.guids_with_agent_id("nine").await.unwrap(), ["C"]);
    drop(work);
    assert_eq!(ground.with_agent("nine").await, [""; 0]);
    assert_eq!(ground.with_agent("two").await, ["B", "C"]);
    assert_eq!(ground.hostnames("lab").await.len(), 2);
    assert_eq!(ground.proposed_for("office").await, Some(vec![3]));
}

#[tokio::test]
async fn a_change_sees_its_own_changes_and_clears_what_it_made() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    assert_eq!(ground.history("lab-1").await, [3, 1]);
    let mut work = ground.store.work().await.unwrap();
    sqlx::raw_sql("INSERT INTO activity_history (hostname) VALUES ('lab-1'), ('office')")
        .execute(work.connection())
        .await
        .unwrap();
    work.clear_activities("lab-1").await.unwrap();
    Box::new(work).save().await.unwrap();
    assert_eq!(ground.history("lab-1").await, [0; 0]);
    assert_eq!(ground.history("office").await, [5, 2]);
}

#[tokio::test]
async fn while_others_have_the_writer_every_row_is_looked_at() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    let turn = ground.store.writer.turn().await.unwrap();
    assert_eq!(ground.proposed_for("lab").await, None);
    assert_eq!(ground.hostnames("lab").await, ["lab-1", "LAB-2"]);
    assert_eq!(ground.history("lab-1").await, [3, 1]);
    drop(turn);
    assert!(ground.proposed_for("lab").await.is_some());
}

#[tokio::test]
async fn a_connection_that_is_opened_anew_has_noted_nothing_yet() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    assert_eq!(ground.hostnames("lab").await.len(), 2);
    ground
        .own("UPDATE devices SET hostname = 'lab-9' WHERE guid = 'C'", true)
        .await;
    let mut turn = ground.store.writer.turn().await.unwrap();
    // The writer closes a connection on which a statement failed.
    assert!(turn.execute(|| sqlx::query("no statement")).await.is_err());
    drop(turn);
    ground
        .own("UPDATE devices SET agent_id = 'nine' WHERE guid = 'A'", true)
        .await;
    assert_eq!(ground.with_agent("nine").await, ["A"]);
    assert_eq!(ground.hostnames("lab").await.len(), 3);
}

#[tokio::test]
async fn an_index_that_only_changes_ask_is_read_in_the_end() {
    let ground = Ground::new().await;
    ground.others(LAB).await;
    let is_complete = async || {
        let mut work = ground.store.work().await.unwrap();
        let proposed = ground
            .store
            .indexes
            .devices
            .propose_within(work.turn.connection(), |_| Vec::new());
        proposed.await.unwrap().is_some()
    };
    while !is_complete().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(ground.with_agent("two").await, ["B", "C"]);
}

#[tokio::test]
async fn whatever_is_not_empty_counts_as_printed() {
    let ground = Ground::new().await;
    ground
        .others(
            "INSERT INTO activity_history (hostname, ran_at, stdout, stderr) VALUES ('h', 1, NULL, ''), ('h', 2, 'a', x''), \
             ('h', 3, CAST(x'00' AS TEXT), 0)",
        )
        .await;
    let found = ground.store.activities_of_host("h").await.unwrap();
    let printed: Vec<_> = found
        .iter()
        .map(|line| (line.has_stdout, line.has_stderr))
        .collect();
    assert_eq!(printed, [(true, true), (true, false), (false, false)]);
}

#[derive(Clone, Debug)]
enum Step {
    Own(String, bool),
    Others(String),
}

/// Values of every kind: texts that become ASCII in lower case, blanks, numbers, bytes.
fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "NULL",
        "''",
        "'Alice'",
        "' alice\t'",
        "'\u{212a}elvin'",
        "'KELVIN'",
        "'\u{c9}lice'",
        "7.5",
        "x'414c494345'",
        "x'ff'",
        "CAST(x'ff414c494345' AS TEXT)",
    ])
}

fn change() -> impl Strategy<Value = String> {
    let device = (0..4, value(), value(), value(), value()).prop_map(|(number, user, ip, text, agent)| {
        format!(
            "INSERT INTO devices (guid, hostname, last_user, internal_ip, external_ip, description, agent_id) \
             VALUES ('g{number}', 'alice-{number}', {user}, {ip}, {ip}, {text}, {agent}) ON CONFLICT (hostname) DO UPDATE \
             SET last_user = excluded.last_user, internal_ip = excluded.internal_ip, external_ip = excluded.external_ip, \
             description = excluded.description, agent_id = excluded.agent_id"
        )
    });
    let named = (0..4, value())
        .prop_map(|(number, name)| format!("UPDATE devices SET hostname = {name} WHERE guid = 'g{number}'"));
    let gone = (0..4).prop_map(|number| format!("DELETE FROM devices WHERE guid = 'g{number}'"));
    let activity =
        value().prop_map(|host| format!("INSERT INTO activity_history (hostname) VALUES ({host})"));
    let moved = (1..6, value())
        .prop_map(|(id, host)| format!("UPDATE activity_history SET hostname = {host} WHERE id = {id}"));
    let ended = (1..6).prop_map(|id| format!("DELETE FROM activity_history WHERE id = {id}"));
    let status = || prop::sample::select(vec!["'pending'", "'denied'", "' pending'", "x'70656e64696e67'"]);
    let asked = (0..4, value(), status()).prop_map(|(number, code, status)| {
        format!(
            "INSERT INTO device_approvals (id, approval_reference, hostname_claimed, ssl_key_fingerprint_claimed, \
             enrollment_code_id, status, client_nonce, server_nonce, agent_pubkey_der, created_at, updated_at) \
             VALUES ('{number}', '{number}', '', 'key-{}', {code}, {status}, '', '', x'', '', '') \
             ON CONFLICT (id) DO UPDATE SET enrollment_code_id = excluded.enrollment_code_id, status = excluded.status",
            number / 2
        )
    });
    let decided = (0..4, status()).prop_map(|(number, status)| {
        format!("UPDATE device_approvals SET status = {status} WHERE id = '{number}'")
    });
    let removed = (0..4).prop_map(|number| format!("DELETE FROM device_approvals WHERE id = '{number}'"));
    let joining = prop_oneof![3 => asked, 1 => decided, 1 => removed];
    prop_oneof![4 => device, 1 => named, 1 => gone, 2 => activity, 1 => moved, 1 => ended, 3 => joining]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => change().prop_map(|sql| Step::Own(sql, true)),
        1 => change().prop_map(|sql| Step::Own(sql, false)),
        1 => change().prop_map(Step::Others),
    ]
}

async fn holds_what_the_file_holds(steps: Vec<Step>) {
    let ground = Ground::new().await;
    for step in steps {
        match &step {
            Step::Own(sql, is_saved) => ground.own(sql, *is_saved).await,
            Step::Others(sql) => ground.others(sql).await,
        }
        for field in FIELDS {
            for (text, limit) in [
                ("alice", 9),
                ("alice", 1),
                ("kelvin", 9),
                ("\u{e9}l", 9),
                ("7.5", 0),
                ("x", 9),
            ] {
                let expected = ground.looked_through(field, text, limit).await;
                assert_eq!(
                    ground.searched(field, text, limit).await,
                    expected,
                    "{step:?} {field:?} {text:?}"
                );
            }
        }
        for text in ["Alice", "7.5", ""] {
            let mut view = ground.store.reading().await.unwrap();
            let expected = activity::of_host(view.connection(), text, None).await.unwrap();
            drop(view);
            assert_eq!(
                ground.store.activities_of_host(text).await.unwrap(),
                expected,
                "{step:?} {text:?}"
            );
            let mut work = ground.store.work().await.unwrap();
            let expected: Vec<String> =
                sqlx::query_scalar("SELECT guid FROM devices WHERE agent_id = $1 AND guid IS NOT NULL")
                    .bind(text)
                    .fetch_all(work.turn.connection())
                    .await
                    .unwrap();
            assert_eq!(
                work.guids_with_agent_id(text).await.unwrap(),
                expected,
                "{step:?} {text:?}"
            );
        }
        for code in ["Alice", "7.5"] {
            let mut work = ground.store.work().await.unwrap();
            let expected: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM device_approvals WHERE enrollment_code_id = $1 AND status = 'pending' \
                 AND ssl_key_fingerprint_claimed <> 'key-1'",
            )
            .bind(code)
            .fetch_one(work.turn.connection())
            .await
            .unwrap();
            let counted = work.count_pending_approvals(code, "key-1").await.unwrap();
            assert_eq!(i64::try_from(counted).unwrap(), expected, "{step:?} {code:?}");
            drop(work);
            let of_code = |pending: &PendingApprovals| pending.of(code);
            // On a busy machine the writer's turn may be waited for in vain.
            let proposed = loop {
                if let Some(proposed) = ground.store.indexes.approvals.propose(of_code).await {
                    break proposed;
                }
            };
            let mut view = ground.store.reading().await.unwrap();
            let walked: Vec<i64> = sqlx::query_scalar(
                "SELECT rowid FROM device_approvals WHERE enrollment_code_id = $1 AND status = 'pending' ORDER BY rowid",
            )
            .bind(code)
            .fetch_all(view.connection())
            .await
            .unwrap();
            assert_eq!(proposed, walked, "{step:?} {code:?}");
        }
        for name in ["ALICE", "kelvin", "", "7.5", "alice-1"] {
            let key = HostKey::of(name);
            let mut work = ground.store.work().await.unwrap();
            let mut expected = work.host_names().await.unwrap();
            expected.retain(|name| HostKey::of(name) == key);
            // Nothing where the index has to be read again first.
            if let Some(found) = work.host_names_with(&key).await.unwrap() {
                assert_eq!(found, expected, "{step:?} {name:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_a_look_at_every_row_finds(steps in prop::collection::vec(step(), 1..12)) {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(holds_what_the_file_holds(steps));
    }
}
