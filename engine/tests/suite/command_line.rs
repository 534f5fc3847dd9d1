//! The program itself, as an operator runs it.

mod audit;
mod backup;
mod certificate;
mod devices;
mod file_modes;
mod install_codes;
mod output;
mod places;
pub(crate) mod program;
mod refusals;
mod restore;
mod roots;
mod sealing_keys;
mod service;
mod users;

use std::{fs, path::Path};

use program::run;
use sqlx::{Connection as _, SqliteConnection};

use crate::testkit::files::names_in;

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let root = tempfile::tempdir().unwrap();
    let help = run(root.path(), &["--help"], &[]);
    assert_eq!(help.code, Some(0));
    for word in [
        "serve",
        "migrate",
        "check",
        "users",
        "install-codes",
        "devices",
        "backup",
        "certificate",
        "restore",
        "Exit codes",
    ] {
        assert!(help.output.contains(word), "{word} in {}", help.output);
    }
    let help = run(root.path(), &["check", "--help"], &[]);
    assert!(help.output.contains("1 at least one problem"), "{}", help.output);
    for command in ["users", "install-codes", "devices", "backup", "certificate"] {
        let help = run(root.path(), &[command, "--help"], &[]).output;
        for word in ["Safe beside a running server", "Examples:", "Exit codes: 0 done"] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
    assert!(is_empty(root.path()));
}

#[test]
fn an_empty_folder_can_be_served_and_stays_empty() {
    let root = tempfile::tempdir().unwrap();
    let check = run(root.path(), &["check"], &[("BOREALIS_PROT", "1")]);
    assert_eq!(check.code, Some(0), "{}", check.output);
    assert!(check.line("ok", "database").contains("made at the start"));
    assert!(check.line("ok", "token key").contains("made at the start"));
    assert!(
        check
            .line("warning", "variables")
            .contains("BOREALIS_PROT is set, but no such variable is known: is BOREALIS_PORT meant?")
    );
    check.line("warning", "signing secret");
    check.line("ok", "address");
    assert!(is_empty(root.path()));
}

#[test]
fn a_broken_key_is_a_problem_and_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let key = root
        .path()
        .join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key");
    fs::create_dir_all(key.parent().unwrap()).unwrap();
    fs::write(&key, "garbage").unwrap();
    let check = run(root.path(), &["check"], &[]);
    assert_eq!(check.code, Some(1), "{}", check.output);
    assert!(check.line("problem", "token key").contains("restore it"));
    assert_eq!(fs::read_to_string(&key).unwrap(), "garbage");
}

#[test]
fn after_migrate_the_database_has_every_table_and_the_log_is_there() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(run(root.path(), &["migrate"], &[]).code, Some(0));
    let log = fs::read_to_string(root.path().join("Logs/Server/engine.log")).unwrap();
    assert!(log.ends_with("-engine-migrations-complete\n"), "{log}");
    let before = fs::read(root.path().join("database.db")).unwrap();
    let names = || names_in(root.path());
    let files = names();
    let check = run(
        root.path(),
        &["check"],
        &[
            ("BOREALIS_ENGINE_AUTO_MIGRATE", "off"),
            ("BOREALIS_SECRET", "a secret of sixteen letters"),
        ],
    );
    assert_eq!(check.code, Some(0), "{}", check.output);
    assert!(check.line("ok", "database").contains("has every table"));
    check.line("ok", "signing secret");
    assert_eq!(names(), files);
    assert_eq!(fs::read(root.path().join("database.db")).unwrap(), before);
}

#[test]
fn what_cannot_work_is_a_problem() {
    let root = tempfile::tempdir().unwrap();
    fs::write(
        root.path().join("database.db"),
        "no database, only a text of some length",
    )
    .unwrap();
    let check = run(root.path(), &["check"], &[("BOREALIS_HOST", "0.0.0.0")]);
    assert_eq!(check.code, Some(1), "{}", check.output);
    check.line("problem", "database");
    check.line("problem", "signing secret");

    let check = run(root.path(), &["check"], &[("BOREALIS_TLS", "maybe")]);
    assert_eq!(check.code, Some(2), "as a start with it");
    assert!(check.line("problem", "variables").contains("BOREALIS_TLS"));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let check = run(root.path(), &["check"], &[("BOREALIS_PORT", &port)]);
    assert!(check.line("problem", "address").contains("BOREALIS_PORT"));
}

