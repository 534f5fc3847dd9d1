//! Replaces several files and folders at once: all of them, or none.
//!
//! What comes is made ready beside what it replaces; then names alone are changed. The plan of that is written down before,
//! so that a replacement that was cut short, even by a power failure, can be taken back.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::private_files::{make_folders, private};

/// One name that gets something else, or nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// What is replaced, whether it is there or not.
    pub path: PathBuf,
    /// What comes there; `None` where nothing does.
    pub new: Option<PathBuf>,
    /// Where it is set aside.
    pub aside: PathBuf,
}

/// Why nothing was replaced, or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum ReplacementError {
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was done could not be undone.
    #[error(
        "{cause}; and what was there before could not be put back ({undoing}): correct that, then run `borealis-engine \
         restore --roll-back`"
    )]
    Stuck { cause: String, undoing: String },
    /// The plan cannot be read.
    #[error("{} cannot be read ({reason}): it says what was being replaced when that was cut short", path.display())]
    Plan { path: PathBuf, reason: String },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ReplacementError {
    let path = path.to_owned();
    move |source| ReplacementError::File { what, path, source }
}

/// Changes all names, or none; those that were set aside. `plan` is the file in which it is written down meanwhile.
///
/// # Errors
/// What could not be done; everything is as it was then, unless it says otherwise.
pub fn replace(plan: &Path, changes: &[Change]) -> Result<Vec<PathBuf>, ReplacementError> {
    if let Err(error) = write_down(plan, changes) {
        // Nothing is carried out: no plan may say that something was.
        let _ = fs::remove_file(plan);
        return Err(error);
    }
    match carry_out(changes) {
        Ok(aside) => {
            remove(plan)?;
            Ok(aside)
        }
        Err(error) => match take_back(changes).and_then(|()| remove(plan)) {
            Ok(()) => Err(error),
            Err(undoing) => Err(ReplacementError::Stuck {
                cause: error.to_string(),
                undoing: undoing.to_string(),
            }),
        },
    }
}

/// Takes back a replacement that was cut short; false where there is none.
///
/// # Errors
/// Something cannot be put back; it can be tried again.
pub fn roll_back(plan: &Path) -> Result<bool, ReplacementError> {
    // One that never got whole; nothing was carried out.
    let _ = fs::remove_file(part_of(plan));
    let text = match fs::read(plan) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("read", plan)(error)),
    };
    let changes: Vec<Change> = serde_json::from_slice(&text).map_err(|error| ReplacementError::Plan {
        path: plan.to_owned(),
        reason: error.to_string(),
    })?;
    take_back(&changes)?;
    for change in &changes {
        if let Some(new) = &change.new {
            discard(new);
        }
    }
    remove(plan)?;
    Ok(true)
}

/// Removes what was made ready and is not wanted.
pub fn discard(path: &Path) {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return,
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "a file cannot be removed");
    }
}

/// The name that a plan has until it is whole.
fn part_of(plan: &Path) -> PathBuf {
    let mut name = plan.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Written under another name first: a plan that is there is whole.
fn write_down(plan: &Path, changes: &[Change]) -> Result<(), ReplacementError> {
    let text = serde_json::to_vec_pretty(changes).map_err(|error| ReplacementError::Plan {
        path: plan.to_owned(),
        reason: error.to_string(),
    })?;
    let part = part_of(plan);
    let mut options = private();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .open(&part)
        .map_err(failed("write", &part))?;
    let written = io::Write::write_all(&mut file, &text)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&part, plan));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
        .and_then(|()| sync_folder(plan))
        .map_err(failed("write", plan))
}

fn remove(plan: &Path) -> Result<(), ReplacementError> {
    fs::remove_file(plan)
        .and_then(|()| sync_folder(plan))
        .map_err(failed("remove", plan))
}

