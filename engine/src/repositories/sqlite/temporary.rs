//! A copy of a database with its journals, to look at what a start would make of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

/// The copy, in a folder that somebody else removes.
pub(super) struct TemporaryCopy {
    path: PathBuf,
}

impl TemporaryCopy {
    /// Copies a database that nobody works in, and the journals that were left beside it.
    pub(super) fn of(database: &Path, folder: &Path) -> io::Result<Self> {
        let path = folder.join("copy.db");
        fs::copy(database, &path)?;
        for suffix in ["-wal", "-journal"] {
            match fs::copy(beside(database, suffix), beside(&path, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(Self { path })
    }

    /// How it is opened. It need not outlast anything, so nothing waits for the disk.
    pub(super) fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .pragma("synchronous", "OFF")
            .foreign_keys(false)
            .disable_statement_logging()
    }
}

/// A file beside a database that bears its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
