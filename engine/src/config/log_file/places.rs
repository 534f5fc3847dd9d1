//! Where log files are: folders and files that are made, and ends of files that were cut short.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};

use rustix::{
    fs::{CWD, OFlags, RenameFlags, renameat_with},
    io::Errno,
    process::geteuid,
};

/// Makes the folder, and those above it that are not there.
pub(super) fn make_folders(folder: &Path) -> io::Result<()> {
    // The empty path is what is above a relative one.
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folders(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {
            // Whoever owns the folder above may have put something else here by now, but no folder that is not theirs.
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let made = OpenOptions::new()
                .read(true)
                .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
                .open(folder);
            if let Ok(made) = made {
                give_to_owner_of_folder(&made, folder);
            }
            Ok(())
        }
        // Another process was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens the file for appending, and says whether it was made.
pub(super) fn open(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            give_to_owner_of_folder(&file, path);
            Ok((file, true))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok((options.create(true).open(path)?, false))
        }
        Err(error) => Err(error),
    }
}

/// A command that root runs in another user's root folder would make what the server cannot write. SQLite does the same
/// with its journals, and lets a failure pass, too: the line is written either way.
fn give_to_owner_of_folder(made: &File, path: &Path) {
    if !geteuid().is_root() {
        return;
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Ok(found) = fs::metadata(folder) {
        let _ = fchown(made, Some(found.uid()), Some(found.gid()));
    }
}

/// Whether what follows begins within a line: the file was cut short by a crash or a full disk.
pub(super) fn ends_within_a_line(path: &Path) -> bool {
    let mut last = *b"\n";
    // What cannot be read is as good as whole.
    if let Ok(file) = File::open(path)
        && let Ok(found) = file.metadata()
        && found.len() > 0
    {
        let _ = file.read_at(&mut last, found.len() - 1);
    }
    last != *b"\n"
}

/// Writes an entry, in one go where the disk takes it so: entries of two processes do not mix. What is written of one
/// that fails is cut off again.
pub(super) fn write_whole(file: &mut File, entry: &[u8]) -> io::Result<()> {
    let mut left = entry;
    let mut begin = None;
    let failure = loop {
        match file.write(left) {
            Ok(0) => break io::ErrorKind::WriteZero.into(),
            Ok(count) => {
                left = left.get(count..).unwrap_or_default();
                if left.is_empty() {
                    return Ok(());
                }
                // After a write the position is behind what was written, wherever the end was before.
                if begin.is_none() {
                    begin = Some(file.stream_position()?.saturating_sub(count as u64));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    if let Some(begin) = begin {
        let end = begin + (entry.len() - left.len()) as u64;
        // Another process may have written since, or between two parts: its lines stay. What is not cut off is ended
        // where the file is opened again.
        if file.stream_position()? == end && file.metadata()?.len() == end {
            file.set_len(begin)?;
        }
    }
    Err(failure)
}

/// Renames a file, but never over another: two processes may do so at the same midnight.
///
/// # Errors
/// `AlreadyExists` where there is a file of the new name.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // Some network file systems cannot; there it takes two steps, and one process to be safe.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        Err(error) => Err(error.into()),
    }
}
