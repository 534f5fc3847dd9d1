//! `users`, beside a server that serves the same folder.

use std::net::SocketAddr;

use borealis_engine::RunningEngine;
use serde_json::{Value, json};

use super::program::{migrated, program, run, run_with_input, sql};
use crate::testkit::server::start;

/// What a login with this password is answered: status, role, and whether a code is asked for.
async fn login(engine: &RunningEngine, name: &str, password: &str) -> (u16, Value) {
    login_at(engine.address(), name, password).await
}

async fn login_at(server: SocketAddr, name: &str, password: &str) -> (u16, Value) {
    let answer = crate::testkit::http::client()
        .post(format!("http://{server}/api/auth/login"))
        .json(&json!({"username": name, "password": password}))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_knows_new_accounts_passwords_and_roles_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let engine = start(root, &[]).await;

    let made = run_with_input(
        root,
        &["users", "create", "Alice", "--role", "ADMIN", "--password-stdin"],
        " first \n",
    );
    assert_eq!(made.done(), "made the account Alice with the role Admin\n");
    let (status, answer) = login(&engine, "alice", " first ").await;
    assert_eq!((status, &answer["role"]), (200, &json!("Admin")), "{answer}");

    let reset = [
        "users",
        "reset-password",
        "ALICE",
        "--generate-password",
        "--json",
    ];
    let told = run(root, &reset, &[]).json();
    let password = told["password"].as_str().unwrap();
    assert_eq!(password.len(), 24);
    assert_eq!(login(&engine, "alice", password).await.0, 200);
    assert_eq!(login(&engine, "alice", " first ").await.0, 401);

    run(root, &["users", "set-role", "alice", "user"], &[]).done();
    assert_eq!(login(&engine, "alice", password).await.1["role"], json!("User"));

    sql(
        root,
        "UPDATE users SET mfa_enabled = 1, mfa_secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' WHERE username = 'Alice'",
    )
    .await;
    assert_eq!(
        login(&engine, "alice", password).await.1["status"],
        json!("mfa_required")
    );
    assert_eq!(
        run(root, &["users", "disable-mfa", "alice"], &[]).done(),
        "the account alice logs in without a code\n"
    );
    assert_eq!(login(&engine, "alice", password).await.0, 200);
    assert_eq!(login(&engine, "alice", password).await.1["role"], json!("User"));

    let log = std::fs::read_to_string(root.join("Logs/Server/engine.log")).unwrap();
    for entry in [
        "-engine-user created role=Admin name=Alice by=command line\n",
        "-engine-user password reset name=ALICE by=command line\n",
    ] {
        assert!(log.contains(entry), "{log}");
    }
    assert!(!log.contains(password));
    engine.stop().await;
}

