//! The SQLite file that the legacy and the engine share.

mod activity_history;
mod approvals;
mod backup;
mod credentials;
mod device_documents;
mod devices;
mod failure;
mod github_token;
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
mod users;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Sqlite, SqliteConnection, SqlitePool, Transaction,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use backup::{BackupError, back_up};
pub use failure::Cause;
pub use inspect::{DatabaseState, inspect};
pub use migrate::MigrationError;

use super::{Store, StoreError, UnitOfWork};

/// How long a lock held by another process (the legacy, an operator's shell) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Readers that may work at one time; more only take turns on the machine's cores.
const READERS: u32 = 4;

/// The database: one writer that takes turns, readers beside it.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    notes: refresh_notes::WaitingNotes,
}

impl SqliteStore {
    /// Opens the file, or makes an empty one.
    ///
    /// # Errors
    /// The file cannot be opened or is no database.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::connect(
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
    /// There is no such file, it cannot be opened, or it is no database.
    pub async fn open_existing(path: &Path) -> Result<Self, StoreError> {
        // A person who was told that it is done will not look again: even a power failure must not undo it.
        Self::connect(options(path).synchronous(SqliteSynchronous::Full)).await
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, StoreError> {
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
            writer,
            readers,
            notes: refresh_notes::WaitingNotes::default(),
        })
    }

    /// Makes every table and index that is missing, in one transaction. What exists stays as it is.
    ///
    /// # Errors
    /// A table is older than this server can read; nothing is changed then.
    pub async fn migrate(&self) -> Result<(), MigrationError> {
        migrate::run(&self.writer).await
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
