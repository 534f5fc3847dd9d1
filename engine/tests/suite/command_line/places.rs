//! Files that the variables put somewhere else than where they lie by default.

use std::{fs, path::Path};

use super::program::{program, run};
use crate::testkit::{files::everything_in, process::start};

const KEY: &str = "auth_keys/borealis-jwt-ed25519.key";
const CERTIFICATE: &str = "borealis-server-cert.pem";

/// Variables whose values are these names below a folder.
fn below<'a>(folder: &Path, places: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    places
        .iter()
        .map(|(variable, name)| (*variable, folder.join(name).display().to_string()))
        .collect()
}

fn texts<'a>(variables: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

#[test]
fn keys_certificates_and_database_lie_where_their_variables_say_and_are_found_again() {
    let (root, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = [
        ("BOREALIS_SERVER_ROOT", "runtime"),
        ("BOREALIS_CERTIFICATES_ROOT", "certificates"),
        ("BOREALIS_DATABASE_PATH", "fleet.db"),
    ];
    let variables = below(apart.path(), &places);
    let variables = texts(&variables);
    let files = [
        Path::new("runtime").join(KEY),
        Path::new("certificates/Server").join(CERTIFICATE),
        "fleet.db".into(),
    ]
    .map(|file| apart.path().join(file));
    let check = || run(root.path(), &["check"], &variables);

    let before = check();
    assert_eq!(before.code, Some(0), "{}", before.output);
    assert!(before.line("ok", "database").contains("made at the start"));
    assert!(before.line("ok", "token key").contains("made at the start"));
    assert!(everything_in(apart.path()).is_empty());

    let mut kept = Vec::new();
    for _ in 0..2 {
        let server = start(program(root.path(), &["serve"], &variables)).serving();
        assert_eq!(server.health(), 200);
        assert_eq!(server.stop().0, Some(0));
        let [key, certificate, database] = &files;
        assert!(database.is_file());
        kept.push([key, certificate].map(|file| fs::read(file).unwrap()));
    }
    assert_eq!(kept[0], kept[1], "a second start makes none of its own");
    for usual in ["database.db", "Certificates", "Server"] {
        assert!(!root.path().join(usual).exists(), "{usual}");
    }

    let after = check();
    assert_eq!(after.code, Some(0), "{}", after.output);
    assert!(after.line("ok", "database").contains("fleet.db"));
    // What is wrong there is found there.
    for (file, subject) in [(&files[0], "token key"), (&files[2], "database")] {
        fs::write(
            file,
            "garbage, and long enough for anybody to see that it is none",
        )
        .unwrap();
        let broken = check();
        assert_eq!(broken.code, Some(1), "{}", broken.output);
        let line = broken.line("problem", subject);
        assert!(line.contains(file.to_str().unwrap()), "{line}");
    }
    let (code, errors) = start(program(root.path(), &["serve"], &variables)).ended();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("fleet.db") || errors.contains(KEY), "{errors}");
}

#[test]
fn of_the_folders_of_certificates_the_nearest_counts() {
    for (places, expected) in [
        (&[][..], "root/Certificates/Server"),
        (&[("BOREALIS_PROJECT_ROOT", "a")], "a/Certificates/Server"),
        (&[("BOREALIS_CERT_ROOT", "b")], "b/Server"),
        (
            &[("BOREALIS_CERT_ROOT", "b"), ("BOREALIS_PROJECT_ROOT", "a")],
            "b/Server",
        ),
        (
            &[("BOREALIS_CERTIFICATES_ROOT", "c"), ("BOREALIS_CERT_ROOT", "b")],
            "c/Server",
        ),
        (
            &[
                ("BOREALIS_SERVER_CERT_ROOT", "d"),
                ("BOREALIS_CERTIFICATES_ROOT", "c"),
            ],
            "d",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let variables = below(folder.path(), places);
        run(&root, &["certificate", "replace", "--yes"], &texts(&variables)).done();
        let made: Vec<_> = everything_in(folder.path())
            .into_iter()
            .filter(|path| path.ends_with(CERTIFICATE))
            .collect();
        assert_eq!(
            made,
            [folder.path().join(expected).join(CERTIFICATE)],
            "{places:?}"
        );
    }
}

#[test]
fn the_runtime_folder_is_the_one_named_else_the_project_s_else_the_root_s() {
    for (places, expected) in [
        (&[][..], "root/Server/Borealis"),
        (&[("BOREALIS_PROJECT_ROOT", "a")], "a/Server/Borealis"),
        (
            &[("BOREALIS_SERVER_ROOT", "b"), ("BOREALIS_PROJECT_ROOT", "a")],
            "b",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let variables = below(folder.path(), places);
        let server = start(program(&root, &["serve"], &texts(&variables))).serving();
        assert_eq!(server.stop().0, Some(0));
        let made: Vec<_> = everything_in(folder.path())
            .into_iter()
            .filter(|path| path.ends_with(KEY))
            .collect();
        assert_eq!(made, [folder.path().join(expected).join(KEY)], "{places:?}");
    }
}

#[test]
fn a_database_s_path_may_begin_at_home_or_at_the_working_folder() {
    for (path, expected) in [
        ("~/kept.db", "home/kept.db"),
        ("kept.db", "root/kept.db"),
        (" ", "root/database.db"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let [root, home] = ["root", "home"].map(|name| folder.path().join(name));
        for made in [&root, &home] {
            fs::create_dir(made).unwrap();
        }
        let variables = [("HOME", home.to_str().unwrap()), ("BOREALIS_DATABASE_PATH", path)];
        assert_eq!(run(&root, &["migrate"], &variables).code, Some(0));
        let made: Vec<_> = everything_in(folder.path())
            .into_iter()
            .filter(|path| path.extension().is_some_and(|ending| ending == "db"))
            .collect();
        assert_eq!(made, [folder.path().join(expected)], "{path:?}");
    }
}

#[test]
fn a_place_that_cannot_be_is_named_with_its_cure_and_nothing_is_made() {
    let (root, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = apart.path().join("a file");
    fs::write(&file, "").unwrap();
    let inside = file.join("inside").display().to_string();
    let missing = apart.path().join("missing/fleet.db").display().to_string();
    for (variable, value) in [
        ("BOREALIS_SERVER_ROOT", inside.as_str()),
        ("BOREALIS_CERTIFICATES_ROOT", &inside),
        ("BOREALIS_DATABASE_PATH", &missing),
        ("BOREALIS_DATABASE_PATH", &inside),
    ] {
        let variables = [(variable, value)];
        let check = run(root.path(), &["check"], &variables);
        assert_eq!(check.code, Some(1), "{variable}: {}", check.output);
        let (code, errors) = start(program(root.path(), &["serve"], &variables)).ended();
        assert_eq!(code, Some(1), "{variable}: {errors}");
        for told in [&check.output, &errors] {
            assert!(told.contains(value), "{variable}: {told}");
        }
        assert_eq!(
            everything_in(apart.path()),
            std::slice::from_ref(&file),
            "{variable}"
        );
    }
}
