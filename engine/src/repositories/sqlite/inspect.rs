//! Looks at a database without changing it.

use std::{collections::BTreeMap, fs, path::Path};

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    header,
    migrate::Upgrade,
    sealed_secrets,
    temporary::{TemporaryCopy, beside},
};
use crate::{
    config::timing::Timing,
    domain::{fernet::StoredSecret, host_name::HostKey},
    repositories::StoreError,
};

/// What is found in a database file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatabaseState {
    /// What SQLite's quick check complains of; empty when the file is whole.
    pub damage: Vec<String>,
    /// What the start would make and upgrade.
    pub upgrade: Upgrade,
    /// Every secret that is stored sealed.
    pub sealed_secrets: Vec<StoredSecret>,
    /// The host names of devices that differ in letter case or blanks alone, by host.
    pub same_hosts: Vec<Vec<String>>,
}

/// Reads the file and reports its state; changes nothing. A journal that was left behind and whose content belongs into
/// the file is only read with a copy of both, in the folder for temporary files: reading it in place would write.
///
/// # Errors
/// The file cannot be read, is no database, or one of a newer server or another program.
pub async fn inspect(path: &Path) -> Result<DatabaseState, StoreError> {
    header::refuse_newer(path).map_err(sqlx::Error::Io)??;
    let [journal, index, undo] = ["-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix));
    let holds_something = |file: &Path| fs::metadata(file).is_ok_and(|found| found.len() > 0);
    if holds_something(&undo) || (holds_something(&journal) && !index.exists()) {
        return inspect_copy(path).await;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        // Where a journal or its index is missing nobody works in the file, and it is read without making them.
        .immutable(!(journal.exists() && index.exists()));
    look(options).await
}

/// Whether a database that nobody works in is of this server or the legacy: whole, and with the tables that every version
/// has. What is wrong with it otherwise.
///
/// # Errors
/// As [`inspect`].
pub async fn holds_fleet(path: &Path) -> Result<Result<(), String>, StoreError> {
    let of_another = || {
        Ok(Err(
            "its database is of another program: it has no devices and no accounts".to_owned(),
        ))
    };
    let state = match inspect(path).await {
        Err(StoreError::Foreign) => return of_another(),
        state => state?,
    };
    if let Some(first) = state.damage.first() {
        return Ok(Err(format!("its database is damaged: {first}")));
    }
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(true)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(StoreError::from)?;
    let there: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('devices', 'users')",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    if there == 2 { Ok(Ok(())) } else { of_another() }
}

async fn inspect_copy(path: &Path) -> Result<DatabaseState, StoreError> {
    let folder = tempfile::tempdir().map_err(sqlx::Error::Io)?;
    let copy = TemporaryCopy::of(path, folder.path()).map_err(sqlx::Error::Io)?;
    look(copy.options()).await
}

async fn look(options: SqliteConnectOptions) -> Result<DatabaseState, StoreError> {
    let mut connection = options
        .busy_timeout(Timing::default().database_deadline)
        .disable_statement_logging()
        .connect()
        .await?;
    let damage = quick_check(&mut connection).await?;
    let upgrade = Upgrade::needed(&mut connection).await?;
    let sealed_secrets = sealed_secrets::read(&mut connection).await?;
    let same_hosts = same_hosts(&mut connection).await?;
    connection.close().await?;
    if upgrade.foreign {
        return Err(StoreError::Foreign);
    }
    Ok(DatabaseState {
        damage,
        upgrade,
        sealed_secrets,
        same_hosts,
    })
}

async fn same_hosts(connection: &mut SqliteConnection) -> Result<Vec<Vec<String>>, sqlx::Error> {
    let there: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('devices') WHERE lower(name) = 'hostname')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if !there {
        return Ok(Vec::new());
    }
    let names: Vec<String> =
        sqlx::query_scalar("SELECT hostname FROM devices WHERE typeof(hostname) = 'text' ORDER BY hostname")
            .fetch_all(connection)
            .await?;
    let mut by_key: BTreeMap<HostKey, Vec<String>> = BTreeMap::new();
    for name in names {
        by_key.entry(HostKey::of(&name)).or_default().push(name);
    }
    Ok(by_key.into_values().filter(|names| names.len() > 1).collect())
}

/// What SQLite's quick check complains of.
pub(super) async fn quick_check(connection: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let lines: Vec<String> = sqlx::query_scalar("PRAGMA quick_check")
        .fetch_all(connection)
        .await?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
