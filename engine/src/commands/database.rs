//! The database that a command works in: it has to be there already, and messages about its failures say what to do.

use std::{fs, io, path::Path};

use super::Failure;
use crate::repositories::sqlite::{Cause, SqliteStore};

/// Sees to it that no command makes a database where there is none.
pub(super) fn must_exist(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(Failure::Refused(format!(
            "{shown} is no file: set BOREALIS_ROOT to the server's folder"
        ))),
        Ok(found) if found.len() == 0 => Err(Failure::Refused(format!(
            "{shown} is empty: no server has run here yet; start it once, or set BOREALIS_ROOT to the server's folder"
        ))),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Refused(format!(
            "there is no database {shown}: set BOREALIS_ROOT to the server's folder, or start the server once"
        ))),
        Err(error) => Err(Failure::io(format!("cannot look at {shown}"))(error)),
    }
}

/// Opens the database without making or upgrading anything.
pub(super) async fn open(path: &Path) -> Result<SqliteStore, Failure> {
    Ok(SqliteStore::open_existing(path).await?)
}

/// A failure of the database with what to do about it.
pub(super) fn describe(cause: Cause, error: &str, path: &Path) -> String {
    let path = path.display();
    match cause {
        Cause::Locked => format!(
            "{path} is locked: another program has kept it so for more than 5 seconds; nothing was changed. Try again, \
             and look for what works in it should that fail too: servers lock it for moments only"
        ),
        Cause::ReadOnly => {
            format!(
                "{path} cannot be written; nothing was changed. Run this as the user that runs the server"
            )
        }
        Cause::CannotOpen => format!(
            "{path}, or a file beside it, cannot be opened ({error}): run this as the user that runs the server"
        ),
        Cause::Damaged => {
            format!("{path} is damaged or no database ({error}): `borealis-engine check` looks closer")
        }
        Cause::DiskFull => format!("the disk is full ({error}); nothing was changed"),
        Cause::OlderTables => format!(
            "{path} lacks a table or column ({error}): its tables are older than this program; start the server once, \
             or run `borealis-engine migrate`"
        ),
    }
}
