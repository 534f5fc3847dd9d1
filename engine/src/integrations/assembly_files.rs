//! The files of assemblies on disk.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::domain::assembly::location::{Island, IslandPath};

/// Bytes of a file that are read at most: as much as a request may carry.
const LONGEST: u64 = 100 * 1024 * 1024;

/// The folder `Assemblies` under the root.
#[derive(Clone, Debug)]
pub struct AssemblyFiles {
    root: PathBuf,
}

impl AssemblyFiles {
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The place of a path; it may be empty or lead out of the island by a link.
    pub fn place(&self, island: Island, path: &IslandPath) -> PathBuf {
        let mut place = self.root.join(island.folder());
        place.extend(path.names());
        place
    }

    /// The bytes of a file; `None` where there is none, or a link leads out of the island (ASM-4).
    ///
    /// # Errors
    /// A file that is there and cannot be read, or is too long.
    pub async fn read(&self, island: Island, path: &IslandPath) -> io::Result<Option<Vec<u8>>> {
        let folder = self.root.join(island.folder());
        let place = self.place(island, path);
        tokio::task::spawn_blocking(move || read_inside(&folder, &place))
            .await
            .map_err(io::Error::other)?
    }
}

fn read_inside(folder: &Path, place: &Path) -> io::Result<Option<Vec<u8>>> {
    let (Ok(folder), Ok(place)) = (folder.canonicalize(), place.canonicalize()) else {
        return Ok(None);
    };
    if !place.starts_with(&folder) || !place.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&place)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if read as u64 > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "the file is too long",
        ));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> IslandPath {
        IslandPath::parse(Island::Scripts, text).unwrap()
    }

    #[tokio::test]
    async fn files_are_read_and_links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let scripts = folder.path().join("Scripts/sub");
        std::fs::create_dir_all(&scripts).unwrap();
        std::fs::write(scripts.join("a.ps1"), "hi").unwrap();
        std::fs::write(folder.path().join("secret"), "no").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), scripts.join("out")).unwrap();
        std::os::unix::fs::symlink(scripts.join("a.ps1"), scripts.join("in")).unwrap();
        let files = AssemblyFiles::new(folder.path().to_owned());
        let read = async |text| files.read(Island::Scripts, &path(text)).await.unwrap();
        assert_eq!(read("sub/a.ps1").await.as_deref(), Some(&b"hi"[..]));
        assert_eq!(read("sub/in").await.as_deref(), Some(&b"hi"[..]));
        for nothing in ["sub/out", "sub", "none", ""] {
            assert_eq!(read(nothing).await, None, "{nothing}");
        }
    }
}
