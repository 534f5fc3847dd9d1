//! What lies in an island.

use std::{
    fs::{self, DirEntry},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::places::read_whole;

/// A file that was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<T> {
    pub file_name: String,
    /// Its path from the island's folder, with `/`.
    pub path: String,
    /// When it was changed: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// What was made of its content.
    pub about: T,
}

/// What lies in an island.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listing<T> {
    /// The folders by their paths, each before those in it, siblings in the order of their names.
    pub folders: Vec<String>,
    /// The files in the same order.
    pub files: Vec<Found<T>>,
}

pub(super) fn list<T>(
    folder: &Path,
    is_listed: &dyn Fn(&str) -> bool,
    describe: &dyn Fn(&str, &[u8]) -> T,
) -> Listing<T> {
    let mut listing = Listing {
        folders: Vec::new(),
        files: Vec::new(),
    };
    let base = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    // Folders that are still to be looked into, the next one last.
    let mut waiting = vec![(base.clone(), String::new())];
    while let Some((place, path)) = waiting.pop() {
        // One that vanished, or may not be read, holds nothing.
        let Ok(entries) = fs::read_dir(&place) else {
            continue;
        };
        if !path.is_empty() {
            listing.folders.push(path.clone());
        }
        let mut entries: Vec<(String, DirEntry)> = entries
            .filter_map(Result::ok)
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry))
            .collect();
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut folders = Vec::new();
        for (name, entry) in entries {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}/{name}")
            };
            if kind.is_dir() {
                folders.push((entry.path(), below));
            } else if is_listed(&name)
                && let Some(found) = look(&base, entry.path(), kind.is_symlink(), name, below, describe)
            {
                listing.files.push(found);
            }
        }
        waiting.extend(folders.into_iter().rev());
    }
    listing
}

/// A file as it is now. One that vanished meanwhile is none, nor is a link that leads out of the island (ASM-4).
fn look<T>(
    base: &Path,
    place: PathBuf,
    is_link: bool,
    name: String,
    path: String,
    describe: &dyn Fn(&str, &[u8]) -> T,
) -> Option<Found<T>> {
    let place = if is_link {
        place.canonicalize().ok().filter(|real| real.starts_with(base))?
    } else {
        place
    };
    let found = fs::metadata(&place).ok().filter(fs::Metadata::is_file)?;
    // What cannot be read, or is longer than anything that could be stored, has its name all the same.
    let content = read_whole(&place).unwrap_or_default();
    Some(Found {
        about: describe(&name, &content),
        file_name: name,
        path,
        modified: (found.mtime(), found.mtime_nsec()),
    })
}
