//! The SQLite file that the legacy and the engine share.
//!
//! Long because opening, reading and changing it are one store, and all queries run on its two kinds of access.

pub(super) mod activity;
mod approvals;
mod backup;
mod credentials;
pub(super) mod device_access;
pub(super) mod device_reports;
mod device_views;
mod devices;
mod failure;
mod files;
pub(super) mod github;
mod header;
mod held;
mod indexes;
mod inspect;
mod install_codes;
mod locks;
mod migrate;
pub(super) mod operators;
mod plans;
mod playbooks;
mod rows;
mod scheduled_jobs;
pub(super) mod scheduler;
mod sealed_secrets;
mod service_accounts;
mod sites;
mod temporary;
mod together;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Sqlite, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

pub use backup::{BackupError, back_up};
pub use failure::Cause;
pub use files::files_of;
pub use inspect::{DatabaseState, holds_fleet, inspect};
pub use locks::{Locker, locked_by, opened_by};
pub use migrate::{CopyError, MigrationError, TrialError, Upgrade, Upgraded, try_upgrade};
pub use sealed_secrets::stored_secrets;

use self::{
    files::create_private,
    held::{Hold, Holders},
    indexes::{DeviceColumns, Indexes},
    plans::Statements,
    writer::{LOCK_SLICE, Statement, Turn, Writer},
};
use super::{ReadTables, Store, StoreError, UnitOfWork, WriteTables};
use crate::{
    config::timing::Timing,
    domain::{
        clock::Clock,
        measures::{self, Access as WaitFor},
        random::Random,
    },
};

/// The size in bytes to which the journal shrinks once nobody reads from it any more.
const JOURNAL_SIZE: &str = "16777216";
/// Readers that may work at one time; more only take turns on the machine's cores.
const READERS: u32 = 4;

/// The database: one writer that takes turns, readers beside it.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: SqlitePool,
    indexes: Indexes,
    holders: Holders,
    notes: device_access::refresh_notes::WaitingNotes,
    lookups: Arc<device_access::lookups::Lookups>,
    reports: Arc<devices::reports::WaitingReports>,
    /// Measures how long is waited; nobody measures without it.
    stopwatch: Option<Arc<dyn Clock>>,
}

