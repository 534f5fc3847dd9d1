//! Looks at a database without changing it.

use std::path::Path;

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use super::{BUSY_TIMEOUT, migrate};

/// What is found in a database file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatabaseState {
    /// What SQLite's quick check complains of; empty when the file is whole.
    pub damage: Vec<String>,
    /// Tables that are not there.
    pub missing_tables: Vec<String>,
    /// Tables that are there, with the columns that they lack and that no start adds.
    pub older_tables: Vec<(String, Vec<String>)>,
}

/// Opens the file for reading only and reports its state; changes nothing. Only where a journal was left behind
/// without its index does SQLite make the index (`-shm`) anew, as every reader of such a file does.
///
/// # Errors
/// The file cannot be read or is no database.
pub async fn inspect(path: &Path) -> Result<DatabaseState, sqlx::Error> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        // Without a journal nobody works in the file, and it can be read without making one.
        .immutable(!Path::new(&journal).exists())
        .connect()
        .await?;
    let damage: Vec<String> = sqlx::query_scalar("PRAGMA quick_check")
        .fetch_all(&mut connection)
        .await?;
    let lacking = migrate::compare(&mut connection).await?;
    connection.close().await?;
    Ok(DatabaseState {
        damage: damage.into_iter().filter(|line| line != "ok").collect(),
        missing_tables: lacking.tables,
        older_tables: lacking.older,
    })
}
