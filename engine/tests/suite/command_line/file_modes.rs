//! Who else on the machine may read what the server writes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use super::program::{program, run};
use crate::testkit::{
    files::everything_in,
    process::{ServerProcess, start},
};

/// Serves with the file mask of a login shell, under which others may read what is made.
fn serve(root: &Path) -> ServerProcess {
    let server = program(
        root,
        &["serve"],
        &[("BOREALIS_SECRET", "a secret of sixteen letters")],
    );
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 022; exec \"$0\" serve"])
        .arg(server.get_program())
        .current_dir(root)
        .env_clear()
        .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    start(command).serving()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_the_server_makes_is_for_its_user_alone() {
    let root = tempfile::tempdir().unwrap();
    let server = serve(root.path());
    assert_eq!(server.health(), 200);
    let made = everything_in(root.path());
    for expected in [
        "database.db",
        "database.db-wal",
        "database.db-shm",
        "Logs/Server/engine.log",
        "Certificates/Server/borealis-server-key.pem",
        "Data/Server/server_secret.key",
    ] {
        assert!(made.contains(&root.path().join(expected)), "{expected}");
    }
    let open: Vec<_> = made.iter().filter(|path| mode(path) & 0o077 != 0).collect();
    assert!(open.is_empty(), "{open:?}");
    server.stop();
}

#[test]
fn what_an_older_server_left_open_is_narrowed_and_check_says_so_beforehand() {
    let root = tempfile::tempdir().unwrap();
    serve(root.path()).stop();
    let copy = root.path().join("database.db.before-upgrade-20260101T000000Z");
    fs::write(&copy, "").unwrap();
    let files = [
        root.path().join("database.db"),
        copy,
        root.path().join("Certificates/Server/borealis-server-key.pem"),
        root.path().join("Certificates/Server/borealis-root-ca-key.pem"),
        root.path()
            .join("Certificates/Server/Code-Signing/borealis-script-ed25519.key"),
        root.path()
            .join("Server/Borealis/auth_keys/borealis-jwt-ed25519.key"),
        root.path().join("Data/Server/server_secret.key"),
    ];
    for file in &files {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let check = run(root.path(), &["check"], &[]);
    assert_eq!(check.code, Some(0), "{}", check.output);
    for file in &files {
        let told = format!(
            "{} may be used by other users of this machine (mode 0644)",
            file.display()
        );
        assert!(check.output.contains(&told), "{told} in {}", check.output);
        assert_eq!(mode(file), 0o644, "it changes nothing");
    }
    let server = serve(root.path());
    for file in &files {
        let told = format!(
            "{} could be used by other users of this machine (mode 0644)",
            file.display()
        );
        assert!(server.log.contains(&told), "{told} in {}", server.log);
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    server.stop();
    run(root.path(), &["check"], &[]).line("ok", "file modes");
}

#[test]
fn a_secret_that_can_be_guessed_is_not_called_good() {
    let root = tempfile::tempdir().unwrap();
    let signing = |secret: &str| run(root.path(), &["check"], &[("BOREALIS_SECRET", secret)]);
    assert!(
        signing("a")
            .line("warning", "signing secret")
            .contains("it has 1 characters")
    );
    assert!(
        signing(" change-me ")
            .line("warning", "signing secret")
            .contains("a default that everybody knows")
    );
    signing("a secret of sixteen letters").line("ok", "signing secret");
    let published = [
        (
            "BOREALIS_SECRET_KEY",
            "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
        ),
        ("BOREALIS_SECRET", "a secret of sixteen letters"),
    ];
    let check = run(root.path(), &["check"], &published);
    assert!(
        check
            .output
            .contains("BOREALIS_SECRET_KEY is a key that everybody knows")
    );
    let mut public = published.to_vec();
    public.push(("BOREALIS_HOST", "0.0.0.0"));
    for command in ["check", "serve"] {
        assert_eq!(run(root.path(), &[command], &public).code, Some(1), "{command}");
    }
}
