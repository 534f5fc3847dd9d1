//! Whether files and folders can be written, tried without leaving anything there.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// How much space a start needs in a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// For a key, a certificate or a log.
    File,
    /// For the journal of a database that is there, and what a start writes into it.
    Journal,
    /// For a database that is made.
    Database,
}

impl Need {
    const fn bytes(self) -> usize {
        match self {
            Self::File => 16 << 10,
            Self::Journal => 256 << 10,
            Self::Database => 1 << 20,
        }
    }
}

/// Why a place cannot be written, and what to do.
#[derive(Debug)]
pub(super) struct Obstacle {
    place: PathBuf,
    error: io::Error,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, error) = (self.place.display(), &self.error);
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                let own = rustix::process::geteuid().as_raw();
                match fs::metadata(&self.place) {
                    Ok(found) => write!(
                        formatter,
                        "{place} belongs to user {} and mode {:03o} does not let user {own}, who runs this, write \
                         there: run the server as the user to whom the root folder belongs, or give that user the \
                         right",
                        found.uid(),
                        found.mode() & 0o7777
                    ),
                    Err(_) => write!(
                        formatter,
                        "user {own}, who runs this, has no right to look at {place}: run the server as the user to \
                         whom the root folder belongs, or give that user the right"
                    ),
                }
            }
            io::ErrorKind::ReadOnlyFilesystem => write!(
                formatter,
                "{place} lies on a read-only file system: mount it so that it can be written (a systemd service \
                 also needs it among its ReadWritePaths)"
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                write!(formatter, "the disk of {place} is full: make room on it")
            }
            io::ErrorKind::FileTooLarge => write!(
                formatter,
                "this process may not write files as long as {place} needs them: raise the limit (`ulimit -f`)"
            ),
            io::ErrorKind::NotADirectory => {
                write!(formatter, "{place} is no folder: move it out of the way")
            }
            io::ErrorKind::IsADirectory => {
                write!(formatter, "{place} is a folder: move it out of the way")
            }
            _ => write!(
                formatter,
                "{place} cannot be written ({error}): see to it that the server's user can"
            ),
        }
    }
}

/// Tries whether a file that is there can be read and written.
pub(super) fn file(path: &Path) -> Result<(), Obstacle> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map(drop)
        .map_err(|error| Obstacle {
            place: path.to_owned(),
            error,
        })
}

/// Tries whether `path` could be made: whether its folder can be written, or the nearest that is there.
pub(super) fn folder_of(path: &Path, need: Need) -> Result<(), Obstacle> {
    let folder = nearest(path);
    let tried = match fs::metadata(&folder) {
        Ok(found) if !found.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
        Ok(_) => write(&folder, need.bytes()),
        Err(error) => Err(error),
    };
    tried.map_err(|error| Obstacle { place: folder, error })
}

/// Whether the disk of a folder that is there has space for so many bytes; an error is how many it has.
pub(super) fn check_free_space(folder: &Path, bytes: u64) -> Result<(), u64> {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free >= bytes { Ok(()) } else { Err(free) }
        }
        // A file system that does not say may have space.
        Err(_) => Ok(()),
    }
}

/// The nearest folder above `path` that is there, or what lies in its place.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors()
        .skip(1)
        .find(|folder| folder.symlink_metadata().is_ok())
        .unwrap_or(Path::new("."))
        .to_owned()
}

/// Writes into a file that has no name, and is gone when it is closed.
fn write(folder: &Path, bytes: usize) -> io::Result<()> {
    tempfile::tempfile_in(folder)?.write_all(&vec![0; bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_tried_without_leaving_anything_there() {
        let folder = tempfile::tempdir().unwrap();
        folder_of(&folder.path().join("a/b/c"), Need::Database).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        let told = folder_of(&folder.path().join("a/b"), Need::File)
            .unwrap_err()
            .to_string();
        assert!(told.contains("/a is no folder"), "{told}");
        assert!(
            file(folder.path())
                .unwrap_err()
                .to_string()
                .contains("is a folder")
        );
    }

    #[test]
    fn a_disk_shows_how_much_space_it_has() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check_free_space(folder.path(), 0), Ok(()));
        assert!(check_free_space(folder.path(), u64::MAX).is_err());
    }
}
