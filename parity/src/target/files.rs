//! The files that a server leaves under its root.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

use crate::{
    scenario::agent::hex,
    transcript::{Body, LONGEST_FILE, LeftFile},
};

/// What a database of SQLite begins with.
const DATABASE: &[u8] = b"SQLite format 3\0";

/// Why a file could not be looked at: its path and the cause.
pub type Unreadable = (String, io::Error);

/// All files under `root` but the database, its journals and the logs, by their path under the root.
///
/// # Errors
/// If a folder or file cannot be read.
pub fn under(root: &Path, database: &Path) -> Result<BTreeMap<String, LeftFile>, Unreadable> {
    let mut files = BTreeMap::new();
    for path in all(root)? {
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        if !is_left_out(&path, &name, database) {
            let file = look(&path, &name).map_err(|source| (name.clone(), source))?;
            files.insert(name, file);
        }
    }
    Ok(files)
}

/// Every file anywhere under `root`.
///
/// # Errors
/// If a folder cannot be read.
pub fn all(root: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let wrong = |source| (folder.display().to_string(), source);
        for entry in std::fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            // A link to a folder is one thing, and may lead to where it lies.
            if entry.file_type().map_err(wrong)?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The database is looked at as tables, and what stands in logs is not part of what a server keeps.
fn is_left_out(path: &Path, name: &str, database: &Path) -> bool {
    let journal = |end: &str| {
        let mut journal = database.as_os_str().to_owned();
        journal.push(end);
        path.as_os_str() == journal
    };
    ["", "-wal", "-shm", "-journal"].into_iter().any(journal) || name.starts_with("Logs/")
}

fn look(path: &Path, name: &str) -> io::Result<LeftFile> {
    if path.is_symlink() {
        let to = std::fs::read_link(path)?.to_string_lossy().into_owned();
        return Ok(LeftFile {
            mode: "link".to_owned(),
            size: to.len() as u64,
            sha256: hex(&Sha256::digest(&to)),
            is_database: false,
            content: Some(Body::Text(to)),
        });
    }
    let about = std::fs::metadata(path)?;
    let mode = about.permissions().mode() & 0o7777;
    if !about.is_file() {
        // Whoever reads a pipe waits for somebody who writes.
        let kind = about.file_type();
        let what = if kind.is_fifo() {
            "pipe"
        } else if kind.is_socket() {
            "socket"
        } else {
            "device"
        };
        return Ok(LeftFile {
            mode: format!("{what} 0o{mode:o}"),
            size: 0,
            sha256: hex(&Sha256::digest(b"")),
            is_database: false,
            content: Some(Body::Empty),
        });
    }
    let bytes = std::fs::read(path)?;
    // The recordings hold none either.
    let secret = name.ends_with(".key") || name.contains("-key.pem");
    let content = (bytes.len() <= LONGEST_FILE && !secret).then(|| match std::str::from_utf8(&bytes) {
        Ok(text) => Body::Text(text.to_owned()),
        Err(_) => Body::Base64(BASE64.encode(&bytes)),
    });
    Ok(LeftFile {
        mode: format!("0o{mode:o}"),
        size: bytes.len() as u64,
        sha256: hex(&Sha256::digest(&bytes)),
        is_database: bytes.starts_with(DATABASE),
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_there_with_mode_and_content_but_no_key_no_database_and_no_log() {
        let root = tempfile::tempdir().unwrap();
        let database = root.path().join("database.db");
        for (path, content) in [
            ("database.db", "d"),
            ("database.db-wal", "w"),
            ("database.db.lock", "l"),
            ("Logs/Server/engine.log", "x"),
            ("a/server.key", "secret"),
            ("a/server-key.pem.replaced-1", "secret"),
            ("a/b/text.txt", "words"),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::fs::write(root.path().join("a/bytes.bin"), [0xff]).unwrap();
        std::fs::write(root.path().join("a/long.txt"), "x".repeat(LONGEST_FILE + 1)).unwrap();
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(root.path().join("a/b/text.txt"), mode).unwrap();
        let files = under(root.path(), &database).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "a/b/text.txt",
                "a/bytes.bin",
                "a/long.txt",
                "a/server-key.pem.replaced-1",
                "a/server.key",
                "database.db.lock"
            ]
        );
        let content = |name: &str| files[name].content.clone();
        assert_eq!(content("a/b/text.txt"), Some(Body::Text("words".to_owned())));
        assert_eq!(content("a/bytes.bin"), Some(Body::Base64("/w==".to_owned())));
        for without_content in ["a/long.txt", "a/server.key", "a/server-key.pem.replaced-1"] {
            assert_eq!(content(without_content), None, "{without_content}");
        }
        std::os::unix::fs::symlink("..", root.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("a/dangling")).unwrap();
        let links = under(root.path(), &database).unwrap();
        let link = |name: &str| (links[name].mode.as_str(), links[name].content.clone());
        assert_eq!(link("a/up"), ("link", Some(Body::Text("..".to_owned()))));
        assert_eq!(
            link("a/dangling"),
            ("link", Some(Body::Text("nowhere".to_owned())))
        );
        assert_eq!(links.len(), files.len() + 2);
        let pipe = std::process::Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(root.path().join("a/pipe"))
            .status();
        assert!(pipe.unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("a/socket")).unwrap();
        let special = under(root.path(), &database).unwrap();
        assert_eq!(special["a/pipe"].mode, "pipe 0o600");
        assert!(
            special["a/socket"].mode.starts_with("socket "),
            "{}",
            special["a/socket"].mode
        );
        assert_eq!(special.len(), links.len() + 2);
        assert_eq!(files["a/b/text.txt"].mode, "0o640");
        assert!(!files["a/b/text.txt"].is_database);
    }
}
