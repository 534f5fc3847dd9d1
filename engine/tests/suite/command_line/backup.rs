//! `backup`: the copy is whole, of one moment, and can be served.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use borealis_engine::RunningEngine;
use serde_json::json;
use sqlx::{Connection as _, SqliteConnection};

use super::program::{migrated, program, run, sql};
use crate::testkit::{
    files::names_in,
    http::{admin_token, json_of},
    server::start,
};

/// How long what is sure to come may take.
const PATIENCE: Duration = Duration::from_secs(60);
const WRITERS: u32 = 4;
/// Accounts made before the first copy and between two copies.
const BETWEEN: u32 = 10;

async fn admin(engine: &RunningEngine) -> String {
    admin_token(&format!("http://{}", engine.address())).await
}

async fn users(engine: &RunningEngine) -> Vec<String> {
    let answer = json_of(
        crate::testkit::http::client()
            .get(format!("http://{}/api/users", engine.address()))
            .bearer_auth(admin(engine).await),
    )
    .await;
    let users = answer["users"].as_array().unwrap();
    users
        .iter()
        .map(|user| user["username"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until `count` accounts have been made.
async fn until(made: &AtomicU32, count: u32) {
    let waiting = async {
        while made.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_made_while_a_server_writes_hold_what_was_answered_and_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    let engine = start(folder.path(), &[]).await;
    let token = admin(&engine).await;
    let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (stop, made, token) = (Arc::clone(&stop), Arc::clone(&made), token.clone());
        let url = format!("http://{}/api/users", engine.address());
        writers.spawn(async move {
            let client = crate::testkit::http::client();
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                let name = format!("w{writer}-{number:05}");
                let answer = client
                    .post(&url)
                    .bearer_auth(&token)
                    .json(&json!({"username": name, "password_sha512": "0".repeat(128)}))
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), 200);
                number += 1;
                made.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut copies = Vec::new();
    for number in 0..3 {
        let answered = made.load(Ordering::SeqCst) + BETWEEN;
        until(&made, answered).await;
        // Everything that has been answered by now must be in the copy.
        let answered = made.load(Ordering::SeqCst);
        let name = format!("copy-{number}.db");
        let told = run(folder.path(), &["backup", &name, "--json"], &[]).json();
        let file = folder.path().join(name);
        assert_eq!(told["file"], json!(file));
        assert_eq!(told["bytes"], json!(fs::metadata(&file).unwrap().len()));
        copies.push((file, answered));
    }
    let at_last = made.load(Ordering::SeqCst) + BETWEEN;
    until(&made, at_last).await;
    stop.store(true, Ordering::SeqCst);
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    engine.stop().await;

    for (file, answered) in copies {
        let restored = tempfile::tempdir().unwrap();
        fs::copy(&file, restored.path().join("database.db")).unwrap();
        let engine = start(restored.path(), &[]).await;
        let names = users(&engine).await;
        engine.stop().await;
        assert!(names.len() > answered as usize, "{} of {answered}", names.len());
        // One moment: of each writer's accounts there are all up to one, and none after it.
        for writer in 0..WRITERS {
            let prefix = format!("w{writer}-");
            let own: Vec<_> = names.iter().filter(|name| name.starts_with(&prefix)).collect();
            let expected: Vec<_> = (0..own.len())
                .map(|number| format!("{prefix}{number:05}"))
                .collect();
            assert_eq!(own, expected.iter().collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn the_copy_holds_the_journal_of_a_server_that_died() {
    let root = migrated();
    let elsewhere = tempfile::tempdir().unwrap();
    // Both files as they lie there while somebody works: what only the journal holds, a copy of them holds too.
    let mut writer = super::program::connect(root.path()).await;
    sqlx::raw_sql("INSERT INTO sites (name) VALUES ('in the journal')")
        .execute(&mut writer)
        .await
        .unwrap();
    for name in ["database.db", "database.db-wal"] {
        fs::copy(root.path().join(name), elsewhere.path().join(name)).unwrap();
    }
    run(elsewhere.path(), &["backup", "copy.db"], &[]).done();
    writer.close().await.unwrap();
    assert_eq!(site(&elsewhere.path().join("copy.db")).await, "in the journal");
    assert_eq!(names_in(elsewhere.path()), ["Logs", "copy.db", "database.db"]);
    let mode = fs::metadata(elsewhere.path().join("copy.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

async fn site(database: &Path) -> String {
    let mut connection = SqliteConnection::connect(database.to_str().unwrap())
        .await
        .unwrap();
    let site = sqlx::query_scalar("SELECT name FROM sites")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    site
}

#[tokio::test]
async fn no_file_is_overwritten_and_none_is_left_half_written() {
    let root = migrated();
    let folder = tempfile::tempdir().unwrap();
    let names = || names_in(folder.path());
    let backup = |name: &str| {
        let file = folder.path().join(name);
        run(root.path(), &["backup", file.to_str().unwrap()], &[])
    };
    fs::write(folder.path().join("precious"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
    for name in ["precious", "link", "."] {
        let told = backup(name).refusal();
        assert!(told.contains("exists already"), "{told}");
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("precious")).unwrap(),
        "mine"
    );
    let told = backup("no/such/folder").refusal();
    assert!(told.contains("cannot write into"), "{told}");
    assert_eq!(names(), ["link", "precious"]);

    // A damaged database: the copy fails half-way.
    sql(
        root.path(),
        "CREATE TABLE large (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) \
         INSERT INTO large SELECT randomblob(3000) FROM n; PRAGMA wal_checkpoint(TRUNCATE)",
    )
    .await;
    let database = root.path().join("database.db");
    let mut bytes = fs::read(&database).unwrap();
    let start = bytes.len() - 100 * 4096;
    bytes[start..].fill(0xff);
    fs::write(&database, bytes).unwrap();
    let told = backup("copy").refusal();
    assert!(told.contains("damaged"), "{told}");
    assert_eq!(names(), ["link", "precious"]);
}

#[tokio::test]
async fn an_archive_leaves_out_what_holds_nothing_and_says_so() {
    let root = migrated();
    let assemblies = root.path().join("Assemblies");
    fs::create_dir_all(&assemblies).unwrap();
    fs::write(assemblies.join("script.ps1"), "").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        assemblies.join("a pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(assemblies.join("a socket")).unwrap();
    let told = run(root.path(), &["backup", "--all", "all.tar"], &[]).done();
    for name in ["a pipe", "a socket"] {
        let line = told.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("left out")), "{told}");
    }
    let told = run(root.path(), &["backup", "--all", "again.tar", "--json"], &[]).json();
    let left_out = json!([assemblies.join("a pipe"), assemblies.join("a socket")]);
    assert_eq!(told["left_out"], left_out, "{told}");
    assert_eq!(told["files"], json!(2));
    run(root.path(), &["restore", "all.tar"], &[]).done();
    assert_eq!(names_in(&assemblies), ["script.ps1"]);
}

#[test]
fn what_a_killed_backup_left_goes_with_the_next_one_but_not_what_another_works_in() {
    let root = migrated();
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(".tmpAbCdEf"), "half a database").unwrap();
        path
    };
    make(".borealis-backup-AbC123");
    let held = fs::File::open(make(".borealis-backup-XyZ789")).unwrap();
    held.lock().unwrap();
    make(".borealis-backup-of-mine");
    let file = folder.path().join("copy.db");
    run(root.path(), &["backup", file.to_str().unwrap()], &[]).done();
    assert_eq!(
        names_in(folder.path()),
        [".borealis-backup-XyZ789", ".borealis-backup-of-mine", "copy.db"]
    );
}

#[test]
fn under_a_limit_of_file_sizes_a_command_fails_and_says_why() {
    let root = migrated();
    let program = program(root.path(), &["backup", "copy.db"], &[]);
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 16; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .env("BOREALIS_ROOT", root.path())
        .current_dir(root.path())
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(1), "{limited:?}");
    assert!(!limited.stderr.is_empty());
    let left = names_in(root.path());
    assert!(
        left.iter()
            .all(|name| !name.contains("copy") && !name.contains("backup")),
        "{left:?}"
    );
}

#[test]
fn a_name_that_could_not_be_told_is_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    let root = migrated();
    let before = names_in(root.path());
    let ran = program(root.path(), &["backup"], &[])
        .arg(OsStr::from_bytes(b"\xff.db"))
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let told = String::from_utf8(ran.stderr).unwrap();
    assert!(told.contains("UTF-8"), "{told}");
    assert_eq!(names_in(root.path()), before);
}
