//! Changes of an island. Each one is whole or not there: a file takes its place by a rename, after its content is safe on
//! the disk.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::SystemTime,
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::{
    FileError, Kept, Rewrite,
    places::{Place, is_taken, read_whole, relative, sync_folder},
};
use crate::{domain::assembly::location::EntryKind, integrations::private_files};

impl Kept {
    /// Checks that none of them is the file.
    fn allow_file(&self, place: &Place) -> Result<(), FileError> {
        self.allow(place, |kept, names| kept == names)
    }

    /// Checks that none of them lies in the folder.
    fn allow_folder(&self, place: &Place) -> Result<(), FileError> {
        self.allow(place, <[String]>::starts_with)
    }

    fn allow(&self, place: &Place, is_meant: impl Fn(&[String], &[String]) -> bool) -> Result<(), FileError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let named = place.full.strip_prefix(&place.base).map(|below| {
            below
                .components()
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        });
        // By whatever links it is reached.
        let real = place.real().ok().and_then(|real| relative(&place.base, &real));
        let mut places = named.into_iter().chain(real);
        if places.any(|names| self.0.iter().any(|kept| is_meant(kept.names(), &names))) {
            return Err(FileError::Kept);
        }
        Ok(())
    }

    fn allow_either(&self, kind: EntryKind, place: &Place) -> Result<(), FileError> {
        match kind {
            EntryKind::File => self.allow_file(place),
            EntryKind::Folder => self.allow_folder(place),
        }
    }
}

pub(super) fn make_folder_with_parents(place: &Path) -> Result<(), FileError> {
    // As Python makes them, so that the same folder is named where that fails.
    let mut missing = vec![place];
    missing.extend(place.ancestors().skip(1).take_while(|folder| !folder.exists()));
    while let Some(folder) = missing.pop() {
        match private_files::make_folder(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !missing.is_empty() => {}
            Err(_) if missing.is_empty() && folder.is_dir() => {}
            Err(error) => return Err(FileError::at(folder)(error)),
        }
    }
    Ok(())
}

fn make_parents(place: &Place) -> Result<(), FileError> {
    place.full.parent().map_or(Ok(()), make_folder_with_parents)
}

pub(super) fn make_folder(place: &Place) -> Result<(), FileError> {
    place.may_be_made()?;
    make_folder_with_parents(&place.full)
}

pub(super) fn store(place: &Place, content: &[u8], now: SystemTime, kept: &Kept) -> Result<(), FileError> {
    place.may_be_made()?;
    kept.allow_file(place)?;
    make_parents(place)?;
    write_whole(place, content, now, Present::Replaced)
}

pub(super) fn replace(
    place: &Place,
    name: &str,
    content: &[u8],
    now: SystemTime,
    kept: &Kept,
) -> Result<(), FileError> {
    place.file()?;
    kept.allow_file(place)?;
    if place.full.file_name().is_some_and(|present| present == name) {
        return write_whole(place, content, now, Present::Replaced);
    }
    let target = place.beside(name);
    target.may_be_made()?;
    kept.allow_file(&target)?;
    if target.full.is_dir() {
        return Err(FileError::at(&target.full)(Errno::ISDIR.into()));
    }
    if is_taken(&target.full) {
        return Err(FileError::Exists);
    }
    write_whole(&target, content, now, Present::Kept)?;
    fs::remove_file(&place.full).map_err(FileError::at(&place.full))
}

/// What becomes of a file that is in the place of a new one.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Present {
    Replaced,
    Kept,
}

/// What a file is called while it is being written.
const UNFINISHED: (&str, &str) = (".borealis-", ".tmp");

/// Removes what was being written when a server died; how many files that were.
pub(super) fn remove_unfinished(island: &Path) -> usize {
    let (prefix, suffix) = UNFINISHED;
    let mut removed = 0;
    let mut waiting = vec![island.to_owned()];
    while let Some(folder) = waiting.pop() {
        // What may not be read is not ours to clean.
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                waiting.push(entry.path());
                continue;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kind.is_file() && name.starts_with(prefix) && name.ends_with(suffix) {
                match fs::remove_file(entry.path()) {
                    Ok(()) => removed += 1,
                    Err(error) => tracing::warn!(
                        path = %entry.path().display(),
                        %error,
                        "a file cannot be removed"
                    ),
                }
            }
        }
    }
    removed
}

/// Writes a file beside its place and renames it, so that there is always a whole one.
fn write_whole(place: &Place, content: &[u8], now: SystemTime, on_present: Present) -> Result<(), FileError> {
    let failed = FileError::at(&place.full);
    // Of a link within the island, what it leads to is written.
    let target = place.real()?;
    let present = fs::metadata(&target).ok();
    if let Some(present) = &present
        && (present.is_file() || present.is_dir())
    {
        // Whether it may be written is the file's to say, not its folder's.
        OpenOptions::new().write(true).open(&target).map_err(&failed)?;
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    let mut neighbour = tempfile::Builder::new()
        .prefix(UNFINISHED.0)
        .suffix(UNFINISHED.1)
        .tempfile_in(folder)
        .map_err(&failed)?;
    neighbour.write_all(content).map_err(&failed)?;
    let file = neighbour.as_file();
    if let Some(present) = present.filter(fs::Metadata::is_file) {
        file.set_permissions(present.permissions()).map_err(&failed)?;
    }
    file.set_modified(now).map_err(&failed)?;
    file.sync_all().map_err(&failed)?;
    let persisted = match on_present {
        Present::Replaced => neighbour.persist(&target),
        Present::Kept => neighbour.persist_noclobber(&target),
    };
    persisted.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists if on_present == Present::Kept => FileError::Exists,
        _ => failed(error.error),
    })?;
    sync_folder(folder);
    Ok(())
}

