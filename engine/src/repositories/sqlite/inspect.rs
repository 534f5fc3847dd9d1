//! Looks at a database without changing it.

use std::path::Path;

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::{header, migrate::Upgrade};
use crate::{config::timing::Timing, domain::fernet::TOKEN_PREFIX, repositories::StoreError};

/// What is found in a database file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatabaseState {
    /// What SQLite's quick check complains of; empty when the file is whole.
    pub damage: Vec<String>,
    /// What the start would make and upgrade.
    pub upgrade: Upgrade,
    /// Secrets as they are stored sealed, a sample of each table that has some.
    pub sealed_secrets: Vec<Vec<u8>>,
}

/// Secrets looked at in each table.
const SAMPLE: u32 = 100;

/// Opens the file for reading only and reports its state; changes nothing. Only where a journal was left behind
/// without its index does SQLite make the index (`-shm`) anew, as every reader of such a file does.
///
/// # Errors
/// The file cannot be read, is no database, or one of a newer server.
pub async fn inspect(path: &Path) -> Result<DatabaseState, StoreError> {
    header::refuse_newer(path).map_err(sqlx::Error::Io)??;
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(Timing::default().database_deadline)
        // Without a journal nobody works in the file, and it can be read without making one.
        .immutable(!Path::new(&journal).exists())
        .connect()
        .await?;
    let damage = quick_check(&mut connection).await?;
    let upgrade = Upgrade::needed(&mut connection).await?;
    let sealed_secrets = sealed_secrets(&mut connection, &upgrade).await?;
    connection.close().await?;
    Ok(DatabaseState {
        damage,
        upgrade,
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
    upgrade: &Upgrade,
) -> Result<Vec<Vec<u8>>, sqlx::Error> {
    let mut found = Vec::new();
    for table in ["agent_service_account", "credentials"] {
        let missing = upgrade.tables.iter().any(|missing| missing == table);
        let another_shape = upgrade.gaps.iter().any(|(gap, _)| gap == table);
        if missing || another_shape {
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
