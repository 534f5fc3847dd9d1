//! A root folder that is none is not served, and one that is served has one server.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _, path::Path};

use super::{
    is_empty,
    program::{program, run},
};
use crate::testkit::{
    process::start,
    server::{clock, try_start},
};

#[test]
fn a_mistyped_root_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, other) = (folder.path().join("borealsi"), folder.path().join("home"));
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "").unwrap();
    for root in [&missing, &other] {
        let variables = [("BOREALIS_ROOT", root.to_str().unwrap())];
        for command in ["serve", "migrate", "check"] {
            let refused = run(folder.path(), &[command], &variables);
            assert_eq!(refused.code, Some(2), "{command}: {refused:?}");
            let told = refused.output + &refused.errors;
            for word in [root.to_str().unwrap(), "BOREALIS_ROOT", "--create"] {
                assert!(told.contains(word), "{word} in {told}");
            }
        }
    }
    assert!(!missing.exists());
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
    for root in [&missing, &other] {
        let variables = [("BOREALIS_ROOT", root.to_str().unwrap())];
        assert_eq!(
            run(folder.path(), &["check", "--create"], &variables).code,
            Some(0)
        );
    }
    let mut serve = program(folder.path(), &["--create"], &[]);
    serve.env("BOREALIS_ROOT", &other);
    assert_eq!(start(serve).serving().stop().0, Some(0));
    let missing_root = [("BOREALIS_ROOT", missing.to_str().unwrap())];
    let made = run(folder.path(), &["migrate", "--create"], &missing_root);
    assert_eq!(made.code, Some(0), "{made:?}");
    for root in [&missing, &other] {
        assert!(root.join("database.db").is_file());
        let variables = [("BOREALIS_ROOT", root.to_str().unwrap())];
        assert_eq!(run(folder.path(), &["migrate"], &variables).code, Some(0));
    }
}

#[test]
fn without_a_root_the_working_folder_is_looked_at_no_less_closely() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("letter.txt"), "").unwrap();
    let mut command = program(folder.path(), &["serve"], &[]);
    command.env_remove("BOREALIS_ROOT");
    let (code, errors) = start(command).ended();
    assert_eq!(code, Some(2), "{errors}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_with_one_sign_of_a_server_is_one_and_so_is_one_that_a_refused_start_left() {
    for sign in ["Borealis.ps1", "Data", "Server", "Certificates", "Assemblies"] {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("letter.txt"), "").unwrap();
        fs::create_dir(root.path().join(sign)).unwrap();
        assert_eq!(run(root.path(), &["check"], &[]).code, Some(0), "{sign}");
    }
    let root = tempfile::tempdir().unwrap();
    let public = [("BOREALIS_HOST", "0.0.0.0")];
    assert_eq!(run(root.path(), &["serve"], &public).code, Some(1));
    assert!(!is_empty(root.path()));
    start(program(root.path(), &["serve"], &[])).serving().stop();
}

#[test]
fn a_variable_that_is_no_text_stops_every_command() {
    let root = tempfile::tempdir().unwrap();
    let broken = root.path().join(OsStr::from_bytes(b"root\xff"));
    for arguments in [&["serve"][..], &["migrate"], &["check"], &["users", "list"]] {
        let mut command = program(root.path(), arguments, &[]);
        command.env("BOREALIS_ROOT", &broken);
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        let told = [ended.stdout, ended.stderr].concat();
        assert!(
            String::from_utf8_lossy(&told).contains("BOREALIS_ROOT is not written in UTF-8"),
            "{arguments:?}"
        );
    }
    assert!(is_empty(root.path()));
}

#[test]
fn a_start_tells_of_variables_that_change_nothing() {
    let root = tempfile::tempdir().unwrap();
    let variables = [("BOREALIS_TSL", "on"), ("BOREALIS_TLS_CERT", "server.pem")];
    let server = start(program(root.path(), &[], &variables)).serving();
    assert!(server.log.contains("is BOREALIS_TLS meant?"), "{}", server.log);
    assert!(
        server.log.contains("BOREALIS_TLS_CERT is set and has no effect"),
        "{}",
        server.log
    );
    server.stop();
}

fn refused_beside(root: &Path, process: &str) {
    let migrate = run(root, &["migrate"], &[]);
    let check = run(root, &["check"], &[]);
    let (code, errors) = start(program(root, &["serve"], &[])).ended();
    assert_eq!((migrate.code, check.code, code), (Some(1), Some(1), Some(1)));
    for told in [&migrate.errors, &check.output, &errors] {
        for word in [
            "in use by another borealis-engine",
            process,
            "database.db.lock",
            "stop it first",
        ] {
            assert!(told.contains(word), "{word} in {told}");
        }
    }
}

#[test]
fn a_root_has_one_server_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let lock = root.join("database.db.lock");
    run(root, &["check"], &[]);
    assert!(!lock.exists(), "looking makes no lock");
    let server = start(program(root, &["serve"], &[])).serving();
    let process = format!("process {}", fs::read_to_string(&lock).unwrap());
    refused_beside(root, &process);
    // The other commands do not need it.
    assert_eq!(run(root, &["users", "list"], &[]).code, Some(0));
    assert_eq!(run(root, &["backup", "copy.db"], &[]).code, Some(0));
    assert_eq!(server.health(), 200);
    assert_eq!(server.stop().0, Some(0));
    assert!(lock.is_file());

    // The lock dies with its process, however that ends.
    drop(start(program(root, &["serve"], &[])).serving());
    assert_eq!(run(root, &["migrate"], &[]).code, Some(0));
}

#[tokio::test]
async fn two_engines_of_one_process_do_not_serve_one_root() {
    let root = tempfile::tempdir().unwrap();
    let another = || try_start(root.path(), &[], |_| (), clock());
    let engine = another().await.unwrap();
    let refused = another().await.unwrap_err().to_string();
    assert!(refused.contains("in use by another borealis-engine"), "{refused}");
    engine.stop().await;
    another().await.unwrap().stop().await;
}