impl SqliteStore {
    /// Opens the file, or makes an empty one. What is in it is left as it is: [`SqliteStore::upgrade`] or
    /// [`SqliteStore::make_own_tables`] come next.
    ///
    /// # Errors
    /// The file cannot be opened, is no database, or one of a newer server; it is left alone then.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Timing::default().database_deadline).await
    }

    /// The same, where nobody waits longer than `deadline` for the database.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_with(path: &Path, deadline: Duration) -> Result<Self, StoreError> {
        header::refuse_newer(path).map_err(sqlx::Error::Io)??;
        // Its journals get the same mode. Where it is there nothing happens, and SQLite says better what else may be
        // wrong with the place.
        let _ = create_private(path);
        Self::connect(
            path,
            deadline,
            options(path)
                .create_if_missing(true)
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
        // A person who was answered that it is done will not look again: even a power failure must not undo it.
        Self::connect(
            path,
            Timing::default().database_deadline,
            options(path).synchronous(SqliteSynchronous::Full),
        )
        .await
    }

    async fn connect(
        path: &Path,
        deadline: Duration,
        options: SqliteConnectOptions,
    ) -> Result<Self, StoreError> {
        let options = options.busy_timeout(LOCK_SLICE);
        let writer = Writer::open(
            options.clone().pragma("journal_size_limit", JOURNAL_SIZE),
            deadline,
        )
        .await?;
        let readers = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(deadline)
            // A connection to a file does not go stale.
            .test_before_acquire(false)
            .connect_with(
                options
                    .busy_timeout(deadline)
                    .create_if_missing(false)
                    .pragma("query_only", "1"),
            )
            .await?;
        Ok(Self {
            path: path.to_owned(),
            indexes: Indexes::new(&writer, &readers),
            writer,
            readers,
            holders: Holders::default(),
            notes: device_access::refresh_notes::WaitingNotes::default(),
            lookups: Arc::default(),
            reports: Arc::default(),
            stopwatch: None,
        })
    }

    /// Makes every table and index that is missing and upgrades what is older, in one transaction. An older database
    /// is copied beside itself first. `now` and `random` fill what old rows lack.
    ///
    /// # Errors
    /// The copy cannot be written, or the database is damaged or refuses; nothing is changed then.
    pub async fn upgrade(&self, now: Timestamp, random: &dyn Random) -> Result<Upgraded, MigrationError> {
        let upgraded = migrate::run(&self.writer, &self.path, now, random).await?;
        self.write_ahead().await;
        Ok(upgraded)
    }

    /// The tables of a new database, for tests.
    #[cfg(test)]
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        self.write_ahead().await;
        Ok(migrate::make(self.writer.turn().await?.connection(), 0).await?)
    }

    /// Makes the tables that only this server knows, where they are missing.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn make_own_tables(&self) -> Result<(), StoreError> {
        migrate::make_own(&self.writer).await?;
        self.write_ahead().await;
        Ok(())
    }

    /// Gives the file the journal that readers and a writer can use at one time, as the legacy does. This changes bytes
    /// of the file, so it comes after everything that may be refused.
    async fn write_ahead(&self) {
        let mode = async {
            let mut turn = self.writer.turn().await?;
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode = WAL")
                .fetch_one(turn.connection())
                .await?;
            Ok::<_, StoreError>(mode)
        };
        let kept = match mode.await {
            Ok(mode) if mode == "wal" => return,
            Ok(mode) => mode,
            Err(error) => error.database_message(),
        };
        // Everything works, only slower; the next start tries again.
        tracing::warn!(
            "{} keeps its old journal mode ({kept}): readers and writers wait for each other",
            self.path.display()
        );
    }

    /// The same store, which measures with this clock how long is waited for it.
    #[must_use]
    pub fn measured_by(self, stopwatch: Arc<dyn Clock>) -> Self {
        Self {
            stopwatch: Some(stopwatch),
            ..self
        }
    }

    async fn work(&self) -> Result<SqliteWork, StoreError> {
        let hold = self.holders.hold();
        let turn = self.waiting(WaitFor::Write, self.writer.begin()).await?;
        Ok(SqliteWork {
            turn,
            indexes: self.indexes.clone(),
            _hold: hold,
        })
    }

    async fn brief_work(&self) -> Result<SqliteWork, StoreError> {
        let hold = self.holders.hold();
        let turn = self.waiting(WaitFor::Write, self.writer.begin_brief()).await?;
        Ok(SqliteWork {
            turn,
            indexes: self.indexes.clone(),
            _hold: hold,
        })
    }

    /// Makes a change that is a single statement. The wait that is measured is until it is stored.
    async fn change<'q, Q>(&self, statement: Q) -> Result<Vec<SqliteRow>, StoreError>
    where
        Q: Fn() -> Statement<'q>,
    {
        let _hold = self.holders.hold();
        self.waiting(WaitFor::Write, self.writer.change(statement)).await
    }

    async fn reading(&self) -> Result<SqliteView, StoreError> {
        self.waiting(WaitFor::Read, self.reader()).await
    }

    /// Measures a wait, where somebody does.
    async fn waiting<T>(
        &self,
        access: WaitFor,
        wait: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(stopwatch) = &self.stopwatch else {
            return wait.await;
        };
        let begun = stopwatch.monotonic();
        let _waits = measures::database_waits(access);
        let had = wait.await;
        let waited = stopwatch.monotonic().saturating_sub(begun);
        measures::database_waited(access, waited, matches!(had, Err(StoreError::Busy)));
        had
    }

    async fn reader(&self) -> Result<SqliteView, StoreError> {
        let hold = self.holders.hold();
        match self.readers.acquire().await {
            Ok(connection) => Ok(SqliteView {
                connection,
                _hold: hold,
            }),
            Err(sqlx::Error::PoolTimedOut) => Err(StoreError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes everything from the journal into the database file and closes it.
    pub async fn close(&self) {
        self.readers.close().await;
        // Of this file alone: directly after a change of the journal mode SQLite begins to read every schema here, and its
        // temporary one, while it is read, refuses a checkpoint.
        self.writer
            .close(Some("PRAGMA main.wal_checkpoint(TRUNCATE)"))
            .await;
    }

    /// Closes the file without a checkpoint, which would make a server that is at work in it wait. SQLite writes the
    /// journal into the file where nobody else has it open.
    pub async fn leave(&self) {
        self.readers.close().await;
        self.writer.close(None).await;
    }
}

/// How every connection to the file is made.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(Timing::default().database_deadline)
        // Declared by the legacy's tables, never enforced by it: its own writes would fail otherwise.
        .foreign_keys(false)
        .disable_statement_logging()
}

/// One change in the SQLite file.
#[derive(Debug)]
pub struct SqliteWork {
    turn: Turn,
    indexes: Indexes,
    _hold: Hold,
}

/// Reading in the SQLite file.
#[derive(Debug)]
pub struct SqliteView {
    connection: PoolConnection<Sqlite>,
    _hold: Hold,
}

/// What queries run on; both kinds of access share their queries through it.
trait Access: Send {
    fn connection(&mut self) -> Statements<'_>;

    /// The devices that an index in memory proposes; `None` where it cannot be asked.
    fn propose_devices(
        &mut self,
        find: impl FnOnce(&DeviceColumns) -> Vec<i64> + Send,
    ) -> impl Future<Output = Result<Option<Vec<i64>>, StoreError>> + Send;
}

impl Access for SqliteWork {
    fn connection(&mut self) -> Statements<'_> {
        self.turn.statements()
    }

    async fn propose_devices(
        &mut self,
        find: impl FnOnce(&DeviceColumns) -> Vec<i64> + Send,
    ) -> Result<Option<Vec<i64>>, StoreError> {
        self.indexes
            .devices
            .propose_within(self.turn.connection(), find)
            .await
    }
}

impl Access for SqliteView {
    fn connection(&mut self) -> Statements<'_> {
        Statements::on(&mut self.connection)
    }

    async fn propose_devices(
        &mut self,
        _find: impl FnOnce(&DeviceColumns) -> Vec<i64> + Send,
    ) -> Result<Option<Vec<i64>>, StoreError> {
        // What has changed is noted for the one connection that writes.
        Ok(None)
    }
}

impl<A: Access> ReadTables for A {}

impl WriteTables for SqliteWork {}

#[async_trait]
impl UnitOfWork for SqliteWork {
    async fn save(self: Box<Self>) -> Result<(), StoreError> {
        self.turn.commit().await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.work().await?))
    }

    async fn begin_brief(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.brief_work().await?))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.reading().await?.connection.ping().await?;
        let mut work = self.work().await?;
        // Written as it is: only what is written shows whether the disk takes it.
        let user_version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(work.connection())
            .await?;
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {user_version}")))
            .execute(work.connection())
            .await?;
        work.turn.commit().await
    }

    async fn view(&self) -> Result<Box<dyn ReadTables>, StoreError> {
        Ok(Box::new(self.reading().await?))
    }
}

#[cfg(test)]
mod tests;
