//! The files of assemblies on disk: an island is a folder, and what lies in it is read anew with every call.
//!
//! People edit these folders by hand while the server runs. Whole files take the place of others, so that nobody reads
//! half of one; changes of one island happen one after the other; a link that leads out of an island is never followed.
//! Links are looked at before a file is: whoever can put one there meanwhile has the machine already.

mod changes;
mod places;
mod walk;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use tokio::sync::Mutex;

use self::places::{Place, read_whole};
pub use self::walk::{Found, Known, Listing};
use super::private_files::make_folders;
use crate::domain::assembly::location::{EntryKind, Island, IslandPath, deprecated_place};

/// Bytes of a file that are read at most: as much as a request may carry.
const LONGEST: u64 = 100 * 1024 * 1024;

/// Why files are not read or changed. Nothing was changed then, but that a move may have made the folders above its
/// target.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A link leads out of the island (ASM-4), or there are too many folders within one another (ASM-26).
    #[error("the path leads out of its folder")]
    Outside,
    /// A name has NUL in it, which none can have.
    #[error("embedded null byte")]
    NullByte,
    /// No such file or folder.
    #[error("not found")]
    Missing,
    /// Something has the new name (ASM-9).
    #[error("already exists")]
    Exists,
    /// It is one of those that the caller may not write.
    #[error("the caller may not write this file")]
    Kept,
    /// The folder that a thing was to go into has one of its name.
    #[error("Destination path '{}' already exists", .0.display())]
    Taken(PathBuf),
    /// A folder was to go into itself.
    #[error("Cannot move a directory '{}' into itself '{}'.", .from.display(), .to.display())]
    IntoItself { from: PathBuf, to: PathBuf },
    /// A folder that is a link was to be deleted.
    #[error("Cannot call rmtree on a symbolic link")]
    LinkedFolder,
    /// The file system refused.
    #[error("{}: {source}", .path.display())]
    System {
        path: PathBuf,
        /// Where it was to go, where that is part of the matter.
        to: Option<PathBuf>,
        source: io::Error,
    },
}

impl FileError {
    fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::System {
            path: path.to_owned(),
            to: None,
            source,
        }
    }

    fn between(path: &Path, to: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::System {
            path: path.to_owned(),
            to: Some(to.to_owned()),
            source,
        }
    }
}

/// Files that a caller may not write, by their paths in the island.
#[derive(Clone, Debug, Default)]
pub struct Kept(pub Vec<IslandPath>);

/// Makes the content of a file from the one that it had; `None` leaves it alone.
pub type Rewrite = dyn Fn(&[u8]) -> Option<String> + Send;

/// The folder `Assemblies` under the root.
#[derive(Clone, Debug)]
pub struct AssemblyFiles {
    root: PathBuf,
    /// One for each island, held by whoever changes files of it.
    locks: Arc<[Arc<Mutex<()>>; 3]>,
}

