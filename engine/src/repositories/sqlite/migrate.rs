//! Brings a database to the legacy's present tables.
//!
//! The state of the file decides at every start, not a record of what was done before: the legacy may have worked
//! in it, or made it anew, since. Whatever would change an older database happens in one transaction, after a copy of
//! the file was written beside it.

pub(super) mod backup;
mod columns;
mod details;
mod devices;
mod own;
mod state;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, migrate::Migrator};

pub use self::{backup::CopyError, state::Upgrade};
use super::{temporary::TemporaryCopy, writer::Writer};
use crate::{domain::random::Random, repositories::StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");
/// The first of the files that hold the engine's own tables.
const FIRST_OWN: i64 = 4;
/// How the names of the engine's own tables begin.
const OWN: &str = "engine_";

/// Why a database cannot be brought to the present tables. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An older database that is not whole: an upgrade could lose what can still be saved.
    #[error("the database is older and has to be upgraded, but it is damaged: {0}; restore it from a backup")]
    Damaged(String),
    /// Without a copy nothing is upgraded.
    #[error("the database is older and has to be upgraded, but the copy of it cannot be written: {0}")]
    Backup(#[from] CopyError),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why an upgrade could not be tried, or would fail.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no copy to try it with.
    #[error("the database cannot be copied into the folder for temporary files: {0}")]
    Copy(#[source] std::io::Error),
    /// It would fail.
    #[error(transparent)]
    Upgrade(#[from] MigrationError),
}

/// What was done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Upgraded {
    /// One line a change to what was there already; empty for a present or a new database.
    pub changes: Vec<String>,
    /// The copy of the database as it was before.
    pub backup: Option<PathBuf>,
}

/// Makes what is missing and upgrades what is older, in one transaction.
pub(super) async fn run(
    writer: &Writer,
    path: &Path,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Upgraded, MigrationError> {
    // Nobody else writes from here on, so the copy is what the upgrade finds.
    let mut turn = writer.begin().await?;
    let upgrade = Upgrade::needed(turn.connection()).await?;
    if upgrade.foreign {
        return Err(StoreError::Foreign.into());
    }
    let changes = upgrade.changes();
    if changes.is_empty() {
        make(turn.connection(), 0).await?;
        turn.commit().await?;
        return Ok(Upgraded::default());
    }
    refuse_damaged(turn.connection()).await?;
    let backup = backup::write(path, now).await?;
    let upgraded = async {
        apply(turn.connection(), &upgrade, now, random).await?;
        turn.commit().await
    };
    if let Err(error) = upgraded.await {
        // Nothing was changed, and a service that is started again and again must not fill the disk with copies.
        backup::discard(&backup);
        return Err(error.into());
    }
    Ok(Upgraded {
        changes,
        backup: Some(backup),
    })
}

/// Tries the upgrade of the database at `path` with a copy of it, in the folder for temporary files; whether there is
/// anything to upgrade makes no difference. The database is only read.
///
/// # Errors
/// The upgrade fails, or there is no room for the copy.
pub async fn try_upgrade(path: &Path, now: Timestamp, random: &dyn Random) -> Result<(), TrialError> {
    let folder = tempfile::tempdir().map_err(TrialError::Copy)?;
    let copy = TemporaryCopy::of(path, folder.path()).map_err(TrialError::Copy)?;
    let tried = async {
        let mut connection = copy.options().connect().await?;
        let upgrade = Upgrade::needed(&mut connection).await?;
        apply(&mut connection, &upgrade, now, random).await?;
        connection.close().await
    };
    Ok(tried.await.map_err(MigrationError::from)?)
}

async fn refuse_damaged(connection: &mut SqliteConnection) -> Result<(), MigrationError> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await?;
    if found == "ok" {
        Ok(())
    } else {
        Err(MigrationError::Damaged(found))
    }
}

async fn apply(
    connection: &mut SqliteConnection,
    upgrade: &Upgrade,
    now: Timestamp,
    random: &dyn Random,
) -> Result<(), sqlx::Error> {
    columns::add(connection, &upgrade.columns).await?;
    let staged = devices::stage(connection, &upgrade.devices).await?;
    devices::repair(connection, &upgrade.devices).await?;
    make(connection, 0).await?;
    devices::copy(connection, &staged, now, random).await
}

/// Makes the engine's own tables where they are missing: no upgrade of what the legacy knows, and nothing runs without.
pub(super) async fn make_own(writer: &Writer) -> Result<(), StoreError> {
    let mut turn = writer.begin().await?;
    make(turn.connection(), FIRST_OWN).await?;
    turn.commit().await
}

/// Makes the tables and indexes that are missing, of the files from number `first` on.
pub(super) async fn make(connection: &mut SqliteConnection, first: i64) -> Result<(), sqlx::Error> {
    for migration in MIGRATIONS.iter().filter(|migration| migration.version >= first) {
        sqlx::raw_sql(migration.sql.clone())
            .execute(&mut *connection)
            .await?;
    }
    own::add_missing(connection).await
}

#[cfg(test)]
mod tests;
