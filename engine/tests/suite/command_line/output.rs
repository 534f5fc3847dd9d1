//! Output that cannot be written is a failure; a reader that has gone away is none.

use std::{
    fs::OpenOptions,
    io::pipe,
    process::{Output, Stdio},
};

use super::program::{migrated, program};

const COMMANDS: [&[&str]; 9] = [
    &["check"],
    &["migrate"],
    &["users", "list"],
    &["users", "list", "--json"],
    &["users", "set-role", "admin", "admin"],
    &["install-codes", "list"],
    &["devices", "list"],
    &["--help"],
    &["--version"],
];

fn run_into(root: &std::path::Path, arguments: &[&str], output: impl Into<Stdio>) -> Output {
    program(root, arguments, &[]).stdout(output).output().unwrap()
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let root = migrated();
    crate::testkit::process::start(program(root.path(), &["serve"], &[]))
        .serving()
        .stop();
    for arguments in COMMANDS {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ended = run_into(root.path(), arguments, full);
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(
            errors.contains("standard output cannot be written: No space left"),
            "{arguments:?}: {errors}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let root = migrated();
    crate::testkit::process::start(program(root.path(), &["serve"], &[]))
        .serving()
        .stop();
    for arguments in COMMANDS {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ended = run_into(root.path(), arguments, writer);
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}