impl AssemblyFiles {
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            locks: Arc::default(),
        }
    }

    /// The folder of all islands.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of an island.
    pub fn folder(&self, island: Island) -> PathBuf {
        self.root.join(island.folder())
    }

    /// The place of a path; it may be empty or lead out of the island by a link.
    pub fn place(&self, island: Island, path: &IslandPath) -> PathBuf {
        Place::new(self.folder(island), path).full
    }

    /// Removes what was being written when an earlier server died. Nothing may be written meanwhile.
    pub async fn remove_unfinished(&self) {
        let islands = Island::ALL.map(|island| self.folder(island));
        let removed = blocking(move || {
            Ok(islands
                .iter()
                .map(|folder| changes::remove_unfinished(folder))
                .sum())
        });
        match removed.await {
            Ok(0) => {}
            Ok(removed) => {
                let removed: usize = removed;
                tracing::info!(
                    removed,
                    "assemblies: unfinished files of a server that died were removed"
                );
            }
            Err(error) => tracing::warn!(%error, "assemblies: unfinished files were not removed"),
        }
    }

    /// The bytes of a file; `None` where there is none.
    ///
    /// # Errors
    /// A link leads out of the island, or the file cannot be read, or is too long.
    pub async fn read(&self, island: Island, path: &IslandPath) -> Result<Option<Vec<u8>>, FileError> {
        let place = Place::new(self.folder(island), path);
        blocking(move || match place.file() {
            Err(FileError::Missing) => Ok(None),
            Err(error) => Err(error),
            Ok(real) => match read_whole(&real) {
                Ok(bytes) => Ok(Some(bytes)),
                // Somebody took it away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(FileError::at(&place.full)(error)),
            },
        })
        .await
    }

    /// Every folder and every file that is listed, in the order of their names. An island that is not there is made. What
    /// vanishes meanwhile is left out. What `describe` made of a content is taken from `known` as long as the file is the
    /// same.
    ///
    /// # Errors
    /// The island's folder cannot be made.
    pub async fn list<T: Clone + Send + Sync + 'static>(
        &self,
        island: Island,
        is_listed: impl Fn(&str) -> bool + Send + 'static,
        describe: impl Fn(&str, &[u8]) -> T + Send + 'static,
        known: Arc<Known<T>>,
    ) -> Result<Listing<T>, FileError> {
        let folder = self.folder(island);
        blocking(move || {
            make_folders(&folder).map_err(FileError::at(&folder))?;
            Ok(walk::list(&folder, &is_listed, &describe, &known, file_time()))
        })
        .await
    }

    /// Makes a folder with those above it; one that is there stays.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn make_folder(&self, island: Island, path: IslandPath) -> Result<(), FileError> {
        self.change(island, path, |place| changes::make_folder(&place))
            .await
    }

    /// Stores a file with the folders above it, whether or not it is there already; `now` is when it was changed.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn store(
        &self,
        island: Island,
        path: IslandPath,
        content: String,
        now: SystemTime,
        kept: Kept,
    ) -> Result<(), FileError> {
        self.change(island, path, move |place| {
            changes::store(&place, content.as_bytes(), now, &kept)
        })
        .await
    }

    /// Stores a file in the place of one that is there; under the last name `name`, where that is another.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn replace(
        &self,
        island: Island,
        path: IslandPath,
        name: String,
        content: String,
        now: SystemTime,
        kept: Kept,
    ) -> Result<(), FileError> {
        self.change(island, path, move |place| {
            changes::replace(&place, &name, content.as_bytes(), now, &kept)
        })
        .await
    }

    /// Gives a file or folder another last name. What `rewrite` makes of a file's content is stored then.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn rename(
        &self,
        island: Island,
        path: IslandPath,
        kind: EntryKind,
        name: String,
        rewrite: Option<(Box<Rewrite>, SystemTime)>,
        kept: Kept,
    ) -> Result<(), FileError> {
        self.change(island, path, move |place| {
            changes::rename(&place, kind, &name, rewrite.as_ref(), &kept)
        })
        .await
    }

    /// Moves a file or folder to a path, or into the folder that is there; folders above it are made.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn relocate(
        &self,
        island: Island,
        path: IslandPath,
        kind: EntryKind,
        to: IslandPath,
        kept: Kept,
    ) -> Result<(), FileError> {
        let target = Place::new(self.folder(island), &to);
        self.change(island, path, move |place| {
            changes::relocate(&place, kind, &target, &kept)
        })
        .await
    }

    /// Deletes a file, or a folder with all that is in it. Of a link to a file the link goes.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn delete(
        &self,
        island: Island,
        path: IslandPath,
        kind: EntryKind,
        kept: Kept,
    ) -> Result<(), FileError> {
        self.change(island, path, move |place| changes::delete(&place, kind, &kept))
            .await
    }

    /// Finds a file or folder that is there.
    ///
    /// # Errors
    /// It is not, or a link leads out of the island.
    pub async fn find(&self, island: Island, path: IslandPath, kind: EntryKind) -> Result<(), FileError> {
        let place = Place::new(self.folder(island), &path);
        blocking(move || match kind {
            EntryKind::File => place.file().map(drop),
            EntryKind::Folder => place.folder().map(drop),
        })
        .await
    }

    /// Whether there is a file or folder of the deprecated routes, below `base`. A link out of
    /// it leads nowhere.
    pub async fn deprecated_exists(&self, base: PathBuf, path: &str, kind: EntryKind) -> bool {
        let Some(place) = deprecated_place(&base, path) else {
            return false;
        };
        let found = blocking(move || {
            let place = Place::at(base, place);
            match kind {
                EntryKind::File => place.file().map(drop),
                EntryKind::Folder => place.folder().map(drop),
            }
        });
        found.await.is_ok()
    }

    /// Makes an island's folder; whether it was not there.
    ///
    /// # Errors
    /// [`FileError`]
    pub async fn make_island(&self, island: Island) -> Result<bool, FileError> {
        let folder = self.folder(island);
        blocking(move || {
            if folder.is_dir() {
                return Ok(false);
            }
            make_folders(&folder).map_err(FileError::at(&folder))?;
            Ok(true)
        })
        .await
    }

    /// Whether the folder of all islands is there.
    pub async fn has_root(&self) -> bool {
        let root = self.root.clone();
        blocking(move || Ok(root.is_dir())).await.unwrap_or(false)
    }

    /// Changes an island while nobody else does. The lock goes with the work: a caller that leaves ends neither.
    async fn change<T: Send + 'static>(
        &self,
        island: Island,
        path: IslandPath,
        work: impl FnOnce(Place) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let [workflows, scripts, playbooks] = &*self.locks;
        let lock = match island {
            Island::Workflows => workflows,
            Island::Scripts => scripts,
            Island::Playbooks => playbooks,
        };
        let held = Arc::clone(lock).lock_owned().await;
        let place = Place::new(self.folder(island), &path);
        blocking(move || {
            let _held = held;
            work(place)
        })
        .await
    }
}

/// Unix seconds by the clock that times of change are taken from, whatever the server's own shows.
#[allow(
    clippy::disallowed_methods,
    reason = "it is compared with times that the system sets, never shown or stored"
)]
fn file_time() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(FileError::System {
            path: PathBuf::new(),
            to: None,
            source: io::Error::other(error),
        })
    })
}

#[cfg(test)]
mod tests;
