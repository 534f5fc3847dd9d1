//! Notes which revision of the sources is built, for the foot of the table that is signed. Outside a checkout, or without
//! git, the table says that nobody knows.

use std::{path::Path, process::Command};

/// What the engine and parity are built from.
const SOURCES: [&str; 6] = [
    "engine",
    "parity/src",
    "parity/build.rs",
    "migrations",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    for source in [
        "../engine/src",
        "../engine/socketio/src",
        "../migrations",
        "../Cargo.lock",
        "src",
        "build.rs",
    ] {
        println!("cargo:rerun-if-changed={source}");
    }
    // A commit or another branch changes the revision and no file.
    for log in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--path-format=absolute", "--git-path", log])
            && Path::new(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rustc-env=BOREALIS_REVISION={}", revision());
}

fn revision() -> String {
    let Some(commit) = git(&["rev-parse", "HEAD"]) else {
        return "revision unknown: not built in a checkout".to_owned();
    };
    let mut status = vec!["status", "--porcelain", "--untracked-files=normal", "--"];
    status.extend(SOURCES);
    match git(&status).as_deref() {
        Some("") => format!("revision {commit}"),
        Some(_) => format!("revision {commit} with changes that are in no commit"),
        None => format!("revision {commit}, perhaps with changes that are in no commit"),
    }
}

/// What git says, run at the top of the checkout; nothing where it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir("..")
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
