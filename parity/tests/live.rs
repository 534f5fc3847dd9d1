//! Servers that are none of parity's own: the engine against itself at a URL and as a process, and servers that are broken.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

#[path = "live/broken.rs"]
mod broken;
#[path = "live/doctor.rs"]
mod doctor;
#[path = "live/engine.rs"]
mod engine;
#[path = "live/itself.rs"]
mod itself;
#[path = "live/planted.rs"]
mod planted;
#[path = "live/planted_packets.rs"]
mod planted_packets;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The top of the repository.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What `parity` says and ends with, and the report that it left.
struct Said {
    code: i32,
    text: String,
    table: String,
}

/// Runs `parity run` with its reports in a folder of their own.
fn parity_run(arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_parity"))
        .current_dir(top())
        .arg("run")
        .args(arguments)
        .arg("--report")
        .arg(&report)
        .output()
        .unwrap();
    Said {
        code: status.code().unwrap(),
        text: String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap(),
        table: std::fs::read_to_string(report.join("divergences.md")).unwrap_or_default(),
    }
}