#[tokio::test]
async fn sessions_end_with_a_new_password_and_another_role_as_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // A process of its own: both have to mean the same by now.
    let server = crate::testkit::process::start(program(root, &["serve"], &[])).serving();
    let create = [
        "users",
        "create",
        "root",
        "--role",
        "admin",
        "--generate-password",
    ];
    run(root, &create, &[]).done();
    for (command, ends) in [
        (&["users", "set-role", "admin", "admin"][..], false),
        (&["users", "disable-mfa", "admin"], false),
        (&["users", "set-role", "admin", "user"], true),
        (&["users", "reset-password", "admin", "--generate-password"], true),
    ] {
        let (status, answer) = login_at(server.address, "admin", "Password").await;
        assert_eq!(status, 200);
        run(root, command, &[]).done();
        let me = crate::testkit::http::client()
            .get(format!("http://{}/api/auth/me", server.address))
            .bearer_auth(answer["token"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        assert_eq!(me.status().as_u16(), if ends { 401 } else { 200 }, "{command:?}");
    }
}

#[tokio::test]
async fn accounts_of_a_database_that_only_the_legacy_knew_can_be_changed() {
    let root = migrated();
    sql(
        root.path(),
        "DROP TABLE engine_operator_accounts; DROP TABLE engine_operator_sessions; \
         INSERT INTO users (username, password_sha512, role) VALUES ('olga', '00', 'Admin')",
    )
    .await;
    let reset = ["users", "reset-password", "olga", "--generate-password"];
    run(root.path(), &reset, &[]).done();
}

#[tokio::test]
async fn mfa_forgets_its_secret_unless_it_is_kept() {
    let root = migrated();
    for name in ["ann", "ben"] {
        run(
            root.path(),
            &["users", "create", name, "--generate-password"],
            &[],
        )
        .done();
    }
    sql(root.path(), "UPDATE users SET mfa_enabled = 1, mfa_secret = 'S'").await;
    run(root.path(), &["users", "disable-mfa", "ann"], &[]).done();
    run(
        root.path(),
        &["users", "disable-mfa", "ben", "--keep-secret"],
        &[],
    )
    .done();
    let mut connection = super::program::connect(root.path()).await;
    let rows: Vec<(String, i64, Option<String>)> =
        sqlx::query_as("SELECT username, mfa_enabled, mfa_secret FROM users ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(
        rows,
        [
            ("ann".to_owned(), 0, None),
            ("ben".to_owned(), 0, Some("S".to_owned()))
        ]
    );
}

#[tokio::test]
async fn listings_hide_secrets_and_do_not_command_the_terminal() {
    let root = migrated();
    let create = [
        "users",
        "create",
        "ann",
        "--display-name",
        "\u{1b}[2JAnn",
        "--password-stdin",
    ];
    run_with_input(root.path(), &create, "secret").done();
    let list = run(root.path(), &["users", "list"], &[]).done();
    assert_eq!(
        list,
        "NAME  ROLE  MFA  LAST LOGIN  DISPLAY NAME\nann   User  off  -           \\u{1b}[2JAnn\n"
    );
    let list = run(root.path(), &["users", "list", "--json"], &[]).json();
    let user = &list["users"][0];
    assert_eq!(
        (&user["username"], &user["display_name"], &user["mfa_enabled"]),
        (&json!("ann"), &json!("\u{1b}[2JAnn"), &json!(0))
    );
    assert!(user.get("password_sha512").is_none() && user.get("mfa_secret").is_none());
}

#[test]
fn what_the_services_refuse_is_told_with_what_to_do() {
    let root = migrated();
    let users = |arguments: &[&str]| run(root.path(), &[&["users"], arguments].concat(), &[]);
    users(&["create", "ann", "--role", "admin", "--generate-password"]).done();
    let before = std::fs::read(root.path().join("database.db")).unwrap();
    let taken = users(&["create", "ANN", "--generate-password"]).refusal();
    assert!(taken.contains("an account ANN already"), "{taken}");
    let last = users(&["set-role", "Ann", "user"]).refusal();
    assert!(
        last.contains("last admin") && last.contains("users set-role"),
        "{last}"
    );
    for arguments in [
        &["reset-password", "ben", "--generate-password"][..],
        &["set-role", "ben", "admin"],
        &["disable-mfa", "ben"],
    ] {
        let unknown = users(arguments).refusal();
        assert!(
            unknown.contains("no account ben") && unknown.contains("users list"),
            "{unknown}"
        );
    }
    let blank = users(&["create", "  ", "--generate-password"]).refusal();
    assert!(blank.contains("blank"), "{blank}");
    assert_eq!(std::fs::read(root.path().join("database.db")).unwrap(), before);
}

#[test]
fn passwords_never_stand_on_the_command_line() {
    let root = migrated();
    let asked = run(root.path(), &["users", "create", "ann"], &[]).refusal();
    assert!(asked.contains("--password-stdin"), "{asked}");
    let empty = run_with_input(root.path(), &["users", "create", "ann", "--password-stdin"], "\n").refusal();
    assert!(empty.contains("empty"), "{empty}");
    for arguments in [
        &["users", "create", "ann", "--password", "x"][..],
        &[
            "users",
            "create",
            "ann",
            "--password-stdin",
            "--generate-password",
        ],
        &["users", "create", "ann", "--role", "root"],
        &["users", "create", "", "--generate-password"],
        &["users", "set-role", "ann"],
        &["users"],
    ] {
        assert_eq!(run(root.path(), arguments, &[]).code, Some(2), "{arguments:?}");
    }
    let list = run(root.path(), &["users", "list", "--json"], &[]).json();
    assert_eq!(list, json!({"users": []}));
}
