//! Files and folders for the server's user alone: whoever reads the database, a key or a log is in.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The mode of files that are made.
pub const FILE_MODE: u32 = 0o600;
/// The mode of folders that are made.
const FOLDER_MODE: u32 = 0o700;
/// What others than the owner may do.
const OTHERS: u32 = 0o077;

/// Makes the folder, and those above it that are not there. Folders that are there keep their modes.
///
/// # Errors
/// As [`fs::create_dir_all`].
pub fn make_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Makes the folder in one that is there.
///
/// # Errors
/// As [`fs::create_dir`].
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)
}

/// Options that make a file for its owner alone, where they make one.
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// A file that others than its owner may read or write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WideFile {
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

impl WideFile {
    /// Those of `paths` that are there and open to others.
    pub fn among(paths: impl IntoIterator<Item = PathBuf>) -> Vec<Self> {
        paths
            .into_iter()
            .filter_map(|path| {
                let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
                let mode = found.permissions().mode() & 0o7777;
                (mode & OTHERS != 0).then_some(Self { path, mode })
            })
            .collect()
    }

    /// Takes from others what they may do.
    ///
    /// # Errors
    /// The file belongs to another user, or lies where modes cannot be changed.
    fn narrow(&self) -> io::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(self.mode & !OTHERS))
    }
}

/// Takes from other users of the machine what they may do with those of `paths` that are there. Where that fails it is
/// logged.
pub fn narrow(paths: impl IntoIterator<Item = PathBuf>) {
    for file in WideFile::among(paths) {
        let path = file.path.display();
        match file.narrow() {
            Ok(()) => tracing::warn!(
                "{path} could be used by other users of this machine (mode {:04o}); that was taken from them",
                file.mode
            ),
            Err(error) => tracing::warn!(
                "{path} may be used by other users of this machine (mode {:04o}), and that cannot be changed ({error}): \
                 `chmod go=` it as the user to whom it belongs",
                file.mode
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        make_folders(&below).unwrap();
        make_folders(&below).unwrap();
        assert_eq!([mode(&folder.path().join("a")), mode(&below)], [FOLDER_MODE; 2]);
        let file = below.join("file");
        private().write(true).create(true).open(&file).unwrap();
        assert_eq!(mode(&file), FILE_MODE);
    }

    #[test]
    fn a_file_that_is_open_to_others_is_narrowed_and_keeps_what_its_owner_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, mode) in [
            ("wide", 0o644),
            ("group", 0o560),
            ("narrow", 0o600),
            ("read", 0o400),
        ] {
            fs::write(path(name), "").unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let all = ["wide", "group", "narrow", "read", "missing", "."].map(path);
        let wide = WideFile::among(all.clone());
        let found: Vec<_> = wide.iter().map(|file| (file.path.clone(), file.mode)).collect();
        assert_eq!(found, [(path("wide"), 0o644), (path("group"), 0o560)]);
        for file in wide {
            file.narrow().unwrap();
        }
        assert_eq!(mode(&path("wide")), 0o600);
        assert_eq!(mode(&path("group")), 0o500);
        assert_eq!(WideFile::among(all), []);
    }
}
