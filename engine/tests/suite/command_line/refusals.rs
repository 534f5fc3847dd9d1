//! What no command does: make a database, change its tables, or wait for ever.

use std::{collections::BTreeSet, fs, path::Path};

use sqlx::Connection as _;

use super::program::{connect, migrated, run, sql};
use crate::testkit::files::{everything_in, names_in};

/// One of each group; the backup goes into a folder of its own.
fn commands(backup: &Path) -> Vec<Vec<&str>> {
    vec![
        vec!["users", "list"],
        vec!["users", "create", "ann", "--generate-password"],
        vec!["install-codes", "create"],
        vec!["devices", "list"],
        vec!["backup", backup.to_str().unwrap()],
    ]
}

#[test]
fn root_writes_nothing_beside_another_users_server() {
    if !rustix::process::geteuid().is_root() {
        println!("not tried, because only root can give files away");
        return;
    }
    let root = migrated();
    std::os::unix::fs::chown(root.path().join("database.db"), Some(65534), Some(65534)).unwrap();
    let backup = root.path().join("b.tar");
    run(root.path(), &["backup", "--all", backup.to_str().unwrap()], &[]).done();
    let everything = || everything_in(root.path()).into_iter().collect::<BTreeSet<_>>();
    let before = everything();
    for (command, code) in [
        (&["users", "create", "ann", "--generate-password"][..], 1),
        (&["install-codes", "create"], 1),
        (&["devices", "revoke", "WIN-A"], 1),
        (&["certificate", "renew"], 1),
        (&["certificate", "replace", "--yes"], 1),
        (&["restore", backup.to_str().unwrap()], 1),
        (&["migrate"], 2),
    ] {
        let ran = run(root.path(), command, &[]);
        assert_eq!(ran.code, Some(code), "{command:?}: {}", ran.errors);
        for told in ["belongs to user 65534", "sudo -u '#65534'", "nothing was changed"] {
            assert!(ran.errors.contains(told), "{command:?}: {}", ran.errors);
        }
        assert_eq!(everything(), before, "{command:?}");
    }
    // What only shows something leaves nothing.
    for command in [
        &["users", "list"][..],
        &["install-codes", "list"],
        &["devices", "list"],
    ] {
        run(root.path(), command, &[]).done();
        assert_eq!(everything(), before, "{command:?}");
    }
}

#[test]
fn no_database_is_made() {
    let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for command in commands(&elsewhere.path().join("b.db")) {
        let told = run(root.path(), &command, &[]).refusal();
        assert!(
            told.contains("no database") && told.contains("BOREALIS_ROOT"),
            "{told}"
        );
    }
    assert_eq!(names_in(root.path()), Vec::<String>::new());
    fs::write(root.path().join("database.db"), "").unwrap();
    for command in commands(&elsewhere.path().join("b.db")) {
        assert!(run(root.path(), &command, &[]).refusal().contains("is empty"));
    }
    assert_eq!(fs::read(root.path().join("database.db")).unwrap(), b"");
    fs::write(
        root.path().join("database.db"),
        "no database, only a text of some length",
    )
    .unwrap();
    for command in commands(&elsewhere.path().join("b.db")) {
        let told = run(root.path(), &command, &[]).refusal();
        assert!(
            told.contains("no database") && told.contains("borealis-engine check"),
            "{told}"
        );
    }
    assert_eq!(names_in(root.path()), ["database.db"]);
    assert_eq!(names_in(elsewhere.path()), Vec::<String>::new());
}

#[tokio::test]
async fn no_table_is_made_or_changed() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("database.db"), "").unwrap();
    sql(
        root.path(),
        "CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT); CREATE TABLE other (a); \
         INSERT INTO other VALUES (7)",
    )
    .await;
    let before = fs::read(root.path().join("database.db")).unwrap();
    let copy = root.path().join("b.db");
    for command in commands(&copy).iter().filter(|command| command[0] != "backup") {
        let told = run(root.path(), command, &[]).refusal();
        assert!(told.contains("borealis-engine migrate"), "{told}");
    }
    assert_eq!(fs::read(root.path().join("database.db")).unwrap(), before);
    // A copy can be made of whatever is there.
    run(root.path(), &["backup", "b.db"], &[]).done();
    let mut copied = sqlx::SqliteConnection::connect(copy.to_str().unwrap())
        .await
        .unwrap();
    let value: i64 = sqlx::query_scalar("SELECT a FROM other")
        .fetch_one(&mut copied)
        .await
        .unwrap();
    assert_eq!(value, 7);
    assert_eq!(fs::read(root.path().join("database.db")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stays_locked_is_told_and_readers_do_not_wait() {
    let root = migrated();
    let mut holder = connect(root.path()).await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut holder)
        .await
        .unwrap();
    run(root.path(), &["users", "list"], &[]).done();
    run(root.path(), &["backup", "copy.db"], &[]).done();
    let told = run(
        root.path(),
        &["users", "create", "ann", "--generate-password"],
        &[],
    )
    .refusal();
    assert!(told.contains("is locked") && told.contains("Try again"), "{told}");
    holder.close().await.unwrap();
    run(
        root.path(),
        &["users", "create", "ann", "--generate-password"],
        &[],
    )
    .done();
}

#[test]
fn settings_that_cannot_be_read_are_a_wrong_command_line() {
    let root = migrated();
    let refused = run(root.path(), &["users", "list"], &[("BOREALIS_TLS", "maybe")]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.errors.contains("BOREALIS_TLS"), "{refused:?}");
}