/// Names, too, must outlast a power failure.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn carry_out(changes: &[Change]) -> Result<Vec<PathBuf>, ReplacementError> {
    let mut aside = Vec::new();
    for change in changes {
        if is_there(&change.path) {
            fs::rename(&change.path, &change.aside).map_err(failed("set aside", &change.path))?;
            aside.push(change.aside.clone());
        }
        if let Some(new) = &change.new {
            if let Some(folder) = change.path.parent() {
                make_folders(folder).map_err(failed("make the folder", folder))?;
            }
            fs::rename(new, &change.path).map_err(failed("put in place", &change.path))?;
        }
        if is_there(&change.path) || is_there(&change.aside) {
            sync_folder(&change.path).map_err(failed("write down", &change.path))?;
        }
    }
    Ok(aside)
}

/// Works from any point of [`carry_out`], and again.
fn take_back(changes: &[Change]) -> Result<(), ReplacementError> {
    for change in changes.iter().rev() {
        if let Some(new) = &change.new
            && !is_there(new)
            && is_there(&change.path)
        {
            fs::rename(&change.path, new).map_err(failed("take back", &change.path))?;
        }
        if is_there(&change.aside) {
            fs::rename(&change.aside, &change.path).map_err(failed("put back", &change.path))?;
        }
    }
    Ok(())
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `old` is replaced, `fresh` is new, `gone` goes.
    fn prepared(folder: &Path) -> Vec<Change> {
        let change = |name: &str, new: bool| Change {
            path: folder.join(name),
            new: new.then(|| folder.join(format!("{name}.new"))),
            aside: folder.join(format!("{name}.aside")),
        };
        for (name, text) in [
            ("old", "old"),
            ("gone", "gone"),
            ("old.new", "new"),
            ("fresh.new", "new"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        vec![change("old", true), change("fresh", true), change("gone", false)]
    }

    fn content(folder: &Path) -> Vec<String> {
        let mut found: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                format!("{name}={}", fs::read_to_string(&path).unwrap_or_default())
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn all_names_change() {
        let folder = tempfile::tempdir().unwrap();
        let changes = prepared(folder.path());
        let aside = replace(&folder.path().join("plan"), &changes).unwrap();
        assert_eq!(
            aside,
            ["old.aside", "gone.aside"].map(|name| folder.path().join(name))
        );
        assert_eq!(
            content(folder.path()),
            ["fresh=new", "gone.aside=gone", "old.aside=old", "old=new"]
        );
    }

    #[test]
    fn where_one_cannot_change_none_does() {
        let folder = tempfile::tempdir().unwrap();
        let mut changes = prepared(folder.path());
        let before = content(folder.path());
        for impossible in [
            folder.path().join("x".repeat(300)),
            folder.path().join("nowhere/aside"),
        ] {
            changes.last_mut().unwrap().aside = impossible;
            let told = replace(&folder.path().join("plan"), &changes)
                .unwrap_err()
                .to_string();
            assert!(told.contains("cannot set aside"), "{told}");
            assert_eq!(content(folder.path()), before);
        }
    }

    #[test]
    fn a_plan_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let changes = prepared(folder.path());
        let plan = folder.path().join("plan");
        fs::create_dir(&plan).unwrap();
        let before = content(folder.path());
        replace(&plan, &changes).unwrap_err();
        assert_eq!(content(folder.path()), before);
        fs::remove_dir(&plan).unwrap();
        fs::write(part_of(&plan), "[{").unwrap();
        assert!(!roll_back(&plan).unwrap());
        assert!(!part_of(&plan).exists());
    }

    #[test]
    fn one_that_was_cut_short_anywhere_can_be_taken_back() {
        for steps in 0..=5 {
            let folder = tempfile::tempdir().unwrap();
            let changes = prepared(folder.path());
            let plan = folder.path().join("plan");
            write_down(&plan, &changes).unwrap();
            let renames = changes.iter().flat_map(|change| {
                let aside = (change.path.clone(), change.aside.clone());
                let new = change.new.clone().map(|new| (new, change.path.clone()));
                [Some(aside), new]
            });
            for (from, to) in renames
                .flatten()
                .filter(|(from, _)| !from.ends_with("fresh"))
                .take(steps)
            {
                fs::rename(from, to).unwrap();
            }
            assert!(roll_back(&plan).unwrap(), "{steps}");
            assert_eq!(content(folder.path()), ["gone=gone", "old=old"], "{steps}");
            assert!(!roll_back(&plan).unwrap());
        }
    }
}
