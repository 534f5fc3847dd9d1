//! Every sealed secret that a database of any age holds.

use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};

use super::{header, options};
use crate::{
    domain::fernet::{StoredSecret, TOKEN_PREFIX},
    repositories::StoreError,
};

/// The columns that hold sealed secrets: table, the column that names the owner, what the owner is called, the columns.
const PLACES: [(&str, &str, &str, &[&str]); 2] = [
    (
        "agent_service_account",
        "agent_id",
        "the service account of agent",
        &["password_encrypted"],
    ),
    (
        "credentials",
        "name",
        "the credential",
        &[
            "password_encrypted",
            "private_key_encrypted",
            "private_key_passphrase_encrypted",
            "become_password_encrypted",
        ],
    ),
];

/// The sealed secrets of the database at `path`; none where there is no such file. Upgrades nothing.
///
/// # Errors
/// The file cannot be read, is no database, or one of a newer server.
pub async fn stored_secrets(path: &Path) -> Result<Vec<StoredSecret>, StoreError> {
    if std::fs::metadata(path).is_ok_and(|found| found.len() == 0) || !path.exists() {
        return Ok(Vec::new());
    }
    header::refuse_newer(path).map_err(sqlx::Error::Io)??;
    let mut connection = options(path).connect().await?;
    let found = read(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

/// What the tables and columns that are there hold.
pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Vec<StoredSecret>, sqlx::Error> {
    let mut found = Vec::new();
    for (table, name, called, columns) in PLACES {
        let present: Vec<String> = sqlx::query_scalar("SELECT lower(name) FROM pragma_table_info($1)")
            .bind(table)
            .fetch_all(&mut *connection)
            .await?;
        let is_there = |column: &&str| present.iter().any(|one| one == column);
        let name = if is_there(&name) { name } else { "rowid" };
        for column in columns.iter().copied().filter(is_there) {
            let query = format!(
                "SELECT CAST({name} AS BLOB), CAST({column} AS BLOB) FROM {table} \
                 WHERE substr(CAST({column} AS BLOB), 1, $1) = $2 ORDER BY rowid"
            );
            let rows: Vec<(Option<Vec<u8>>, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(query))
                .bind(i64::try_from(TOKEN_PREFIX.len()).unwrap_or_default())
                .bind(TOKEN_PREFIX)
                .fetch_all(&mut *connection)
                .await?;
            found.extend(rows.into_iter().map(|(name, token)| StoredSecret {
                owner: format!("{called} {}", String::from_utf8_lossy(&name.unwrap_or_default())),
                token,
            }));
        }
    }
    Ok(found)
}
