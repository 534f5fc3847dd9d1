//! What lies in an island.

use std::{
    collections::HashMap,
    fs::{self, DirEntry, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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

/// Seconds that a file must have been left alone before what was made of its content is kept: one that changes again
/// within the same tick of the file system's clock looks unchanged.
const SETTLED: i64 = 2;

/// What tells a file's content from another: the system sets the time of change, whatever a program says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    device: u64,
    file: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            file: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

type Contents<T> = HashMap<String, (Stamp, T)>;

/// What was made of files' contents, kept for as long as the file system says that they are the same. Every list looks at
/// every file; only what changed is opened.
#[derive(Debug)]
pub struct Known<T>(Mutex<Arc<Contents<T>>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(HashMap::new())))
    }
}

impl<T> Known<T> {
    fn get(&self) -> Arc<Contents<T>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, contents: Contents<T>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(contents);
    }
}

/// Lists a folder, at `now` (Unix seconds by the clock that the file system goes by).
pub(super) fn list<T: Clone>(
    folder: &Path,
    is_listed: &dyn Fn(&str) -> bool,
    describe: &dyn Fn(&str, &[u8]) -> T,
    known: &Known<T>,
    now: i64,
) -> Listing<T> {
    let before = known.get();
    let mut kept = HashMap::with_capacity(before.len());
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
                continue;
            }
            if !is_listed(&name) {
                continue;
            }
            if kind.is_symlink() && is_dangling(&base, &entry.path()) {
                // Listed as in the legacy: as a file without content, changed at the beginning of time.
                listing.files.push(Found {
                    about: describe(&name, &[]),
                    file_name: name,
                    path: below,
                    modified: (0, 0),
                });
            } else if let Some((place, found)) = look(&base, entry.path(), kind.is_symlink()) {
                let stamp = Stamp::of(&found);
                let about = match before.get(&below) {
                    Some((same, about)) if *same == stamp => about.clone(),
                    // What cannot be read, or is longer than anything that could be stored, has its name all the same.
                    _ => describe(&name, &read_whole(&place).unwrap_or_default()),
                };
                if stamp.changed.0.saturating_add(SETTLED) < now {
                    kept.insert(below.clone(), (stamp, about.clone()));
                }
                listing.files.push(Found {
                    file_name: name,
                    path: below,
                    modified: stamp.modified,
                    about,
                });
            }
        }
        waiting.extend(folders.into_iter().rev());
    }
    known.set(kept);
    listing
}

/// Whether a link leads to nothing, at a place in the island. What lies outside is not looked for (ASM-4).
fn is_dangling(base: &Path, link: &Path) -> bool {
    let Ok(target) = fs::read_link(link) else {
        return false;
    };
    let mut place = link.parent().unwrap_or(base).to_owned();
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
    }
    place.starts_with(base) && link.canonicalize().is_err()
}

/// A file as it is now, and where it really lies. One that vanished meanwhile is none, nor is a link that leads out of the
/// island (ASM-4).
fn look(base: &Path, place: PathBuf, is_link: bool) -> Option<(PathBuf, Metadata)> {
    let place = if is_link {
        place.canonicalize().ok().filter(|real| real.starts_with(base))?
    } else {
        place
    };
    let found = fs::symlink_metadata(&place).ok().filter(Metadata::is_file)?;
    Some((place, found))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_link_to_nothing_in_the_island_is_listed_without_content() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("island");
        fs::create_dir_all(folder.join("in")).unwrap();
        for (link, target) in [
            ("in/gone.ps1", "nothing.ps1".into()),
            ("in/up.ps1", "../nothing.ps1".into()),
            ("in/whole.ps1", folder.canonicalize().unwrap().join("nothing")),
            ("in/itself.ps1", "itself.ps1".into()),
            ("in/out.ps1", "../../nothing.ps1".into()),
            ("in/far.ps1", PathBuf::from("/nowhere/nothing.ps1")),
        ] {
            std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
        }
        let describe = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.len());
        let listing = list(&folder, &|_| true, &describe, &Known::default(), 0);
        let found: Vec<_> = listing
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.modified, file.about.1))
            .collect();
        assert_eq!(
            found,
            ["in/gone.ps1", "in/itself.ps1", "in/up.ps1", "in/whole.ps1"].map(|path| (path, (0, 0), 0))
        );
    }

    #[test]
    fn a_file_that_has_settled_is_opened_once_and_one_that_changed_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ps1");
        fs::write(&file, "one").unwrap();
        let changed = fs::metadata(&file).unwrap().ctime();
        let known = Known::default();
        let opened = Cell::new(0);
        let list = |now| {
            let describe = |_: &str, bytes: &[u8]| {
                opened.set(opened.get() + 1);
                bytes.to_vec()
            };
            let listing = list(folder.path(), &|_| true, &describe, &known, now);
            listing
                .files
                .into_iter()
                .map(|file| file.about)
                .collect::<Vec<_>>()
        };
        // It may be changed again without looking so.
        for opens in [1, 2] {
            assert_eq!(list(changed + SETTLED), [b"one"]);
            assert_eq!(opened.get(), opens);
        }
        for _ in 0..3 {
            assert_eq!(list(changed + 60), [b"one"]);
        }
        assert_eq!(opened.get(), 3);
        // As long, and with the same time, as an editor may leave it.
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(folder.path().join("b"), "two").unwrap();
        fs::File::open(folder.path().join("b"))
            .unwrap()
            .set_modified(modified)
            .unwrap();
        fs::rename(folder.path().join("b"), &file).unwrap();
        assert_eq!(list(changed + 60), [b"two"]);
        fs::remove_file(&file).unwrap();
        assert_eq!(list(changed + 60), [b""; 0]);
        assert!(known.get().is_empty());
    }
}
