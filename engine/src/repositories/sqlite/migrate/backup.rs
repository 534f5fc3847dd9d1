//! The copy that is written beside a database before it is upgraded.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::repositories::sqlite::{BackupError, back_up, files::create_private};

/// More copies of one second are not made.
const MOST: u32 = 1000;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The file cannot be made.
    #[error("{path}: {source}", path = path.display())]
    File {
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database cannot be read, or the copy not be filled.
    #[error("{path}: {source}", path = path.display())]
    Database { path: PathBuf, source: BackupError },
}

/// What the names of copies of this database begin with.
pub(in crate::repositories::sqlite) fn prefix(database: &Path) -> PathBuf {
    with_suffix(database, ".before-upgrade-")
}

/// Copies what is committed into a new file beside the database, safe on the disk when this returns. Another copy is
/// never written over.
pub(super) async fn write(database: &Path, now: Timestamp) -> Result<PathBuf, CopyError> {
    let copy = reserve(database, now)?;
    let part = with_suffix(&copy, ".part");
    let written = fill(database, &part).await.and_then(|()| {
        keep(&part, &copy).map_err(|source| CopyError::File {
            path: copy.clone(),
            source,
        })
    });
    if let Err(error) = written {
        discard(&part);
        discard(&copy);
        return Err(error);
    }
    Ok(copy)
}

/// Removes a copy that is of no use.
pub(super) fn discard(copy: &Path) {
    match fs::remove_file(copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %copy.display(), %error, "a copy of the database cannot be removed");
        }
        _ => {}
    }
}

/// Takes a name that no file has, by an empty file.
fn reserve(database: &Path, now: Timestamp) -> Result<PathBuf, CopyError> {
    let stamp = now.to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ");
    let first = with_suffix(&prefix(database), &stamp.to_string());
    let mut number = 1;
    loop {
        let path = match number {
            1 => first.clone(),
            _ => with_suffix(&first, &format!("-{number}")),
        };
        match create_private(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST => number += 1,
            Err(source) => return Err(CopyError::File { path, source }),
        }
    }
}

async fn fill(database: &Path, part: &Path) -> Result<(), CopyError> {
    let failed = |source| CopyError::Database {
        path: part.to_owned(),
        source,
    };
    // SQLite fills an empty file, and refuses one that holds something.
    create_private(part).map_err(|source| CopyError::File {
        path: part.to_owned(),
        source,
    })?;
    back_up(database, part).await.map_err(failed)
}

/// Gives the whole copy its name, on the disk.
fn keep(part: &Path, copy: &Path) -> io::Result<()> {
    fs::File::open(part)?.sync_all()?;
    fs::rename(part, copy)?;
    match copy.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => fs::File::open(".")?.sync_all(),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
