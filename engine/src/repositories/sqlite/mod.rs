//! The SQLite file that the legacy and the engine share.

mod activity_history;
mod approvals;
mod backup;
mod credentials;
mod device_documents;
mod devices;
mod failure;
mod github_token;
mod header;
mod inspect;
mod install_codes;
mod job_runs;
mod known_devices;
mod migrate;
mod recaps;
mod refresh_notes;
mod refresh_tokens;
mod rows;
mod scheduled_jobs;
mod service_accounts;
mod undelivered_work;
mod users;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    ConnectOptions as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use backup::{BackupError, back_up};
pub use failure::Cause;
pub use inspect::{DatabaseState, inspect};
pub use migrate::{CopyError, MigrationError, Upgrade, Upgraded};

use super::{Store, StoreError, UnitOfWork};
use crate::domain::random::Random;

/// How long a lock held by another process (the legacy, an operator's shell) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Readers that may work at one time; more only take turns on the machine's cores.
const READERS: u32 = 4;

/// The database: one writer that takes turns, readers beside it.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    notes: refresh_notes::WaitingNotes,
}

impl SqliteStore {
    /// Opens the file, or makes an empty one.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, or one of a newer server; it is left alone then.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        header::refuse_newer(path).map_err(sqlx::Error::Io)??;
        Self::connect(
            path,
            options(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal),
        )
        .await
    }

    /// Opens the file for a few changes while a server may be at work in it. The file must be there, and neither its
    /// tables nor its journal mode are changed. Leave it with [`SqliteStore::leave`].
    ///
    /// # Errors
    /// There is no such file, it cannot be opened, it is no database, or one of a newer server.
    pub async fn open_existing(path: &Path) -> Result<Self, StoreError> {
        header::refuse_newer(path).map_err(sqlx::Error::Io)??;
        // A person who was told that it is done will not look again: even a power failure must not undo it.
        Self::connect(path, options(path).synchronous(SqliteSynchronous::Full)).await
    }

    async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let writer = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection to a file does not go stale.
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection to a file does not go stale.
            .test_before_acquire(false)
            .connect_with(options.create_if_missing(false).pragma("query_only", "1"))
            .await?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            readers,
            notes: refresh_notes::WaitingNotes::default(),
        })
    }

    /// Makes every table and index that is missing and upgrades what is older, in one transaction. An older database
    /// is copied beside itself first. `now` and `random` are for what old rows do not say.
    ///
    /// # Errors
    /// The copy cannot be written, or the database is damaged or refuses; nothing is changed then.
    pub async fn upgrade(&self, now: Timestamp, random: &dyn Random) -> Result<Upgraded, MigrationError> {
        migrate::run(&self.writer, &self.path, now, random).await
    }

    /// The tables of a new database, for tests.
    #[cfg(test)]
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        Ok(migrate::make(&mut *self.writer.acquire().await?, 0).await?)
    }

    /// Makes the tables that only this server knows, where they are missing.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn make_own_tables(&self) -> Result<(), StoreError> {
        Ok(migrate::make_own(&self.writer).await?)
    }

    /// Writes everything from the journal into the database file and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
        if let Err(error) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&self.writer)
            .await
        {
            tracing::warn!(%error, "the database was closed without a checkpoint; nothing is lost");
        }
        self.writer.close().await;
    }

    /// Closes the file without a checkpoint, which would make a server that is at work in it wait. SQLite writes the
    /// journal into the file where nobody else has it open.
    pub async fn leave(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// How every connection to the file is made.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        // Declared by the legacy's tables, never enforced by it: its own writes would fail otherwise.
        .foreign_keys(false)
        .disable_statement_logging()
}

/// One change in the SQLite file.
#[derive(Debug)]
pub struct SqliteWork {
    transaction: Transaction<'static, Sqlite>,
}

/// Reading in the SQLite file.
#[derive(Debug)]
pub struct SqliteView {
    connection: PoolConnection<Sqlite>,
}

/// What queries run on; both kinds of access share their queries through it.
trait Access: Send {
    fn connection(&mut self) -> &mut SqliteConnection;
}

impl Access for SqliteWork {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

impl Access for SqliteView {
    fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

impl<A: Access> super::Tables for A {}

impl UnitOfWork for SqliteWork {
    async fn save(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

impl Store for SqliteStore {
    type Work = SqliteWork;
    type View = SqliteView;

    async fn begin(&self) -> Result<SqliteWork, StoreError> {
        Ok(SqliteWork {
            transaction: self.writer.begin_with("BEGIN IMMEDIATE").await?,
        })
    }

    async fn view(&self) -> Result<SqliteView, StoreError> {
        Ok(SqliteView {
            connection: self.readers.acquire().await?,
        })
    }
}

#[cfg(test)]
mod tests;
