//! Looks at a database without changing it.

use std::path::Path;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::{BUSY_TIMEOUT, migrate};
use crate::domain::fernet::TOKEN_PREFIX;

/// What is found in a database file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatabaseState {
    /// What SQLite's quick check complains of; empty when the file is whole.
    pub damage: Vec<String>,
    /// Tables that are not there.
    pub missing_tables: Vec<String>,
    /// Tables that are there, with the columns that they lack and that no start adds.
    pub older_tables: Vec<(String, Vec<String>)>,
    /// Secrets as they are stored sealed, a sample of each table that has some.
    pub sealed_secrets: Vec<Vec<u8>>,
}

/// Secrets looked at in each table.
const SAMPLE: u32 = 100;

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
    let damage = quick_check(&mut connection).await?;
    let lacking = migrate::compare(&mut connection).await?;
    let sealed_secrets = sealed_secrets(&mut connection, &lacking.tables).await?;
    connection.close().await?;
    Ok(DatabaseState {
        damage,
        missing_tables: lacking.tables,
        older_tables: lacking.older,
        sealed_secrets,
    })
}

/// What SQLite's quick check complains of.
pub(super) async fn quick_check(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let lines: Vec<String> = sqlx::query_scalar("PRAGMA quick_check")
        .fetch_all(connection)
        .await?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

async fn sealed_secrets(
    connection: &mut SqliteConnection,
    missing_tables: &[String],
) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    let mut found = Vec::new();
    for table in ["agent_service_account", "credentials"] {
        if missing_tables.iter().any(|missing| missing == table) {
            continue;
        }
        let query = format!(
            "SELECT CAST(password_encrypted AS BLOB) FROM {table} \
             WHERE password_encrypted IS NOT NULL ORDER BY rowid DESC LIMIT {SAMPLE}"
        );
        let secrets: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_all(&mut *connection)
            .await?;
        found.extend(
            secrets
                .into_iter()
                .filter(|secret| secret.starts_with(TOKEN_PREFIX)),
        );
    }
    Ok(found)
}