pub(super) fn rename(
    place: &Place,
    kind: EntryKind,
    name: &str,
    rewrite: Option<&(Box<Rewrite>, SystemTime)>,
    kept: &Kept,
) -> Result<(), FileError> {
    match kind {
        EntryKind::File => place.file()?,
        EntryKind::Folder => place.folder()?,
    };
    let target = place.beside(name);
    target.may_be_made()?;
    kept.allow_either(kind, place)?;
    kept.allow_either(kind, &target)?;
    rename_to(place, kind, &target)?;
    if kind == EntryKind::File
        && let Some((rewrite, now)) = rewrite
    {
        let bytes = read_whole(&target.full).map_err(FileError::at(&target.full))?;
        if let Some(content) = rewrite(&bytes) {
            write_whole(&target, content.as_bytes(), *now, Present::Replaced)?;
        }
    }
    Ok(())
}

/// Renames a file where nothing has the name yet (ASM-9), a folder also onto an empty one.
fn rename_to(place: &Place, kind: EntryKind, target: &Place) -> Result<(), FileError> {
    if place.full == target.full {
        return Ok(());
    }
    let failed = FileError::between(&place.full, &target.full);
    let is_folder = fs::symlink_metadata(&target.full).is_ok_and(|found| found.is_dir());
    if kind == EntryKind::Folder || is_folder {
        fs::rename(&place.full, &target.full).map_err(failed)?;
    } else {
        match renameat_with(CWD, &place.full, CWD, &target.full, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(FileError::Exists),
            // A file system that cannot: whoever has the lock looks beforehand.
            Err(Errno::INVAL | Errno::NOSYS) if is_taken(&target.full) => return Err(FileError::Exists),
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(&place.full, &target.full).map_err(failed)?,
            Err(error) => return Err(failed(error.into())),
        }
    }
    for folder in [place.full.parent(), target.full.parent()].into_iter().flatten() {
        sync_folder(folder);
    }
    Ok(())
}

pub(super) fn relocate(place: &Place, kind: EntryKind, to: &Place, kept: &Kept) -> Result<(), FileError> {
    let is_there = match kind {
        EntryKind::File => place.full.is_file(),
        EntryKind::Folder => place.full.is_dir(),
    };
    if !is_there {
        return Err(FileError::Missing);
    }
    // A link moves as it is.
    let from = place.real_name()?;
    to.may_be_made()?;
    kept.allow_either(kind, place)?;
    let onto_folder = to.full.is_dir();
    let is_same = onto_folder && kind == EntryKind::Folder && to.real()? == place.real()?;
    if is_same || to.full == place.full {
        return Ok(());
    }
    let into;
    let target = match place.full.file_name() {
        Some(name) if onto_folder => {
            into = to.below(name);
            if into.full.exists() {
                return Err(FileError::Taken(into.full));
            }
            &into
        }
        _ => to,
    };
    kept.allow_either(kind, target)?;
    // First, as in the legacy: they stay where the move then fails.
    make_parents(target)?;
    let is_link = fs::symlink_metadata(&place.full).is_ok_and(|found| found.is_symlink());
    if kind == EntryKind::Folder && !is_link && target.real()?.starts_with(&from) {
        return Err(FileError::IntoItself {
            from: place.full.clone(),
            to: to.full.clone(),
        });
    }
    if kind == EntryKind::Folder && is_taken(&target.full) {
        return Err(FileError::at(&target.full)(Errno::EXIST.into()));
    }
    rename_to(place, kind, target).map_err(|error| match error {
        // The legacy copies where it cannot rename, and names what it cannot write.
        FileError::System {
            to: Some(to), source, ..
        } => FileError::at(&to)(source),
        error => error,
    })
}

pub(super) fn delete(place: &Place, kind: EntryKind, kept: &Kept) -> Result<(), FileError> {
    let is_there = match kind {
        EntryKind::File => place.full.is_file(),
        EntryKind::Folder => place.full.is_dir(),
    };
    if !is_there {
        return Err(FileError::Missing);
    }
    place.real_name()?;
    let is_link = fs::symlink_metadata(&place.full).is_ok_and(|found| found.is_symlink());
    kept.allow_either(kind, place)?;
    let deleted = match kind {
        EntryKind::File => fs::remove_file(&place.full),
        EntryKind::Folder if is_link => return Err(FileError::LinkedFolder),
        EntryKind::Folder => fs::remove_dir_all(&place.full),
    };
    deleted.map_err(FileError::at(&place.full))?;
    if let Some(folder) = place.full.parent() {
        sync_folder(folder);
    }
    Ok(())
}
