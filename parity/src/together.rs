//! Files that belong together: all of them are written, or none.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A file that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub(crate) struct Unwritten {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// Files to write, in the order in which they take their places.
#[derive(Debug, Default)]
pub(crate) struct Together(Vec<(PathBuf, Vec<u8>)>);

impl Together {
    pub(crate) fn add(&mut self, path: PathBuf, bytes: impl Into<Vec<u8>>) {
        self.0.push((path, bytes.into()));
    }

    /// Writes each beside its place, and once all are there renames them: a full disk or a folder that may not be written
    /// leaves everything as it was.
    pub(crate) fn write(self) -> Result<(), Unwritten> {
        let mut beside = Vec::with_capacity(self.0.len());
        let mut written = Ok(());
        for (path, bytes) in self.0 {
            let neighbour = neighbour_of(&path);
            let result = make_folder_of(&path).and_then(|()| fs::write(&neighbour, bytes));
            beside.push((neighbour, path.clone()));
            if let Err(source) = result {
                written = Err(Unwritten { path, source });
                break;
            }
        }
        if written.is_ok() {
            written = beside.iter().try_for_each(|(neighbour, path)| {
                fs::rename(neighbour, path).map_err(|source| Unwritten {
                    path: path.clone(),
                    source,
                })
            });
        }
        for (neighbour, _) in beside {
            // Only what did not take its place is still there.
            let _ = fs::remove_file(neighbour);
        }
        written
    }
}

/// Whether files can be written in a folder, or where it is missing in the nearest one above that is there. Leaves no trace.
pub(crate) fn try_folder(folder: &Path) -> Result<(), Unwritten> {
    let there = folder.ancestors().find(|above| above.exists());
    // The empty path is what is above a relative one.
    let there = there.unwrap_or(Path::new("."));
    let probe = there.join(".parity-can-write");
    fs::write(&probe, "").map_err(|source| Unwritten {
        path: folder.to_owned(),
        source,
    })?;
    // A file of no bytes that stays does no harm.
    let _ = fs::remove_file(probe);
    Ok(())
}

fn make_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn neighbour_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn all_are_written_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("first"), "before").unwrap();
        fs::write(at("file"), "no folder").unwrap();
        let mut two = Together::default();
        two.add(at("first"), "after");
        two.add(at("file/second"), "after");
        let error = two.write().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write ") && error.contains("file/second"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(at("first")).unwrap(), "before");
        assert_eq!(files(folder.path()), ["file", "first"]);
        let mut two = Together::default();
        two.add(at("first"), "after");
        two.add(at("new/second"), "after");
        two.write().unwrap();
        assert_eq!(fs::read_to_string(at("first")).unwrap(), "after");
        assert_eq!(files(&at("new")), ["second"]);
    }

    #[test]
    fn a_folder_is_tried_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        try_folder(&folder.path().join("a/b")).unwrap();
        assert!(files(folder.path()).is_empty());
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(try_folder(&folder.path().join("file/b")).is_err());
    }
}
