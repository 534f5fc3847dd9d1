//! A copy of the database while others work in it.

use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{failure::said, inspect::quick_check, options};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A path has no UTF-8 form, which SQLite needs.
    #[error("the path of the copy is not written in UTF-8")]
    Path,
    /// The database refused, or the copy could not be written.
    #[error("database: {}", said(.0))]
    Database(#[from] sqlx::Error),
    /// The copy was read again and is not whole.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
}

/// Copies the database at `path`, as it is at one moment and with what its journal holds, into `copy`: an absolute path
/// of a file that is empty or not there. Writers of the database go on meanwhile. The copy is one file without a
/// journal, and has been read again.
///
/// # Errors
/// [`BackupError`]; what `copy` holds then is worth nothing.
pub async fn back_up(path: &Path, copy: &Path) -> Result<(), BackupError> {
    let target = copy.to_str().ok_or(BackupError::Path)?;
    // Opened for writing too, or the journal of a server that has died would be left lying about.
    let mut connection = options(path).connect().await?;
    sqlx::query("VACUUM INTO $1")
        .bind(target)
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    let mut written = SqliteConnectOptions::new()
        .filename(copy)
        .read_only(true)
        .immutable(true)
        .connect()
        .await?;
    let damage = quick_check(&mut written).await?;
    written.close().await?;
    match damage.into_iter().next() {
        Some(first) => Err(BackupError::Damaged(first)),
        None => Ok(()),
    }
}
