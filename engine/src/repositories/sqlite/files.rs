//! The files of a database on disk.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::migrate::backup::prefix;

/// What SQLite keeps beside a database.
const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes an empty file for its owner alone: it holds secrets.
///
/// # Errors
/// It is there, or cannot be made.
pub(super) fn create_private(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The database, its journals, and the copies of it that were made before upgrades; whether they are there or not.
pub fn files_of(database: &Path) -> Vec<PathBuf> {
    let mut files = vec![database.to_owned()];
    files.extend(JOURNALS.map(|suffix| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    }));
    let copies = prefix(database);
    if let (Some(folder), Some(begin)) = (copies.parent(), copies.file_name())
        && let Ok(entries) = fs::read_dir(folder)
    {
        files.extend(
            entries
                .flatten()
                .filter(|entry| {
                    entry
                        .file_name()
                        .as_encoded_bytes()
                        .starts_with(begin.as_encoded_bytes())
                })
                .map(|entry| entry.path()),
        );
    }
    files
}
