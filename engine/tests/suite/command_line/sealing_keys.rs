//! Which key seals secrets, and that no start loses what others sealed.

use std::{fs, path::Path};

use borealis_engine::domain::fernet::FernetKey;

use super::program::{connect, migrated, program, run};
use crate::testkit::{START, process::start};

const HERE: &str = "Data/Server/server_secret.key";
const INSTALLED: &str = "Server/Borealis/server_secret.key";

fn key(number: u8) -> FernetKey {
    FernetKey::from_bytes([number; 32])
}

fn write_key(root: &Path, place: &str, number: u8) {
    let path = root.join(place);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, key(number).to_text()).unwrap();
}

/// Stores the password of an agent's account as the server with this key seals it.
async fn seal(root: &Path, agent: &str, number: u8) {
    use sqlx::Connection as _;

    let mut connection = connect(root).await;
    sqlx::query(
        "INSERT INTO agent_service_account (agent_id, username, password_encrypted, last_rotated_utc) \
         VALUES ($1, 'u', $2, '')",
    )
    .bind(agent)
    .bind(
        key(number)
            .seal(b"P@ssw0rd", START.unsigned_abs(), [1; 16])
            .into_bytes(),
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn secrets_that_no_key_opens_stop_the_start_before_anything_is_made() {
    let root = migrated();
    let root = root.path();
    seal(root, "agent-a", 9).await;
    for with_key in [false, true] {
        if with_key {
            write_key(root, INSTALLED, 3);
        }
        let check = run(root, &["check"], &[]);
        assert_eq!(check.code, Some(1), "{}", check.output);
        let told = check.line("problem", "sealing key").to_owned();
        let (code, errors) = start(program(root, &["serve"], &[])).ended();
        assert_eq!(code, Some(1), "{errors}");
        for word in [
            "1 secret",
            "server_secret.key",
            "BOREALIS_SECRET_KEY",
            "--new-sealing-key",
        ] {
            assert!(
                told.contains(word) && errors.contains(word),
                "{word} in {told} and {errors}"
            );
        }
        assert!(!root.join(HERE).exists() && !root.join("Certificates").exists());
    }
    assert_eq!(run(root, &["check", "--new-sealing-key"], &[]).code, Some(0));
    let server = start(program(root, &["serve", "--new-sealing-key"], &[])).serving();
    assert_eq!(server.health(), 200);
    assert!(server.log.contains("agent-a"), "{}", server.log);
    server.stop();
    assert!(!root.join(HERE).exists(), "the key that was there is used");
    fs::remove_file(root.join(INSTALLED)).unwrap();
    start(program(root, &["--new-sealing-key"], &[])).serving().stop();
    assert!(root.join(HERE).is_file());
}

#[tokio::test]
async fn of_two_keys_the_one_that_opens_most_is_used_and_what_none_opens_is_named() {
    let root = migrated();
    let root = root.path();
    write_key(root, HERE, 1);
    write_key(root, INSTALLED, 2);
    for (agent, number) in [("agent-a", 2), ("agent-b", 2), ("agent-c", 1), ("agent-d\n", 9)] {
        seal(root, agent, number).await;
    }
    let check = run(root, &["check"], &[]);
    assert_eq!(check.code, Some(0), "{}", check.output);
    let server = start(program(root, &["serve"], &[])).serving();
    assert_eq!(server.health(), 200);
    let used = format!("{INSTALLED} is used, which opens 2 of 4 secrets");
    for told in [&check.output, &server.log] {
        assert!(told.contains(&used), "{told}");
        assert!(
            told.contains("1 of 4 secrets that are stored cannot be opened") && told.contains("agent-d"),
            "{told}"
        );
        for opened in ["agent-a", "agent-b", "agent-c"] {
            assert!(!told.contains(opened), "{opened} in {told}");
        }
    }
    server.stop();
    assert_eq!(fs::read_to_string(root.join(HERE)).unwrap(), key(1).to_text());
}

#[tokio::test]
async fn a_key_that_fits_is_enough_wherever_it_is() {
    let root = migrated();
    let root = root.path();
    assert!(
        run(root, &["check"], &[])
            .line("ok", "sealing key")
            .contains("made at the start")
    );
    seal(root, "agent-a", 4).await;
    let fitting = run(root, &["check"], &[("BOREALIS_SECRET_KEY", &key(4).to_text())]);
    assert!(fitting.line("ok", "sealing key").contains("BOREALIS_SECRET_KEY"));
    let other = key(5).to_text();
    let told = run(root, &["check"], &[("BOREALIS_SECRET_KEY", &other)]);
    told.line("problem", "sealing key");
    assert!(!told.output.contains(&other));
    write_key(root, INSTALLED, 4);
    assert!(
        run(root, &["check"], &[])
            .line("ok", "sealing key")
            .contains(INSTALLED)
    );
    fs::write(root.join(INSTALLED), "garbage").unwrap();
    let broken = run(root, &["check"], &[]);
    broken.line("problem", "sealing key");
    assert_eq!(broken.code, Some(1));
}