#[test]
fn why_the_server_does_not_start_stands_in_the_log() {
    let root = tempfile::tempdir().unwrap();
    let serve = run(root.path(), &["serve"], &[("BOREALIS_HOST", "0.0.0.0")]);
    assert_eq!(serve.code, Some(1));
    let log = fs::read_to_string(root.path().join("Logs/Server/engine.log")).unwrap();
    assert!(
        log.contains("-engine-signing secret: the signing secret is a default"),
        "{log}"
    );
}

#[test]
fn missing_tables_are_named() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(run(root.path(), &["migrate"], &[]).code, Some(0));
    fs::write(root.path().join("database.db"), "").unwrap();
    let off = [("BOREALIS_ENGINE_AUTO_MIGRATE", "off")];
    let check = run(root.path(), &["check"], &off);
    assert_eq!(check.code, Some(1), "{}", check.output);
    assert!(
        check
            .line("problem", "database")
            .contains("borealis-engine migrate")
    );
    let check = run(root.path(), &["check"], &[]);
    assert!(check.line("ok", "database").contains("made at the start"));
}

const OLD_USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE NOT NULL, \
                         display_name TEXT, password_sha512 TEXT NOT NULL, role TEXT NOT NULL DEFAULT 'Admin', \
                         last_login INTEGER, created_at INTEGER, updated_at INTEGER);";

async fn old_database(root: &Path, statements: &'static str) -> Vec<u8> {
    let file = root.join("database.db");
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    fs::read(file).unwrap()
}

fn copies(root: &Path) -> usize {
    let names = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("database.db.before-upgrade-"))
        .count()
}

#[tokio::test]
async fn what_an_upgrade_would_do_is_told_before_and_after() {
    let root = tempfile::tempdir().unwrap();
    let before = old_database(root.path(), OLD_USERS).await;
    let told = run(root.path(), &["check"], &[]);
    assert_eq!(told.code, Some(0), "{}", told.output);
    let line = told.line("warning", "database");
    assert!(
        line.contains("the table users gets the column mfa_enabled"),
        "{line}"
    );
    assert!(line.contains("database.db.before-upgrade-<time>"), "{line}");
    let off = run(
        root.path(),
        &["check"],
        &[("BOREALIS_ENGINE_AUTO_MIGRATE", "off")],
    );
    assert!(
        off.line("problem", "database")
            .contains("run `borealis-engine migrate`")
    );
    assert_eq!(fs::read(root.path().join("database.db")).unwrap(), before);
    assert_eq!(copies(root.path()), 0);

    let migrated = run(root.path(), &["migrate"], &[]);
    assert_eq!(migrated.code, Some(0), "{}", migrated.output);
    assert!(migrated.output.contains("as it was before lies in"));
    assert_eq!(copies(root.path()), 1);
    let log = fs::read_to_string(root.path().join("Logs/Server/engine.log")).unwrap();
    assert!(
        log.contains("-engine-upgrade: the table users gets the column mfa_secret"),
        "{log}"
    );
    let told = run(root.path(), &["check"], &[]);
    assert!(told.line("ok", "database").contains("has every table"));
    assert_eq!(run(root.path(), &["migrate"], &[]).code, Some(0));
    assert_eq!(copies(root.path()), 1);
}

#[tokio::test]
async fn a_newer_database_stops_every_command_and_is_not_touched() {
    let root = tempfile::tempdir().unwrap();
    let before = old_database(
        root.path(),
        "CREATE TABLE users (id INTEGER); PRAGMA user_version = 9",
    )
    .await;
    let told = run(root.path(), &["check"], &[]);
    assert!(
        told.line("problem", "database")
            .contains("made by a newer server")
    );
    for command in ["migrate", "serve"] {
        assert_eq!(run(root.path(), &[command], &[]).code, Some(1), "{command}");
    }
    let log = fs::read_to_string(root.path().join("Logs/Server/engine.log")).unwrap();
    assert_eq!(log.matches("made by a newer server").count(), 2, "{log}");
    assert_eq!(fs::read(root.path().join("database.db")).unwrap(), before);
}
