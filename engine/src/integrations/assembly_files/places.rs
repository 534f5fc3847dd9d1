//! Where a path of an island really lies, and what is there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
};

use super::{FileError, LONGEST};
use crate::domain::assembly::location::IslandPath;

/// A path of an island.
#[derive(Debug)]
pub(super) struct Place {
    /// The island's folder.
    pub(super) base: PathBuf,
    /// The path, links not followed.
    pub(super) full: PathBuf,
    /// Whether a name has NUL in it.
    pub(super) has_nul: bool,
    /// Whether there are too many folders within one another.
    pub(super) is_too_deep: bool,
}

impl Place {
    pub(super) fn new(base: PathBuf, path: &IslandPath) -> Self {
        let mut full = base.clone();
        full.extend(path.names());
        Self {
            base,
            full,
            has_nul: path.has_nul(),
            is_too_deep: path.is_too_deep(),
        }
    }

    /// A place that was found below `base` already.
    pub(super) fn at(base: PathBuf, full: PathBuf) -> Self {
        Self {
            base,
            full,
            has_nul: false,
            is_too_deep: false,
        }
    }

    /// The place beside it that has this last name.
    pub(super) fn beside(&self, name: &str) -> Self {
        Self {
            base: self.base.clone(),
            full: self.full.with_file_name(name),
            has_nul: name.contains('\0'),
            is_too_deep: false,
        }
    }

    /// The place in it that has this name.
    pub(super) fn below(&self, name: &std::ffi::OsStr) -> Self {
        Self::at(self.base.clone(), self.full.join(name))
    }

    /// The real path of a file that is there.
    pub(super) fn file(&self) -> Result<PathBuf, FileError> {
        if self.full.is_file() {
            self.real()
        } else {
            Err(FileError::Missing)
        }
    }

    /// The real path of a folder that is there.
    pub(super) fn folder(&self) -> Result<PathBuf, FileError> {
        if self.full.is_dir() {
            self.real()
        } else {
            Err(FileError::Missing)
        }
    }

    /// Checks that something could be made here.
    pub(super) fn may_be_made(&self) -> Result<(), FileError> {
        if self.has_nul {
            return Err(FileError::NullByte);
        }
        if self.is_too_deep {
            return Err(FileError::Outside);
        }
        self.real().map(drop)
    }

    /// The place with every link on its way followed, whether or not there is something.
    ///
    /// # Errors
    /// It lies outside the island (ASM-4), or a link leads nowhere, and so perhaps there.
    pub(super) fn real(&self) -> Result<PathBuf, FileError> {
        resolved(&self.base, &self.full)
    }

    /// The place of its last name itself: links on the way are followed, one that it is is not.
    pub(super) fn real_name(&self) -> Result<PathBuf, FileError> {
        let (Some(folder), Some(name)) = (self.full.parent(), self.full.file_name()) else {
            return Err(FileError::Outside);
        };
        Ok(resolved(&self.base, folder)?.join(name))
    }
}

fn resolved(base: &Path, full: &Path) -> Result<PathBuf, FileError> {
    let Ok(base) = base.canonicalize() else {
        // No island, no links in it.
        return Ok(full.to_owned());
    };
    // What is not there yet is no link.
    let there = full.ancestors().find(|path| path.symlink_metadata().is_ok());
    let Some(there) = there else {
        return Ok(full.to_owned());
    };
    let missing = full.strip_prefix(there).unwrap_or(Path::new(""));
    let mut real = there.canonicalize().map_err(|_| FileError::Outside)?;
    // Where the island itself is missing, its parents are what is there.
    if !real.starts_with(&base) && !base.starts_with(&real) {
        return Err(FileError::Outside);
    }
    if missing
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        real.extend(missing.components());
        Ok(real)
    } else {
        Err(FileError::Outside)
    }
}

/// The path in the island that a real path has.
pub(super) fn relative(base: &Path, real: &Path) -> Option<Vec<String>> {
    let base = base.canonicalize().ok()?;
    let below = real.strip_prefix(base).ok()?;
    Some(
        below
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect(),
    )
}

/// The bytes of a file. A pipe or device, which could keep a reader for ever, is none.
pub(super) fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if found.len() > LONGEST {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0).saturating_add(1));
    let read = file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if read as u64 > LONGEST {
        return Err(too_long());
    }
    Ok(bytes)
}

fn too_long() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::FBIG.raw_os_error())
}

/// Makes a folder durable: what was renamed in it is there after a crash.
pub(super) fn sync_folder(path: &Path) {
    // Not every file system lets folders be synced; the rename itself is whole either way.
    if let Ok(folder) = File::open(path) {
        let _ = folder.sync_all();
    }
}

/// Whether something has this name, be it a link that leads nowhere.
pub(super) fn is_taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
