//! One server a root folder: a lock on a file beside the database, which dies with the process that holds it.
//!
//! The file stays when the server ends. Whether it is there says nothing; whether somebody holds the lock does. The
//! legacy server knows nothing of it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::domain::clock::Clock;

/// `check` holds the lock for a moment, to see whether it can be had; a start that meets it tries again.
const ATTEMPTS: u32 = 10;
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Why a root folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another engine works in it.
    #[error(
        "{database} is in use by another borealis-engine{holder}, which holds {lock}: stop it first, or set \
         BOREALIS_ROOT to another root folder",
        database = database.display(), lock = lock.display()
    )]
    Held {
        database: PathBuf,
        lock: PathBuf,
        /// Who holds it, where that is known.
        holder: Holder,
    },
    /// The file cannot be used.
    #[error("{} cannot be opened: {source}; {}", path.display(), cure(source))]
    File {
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "where no server runs, remove the file, and let the server's user write into its folder"
        }
        io::ErrorKind::NotFound => "make its folder, or correct BOREALIS_DATABASE_PATH",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk",
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system so that it can be written",
        _ => "let the server's user read and write it",
    }
}

/// The process that holds a lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Holder(Option<u32>);

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(process) => write!(formatter, " (process {process})"),
            None => Ok(()),
        }
    }
}

/// The lock of a root folder, held.
#[derive(Debug)]
pub struct RootLock {
    file: File,
}

impl RootLock {
    /// Takes the lock that belongs to this database.
    ///
    /// # Errors
    /// Somebody else holds it, or its file cannot be used.
    pub async fn acquire(database: &Path, clock: &dyn Clock) -> Result<Self, LockError> {
        let path = path_of(database);
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut tries = 1;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < ATTEMPTS => {
                    tries += 1;
                    drop(clock.sleep_until(clock.monotonic() + RETRY_INTERVAL).await);
                }
                Err(TryLockError::WouldBlock) => return Err(held(database, path, &mut file)),
                Err(TryLockError::Error(error)) if cannot_lock(&error) => {
                    tracing::warn!(
                        "{} cannot be locked ({error}): see to it that no second server works in this root folder",
                        path.display()
                    );
                    break;
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        // For the message of the next one alone: a full disk does not matter here.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
        Ok(Self { file })
    }

    /// Gives the lock back while something may still hold a copy of this.
    pub fn release(&self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the root folder's lock could not be released");
        }
    }
}

/// Whether the lock can be had, without making its file.
///
/// # Errors
/// Somebody holds it, or its file cannot be used.
pub fn probe(database: &Path) -> Result<(), LockError> {
    let path = path_of(database);
    let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(LockError::File { path, source }),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(held(database, path, &mut file)),
        Err(TryLockError::Error(error)) if cannot_lock(&error) => Ok(()),
        Err(TryLockError::Error(source)) => Err(LockError::File { path, source }),
    }
}

/// The lock's file. A database that is reached by a link has the lock of the place where it lies.
pub fn path_of(database: &Path) -> PathBuf {
    let mut path = fs::canonicalize(database)
        .unwrap_or_else(|_| database.to_owned())
        .into_os_string();
    path.push(".lock");
    path.into()
}

/// Some file systems of the network have no locks at all.
fn cannot_lock(error: &io::Error) -> bool {
    const ENOLCK: i32 = 37;
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(ENOLCK)
}

fn held(database: &Path, lock: PathBuf, file: &mut File) -> LockError {
    let mut text = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(20).read_to_string(&mut text));
    LockError::Held {
        database: database.to_owned(),
        lock,
        holder: Holder(read.ok().and_then(|_| text.trim().parse().ok())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrations::clock::SystemClock;

    #[tokio::test]
    async fn one_at_a_time_has_the_lock_and_its_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("database.db");
        let clock = SystemClock::new();
        probe(&database).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
        let lock = RootLock::acquire(&database, &clock).await.unwrap();
        let own = std::process::id().to_string();
        for refused in [
            RootLock::acquire(&database, &clock).await.map(|_| ()),
            probe(&database),
        ] {
            let text = refused.unwrap_err().to_string();
            assert!(
                text.contains(&format!("(process {own})")) && text.contains("database.db.lock"),
                "{text}"
            );
        }
        lock.release();
        probe(&database).unwrap();
        drop(lock);
        assert!(folder.path().join("database.db.lock").is_file());
        RootLock::acquire(&database, &clock).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_behind_a_link_has_one_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (database, link) = (folder.path().join("database.db"), folder.path().join("link.db"));
        fs::write(&database, "").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let clock = SystemClock::new();
        let _lock = RootLock::acquire(&database, &clock).await.unwrap();
        assert!(RootLock::acquire(&link, &clock).await.is_err());
    }
}
