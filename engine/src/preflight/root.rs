//! Whether the root folder is one: a mistyped path must not be served as a fleet without devices.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
};

use super::finding::{Report, Verdict};
use crate::config::settings::Settings;

/// What a root folder holds, of which one is enough.
const SIGNS: [&str; 5] = ["Borealis.ps1", "Data", "Server", "Certificates", "Assemblies"];
/// Where a restore, or a replacement of the certificate, writes down what it is at, for as long as it is at it: the
/// database may just have no name.
pub(super) const RESTORE_PLAN: &str = "restore-in-progress.json";
/// Names that do not make a folder a root folder, nor a foreign one: the engine's own traces of a start that was
/// refused, and what a new file system comes with.
const NOTHING: [&str; 2] = ["Logs", "lost+found"];

/// Why a folder is not served.
///
/// # Errors
/// The folder is not there, or it holds other things than a root folder does; with `create` neither is refused.
pub fn refuse(settings: &Settings, create: bool) -> Result<(), String> {
    let root = settings.root.display();
    let cure =
        "set BOREALIS_ROOT to the server's folder, or say `--create` if a new server is to begin there";
    match fs::metadata(&settings.root) {
        Ok(found) if !found.is_dir() => {
            return Err(format!(
                "the root folder {root} is no folder: set BOREALIS_ROOT to the server's folder"
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && create => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("the root folder {root} is not there: {cure}"));
        }
        Err(error) => {
            return Err(format!(
                "the root folder {root} cannot be looked at ({error}): run this as the user that runs the server, or \
                 set BOREALIS_ROOT to the server's folder"
            ));
        }
    }
    let is_there = |name: &&str| settings.root.join(name).exists();
    if create || settings.database_path.exists() || SIGNS.iter().chain([&RESTORE_PLAN]).any(is_there) {
        return Ok(());
    }
    let entries = fs::read_dir(&settings.root)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| {
            format!(
                "the root folder {root} cannot be read ({error}): run this as the user that runs the server, or set \
                 BOREALIS_ROOT to the server's folder"
            )
        })?;
    let lock = settings.database_path.file_name().map(|name| {
        let mut name = name.to_owned();
        name.push(".lock");
        name
    });
    let stranger = entries
        .iter()
        .map(fs::DirEntry::file_name)
        .find(|name| !NOTHING.iter().any(|nothing| name == nothing) && lock.as_ref() != Some(name));
    match stranger {
        None => Ok(()),
        Some(name) => Err(format!(
            "the root folder {root} holds no database and none of {}, but other things ({}): {cure}",
            SIGNS.join(", "),
            name.display()
        )),
    }
}

/// Makes the root folder, for the server's user alone.
///
/// # Errors
/// It cannot be made.
pub fn make(settings: &Settings) -> Result<(), String> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.root)
        .map_err(|error| {
            format!(
                "the root folder {} cannot be made: {error}; make it for the server's user, or correct BOREALIS_ROOT",
                settings.root.display()
            )
        })
}

/// Refuses to write as root what the server, which runs as another user, could not read afterwards: a certificate, a log, a
/// copy. Whose server it is shows the database, and the root folder where there is none.
///
/// # Errors
/// A message that says as whom to do it.
pub fn refuse_root_user(settings: &Settings) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let belonging = [&settings.database_path, &settings.root]
        .into_iter()
        .find_map(|path| Some((path, fs::metadata(path).ok()?.uid())));
    match belonging {
        Some((path, owner)) if owner != 0 => Err(format!(
            "{} belongs to user {owner}, whose server could not read what root writes: run this as that user, with the \
             server's variables (`sudo -u '#{owner}' ...`); nothing was changed",
            path.display()
        )),
        _ => Ok(()),
    }
}

/// Looks at the folder; whether there is anything more to look at.
pub(super) fn look(report: &mut Report, settings: &Settings, create: bool) -> bool {
    let subject = "root folder";
    if let Err(refusal) = refuse(settings, create) {
        report.add(Verdict::WrongSettings, subject, refusal);
        return false;
    }
    let root = settings.root.display();
    match fs::metadata(&settings.root) {
        Ok(found) if found.uid() != 0 && rustix::process::geteuid().is_root() => report.add(
            Verdict::Warning,
            subject,
            format!(
                "{root} belongs to user {}, and root may do everything: say this as the user that runs the server, or \
                 missing rights are not seen",
                found.uid()
            ),
        ),
        Ok(_) => report.add(Verdict::Ok, subject, root.to_string()),
        Err(_) => report.add(
            Verdict::Ok,
            subject,
            format!("{root} is not there; it is made at the start"),
        ),
    }
    true
}
