//! Reading, writing and moving identity files.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::IdentityError;
use crate::integrations::private_files::{FILE_MODE, make_folders, narrow, private};

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    let path: PathBuf = path.to_owned();
    move |source| IdentityError::File { action, path, source }
}

/// What to do about a file that cannot be read, written or moved.
pub(super) fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: make room",
        io::ErrorKind::FileTooLarge => {
            "this process may not write files of that length: raise the limit (`ulimit -f`)"
        }
        io::ErrorKind::ReadOnlyFilesystem => "mount the file system so that it can be written",
        _ => "look at owner and mode of the file and its folder",
    }
}

/// The file's content, or `None` where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes the file whole or not at all, through a neighbour that is then renamed.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), IdentityError> {
    if let Some(folder) = path.parent() {
        make_folders(folder).map_err(failed("make the folder", folder))?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let neighbour = PathBuf::from(name);
    let mut file = private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&neighbour)
        .map_err(failed("write", &neighbour))?;
    // What an earlier attempt left may be open to others.
    let written = file
        .set_permissions(fs::Permissions::from_mode(FILE_MODE))
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .map_err(failed("write", &neighbour))
        .and_then(|()| fs::rename(&neighbour, path).map_err(failed("rename to", path)));
    if written.is_err() {
        // Half a key is of no use, and a whole one is a secret.
        let _ = fs::remove_file(&neighbour);
    }
    written
}

/// Takes a file over from a former place: moved, or copied where it cannot be moved. False where it is not there.
pub(super) fn take_over(former: &Path, path: &Path) -> Result<bool, IdentityError> {
    if !former.is_file() {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        make_folders(folder).map_err(failed("make the folder", folder))?;
    }
    if fs::rename(former, path).is_err() {
        let content = fs::read(former).map_err(failed("read", former))?;
        write(path, &content)?;
    }
    Ok(true)
}

/// A name with `word` and `time` behind it that no file has.
pub(super) fn free_name(path: &Path, word: &str, time: &str) -> PathBuf {
    let mut attempt = 1_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{word}-{time}"));
        if attempt > 1 {
            name.push(format!("-{attempt}"));
        }
        let free = PathBuf::from(name);
        if fs::symlink_metadata(&free).is_err() {
            return free;
        }
        attempt += 1;
    }
}

/// Gives the file another name with `time` in it, one that no file has; which name that is. A key is a secret there, too,
/// and no start looks at it again.
pub(super) fn set_aside(path: &Path, time: &str) -> Result<PathBuf, IdentityError> {
    let aside = free_name(path, "replaced", time);
    fs::rename(path, &aside).map_err(failed("set aside", path))?;
    narrow([aside.clone()]);
    Ok(aside)
}
