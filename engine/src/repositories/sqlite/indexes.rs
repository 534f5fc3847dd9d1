//! Indexes in memory, for columns that have none in the file.
//!
//! The legacy works in the same file, and what indexes it has is compared with the legacy's: `devices` and
//! `activity_history` keep theirs. What the search looks for lies behind inventories of many pages, so that a look at
//! every row reads the whole file. Host names are one without regard to letter case of any script, of which SQLite knows
//! that of ASCII alone.
//!
//! An index here proposes row numbers and decides nothing. A statement reads those rows and still asks its whole
//! condition, so what is found is what the file holds at that moment, in its order and with its oddities, and an index that
//! proposes too much is only slower. It must never propose too little, whoever changes a row:
//!
//! - This process changes rows by one connection alone. Temporary triggers on it note the numbers of rows that change
//!   in a temporary table, which is in no file. No statement can forget its note, and a change that is undone takes its note
//!   with it, because SQLite keeps both. Whoever asks takes the notes, in a turn of its own, and reads those rows again.
//! - `PRAGMA data_version` of that connection becomes another number when anybody else has changed the file. Then
//!   everything is read again; so it is at first, and where the connection had to be opened anew.
//!
//! What is noted and not read again yet is proposed for everything. Where nobody can tell whether an index is complete
//! (others have the writer's turn for too long, rows cannot be read) it proposes nothing, and every row is looked at.

mod activity_hosts;
mod device_columns;
mod pending_approvals;
mod rows_by_text;

/// What a trigger does: it notes a row, where it is not noted yet.
macro_rules! note {
    ($notes:literal, $number:literal) => {
        concat!(
            "BEGIN INSERT INTO ",
            $notes,
            " SELECT ",
            $number,
            " WHERE ",
            $number,
            " NOT IN (SELECT \"row\" FROM ",
            $notes,
            "); END; "
        )
    };
}
use note;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    hash::Hash,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use tokio::{sync::Mutex, time::timeout};

pub(super) use self::{
    activity_hosts::ActivityHosts, device_columns::DeviceColumns, pending_approvals::PendingApprovals,
};
use super::{Access as _, SqliteStore, activity, devices, failure::Cause, writer::Writer};
use crate::{
    domain::{
        activity::ActivityLine,
        search::{DeviceField, SearchedDevice},
    },
    repositories::{StoreError, devices::listing::Visitor, indexed::ReadIndexed},
};

/// How long the writer's turn is waited for. A look at every row takes longer in a large fleet, and does not wait.
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// Notes that those who are within a change leave for others to read.
const MOST_NOTES: usize = 256;
/// Proposed rows that the search reads with one statement; most searches end in the first few.
const ROWS_AT_ONCE: usize = 64;

/// What an index keeps of a table.
pub(super) trait Indexed: fmt::Debug + Default + Send + Sync + 'static {
    /// The temporary table of the numbers of rows that have changed; its one column is `row`.
    const NOTES: &'static str;
    /// Makes that table and the triggers, what is missing of them.
    const WATCH: &'static str;
    /// What [`Self::WATCH`] makes last.
    const WATCHED_BY: &'static str;
    /// Reads all rows.
    const ALL: &'static str;
    /// Reads those of the rows that are there; `$1` are their numbers.
    const SOME: &'static str;

    /// Keeps a row that is not kept yet.
    fn put(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error>;

    fn remove(&mut self, number: i64);
}

/// The indexes of a database.
#[derive(Clone, Debug)]
pub(super) struct Indexes {
    pub(super) devices: MemoryIndex<DeviceColumns>,
    pub(super) activities: MemoryIndex<ActivityHosts>,
    pub(super) approvals: MemoryIndex<PendingApprovals>,
}

impl Indexes {
    pub(super) fn new(writer: &Writer, readers: &SqlitePool) -> Self {
        Self {
            devices: MemoryIndex::new(writer, readers),
            activities: MemoryIndex::new(writer, readers),
            approvals: MemoryIndex::new(writer, readers),
        }
    }
}

pub(super) struct MemoryIndex<T> {
    writer: Writer,
    readers: SqlitePool,
    shared: Arc<Shared<T>>,
}

#[derive(Debug, Default)]
struct Shared<T> {
    /// Held by the one who reads rows again.
    refreshing: Mutex<()>,
    /// Whether somebody will refresh without being waited for.
    is_refresh_coming: AtomicBool,
    kept: RwLock<Kept<T>>,
}

#[derive(Debug, Default)]
struct Kept<T> {
    table: T,
    /// The writing connection's `data_version` before everything was read; `None` where that must be done again.
    version: Option<i64>,
    /// Rows that were noted and not read since.
    unread: BTreeSet<i64>,
}

impl<T> Kept<T> {
    fn propose(&self, find: impl FnOnce(&T) -> Vec<i64>, noted: Vec<i64>) -> Vec<i64> {
        let mut numbers = find(&self.table);
        numbers.extend(&self.unread);
        numbers.extend(noted);
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

impl<T: Indexed> MemoryIndex<T> {
    fn new(writer: &Writer, readers: &SqlitePool) -> Self {
        Self {
            writer: writer.clone(),
            readers: readers.clone(),
            shared: Arc::default(),
        }
    }

    /// The rows that may fit, in order; `None` where every row has to be looked at. Must not be called by whoever has the
    /// database.
    pub(super) async fn propose(&self, find: impl FnOnce(&T) -> Vec<i64> + Send) -> Option<Vec<i64>> {
        // A task of its own: whoever asks may go, and rows whose notes were taken have to be read all the same.
        let refreshed = tokio::spawn(self.clone().refresh()).await.ok()?;
        match refreshed {
            Ok(true) => Some(self.kept().propose(find, Vec::new())),
            Ok(false) => None,
            Err(error) => {
                tracing::debug!(notes = T::NOTES, %error, "an index cannot be read: every row is looked at");
                None
            }
        }
    }

    /// The same within a change, which sees its own changes.
    pub(super) async fn propose_within(
        &self,
        connection: &mut SqliteConnection,
        find: impl FnOnce(&T) -> Vec<i64> + Send,
    ) -> Result<Option<Vec<i64>>, StoreError> {
        // One statement: this is asked within changes, for which others wait. The notes stay: where the change is undone,
        // what it had changed must not be kept.
        let asked = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT (SELECT data_version FROM pragma_data_version), \
             (SELECT json_group_array(\"row\") FROM temp.{}) \
             WHERE EXISTS (SELECT 1 FROM sqlite_temp_master WHERE name = '{}')",
            T::NOTES,
            T::WATCHED_BY
        )))
        .fetch_optional(connection)
        .await;
        let watched: Option<(i64, String)> = match asked {
            // The table of notes is not there yet.
            Err(error) if Cause::of_database(&error) == Some(Cause::OlderTables) => None,
            asked => asked?,
        };
        let Some((version, noted)) = watched else {
            self.refresh_later();
            return Ok(None);
        };
        let noted: Vec<i64> =
            serde_json::from_str(&noted).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let kept = self.kept();
        let is_complete = kept.version == Some(version);
        if !is_complete || noted.len() > MOST_NOTES {
            self.refresh_later();
        }
        Ok(is_complete.then(|| kept.propose(find, noted)))
    }

    /// The `data_version` of the connection that writes; `None` where it notes no changes.
    async fn version(connection: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
        let (version, is_watched): (i64, bool) = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT (SELECT data_version FROM pragma_data_version), \
             EXISTS (SELECT 1 FROM sqlite_temp_master WHERE name = '{}')",
            T::WATCHED_BY
        )))
        .fetch_one(connection)
        .await?;
        Ok(is_watched.then_some(version))
    }

    /// Reads again what has changed; false where the writer cannot be asked what that is.
    async fn refresh(self) -> Result<bool, StoreError> {
        let _refreshing = self.shared.refreshing.lock().await;
        let Ok(turn) = timeout(LONGEST_WAIT, self.writer.turn()).await else {
            return Ok(false);
        };
        let mut turn = turn?;
        let mut version = Self::version(turn.connection()).await?;
        if version.is_none() {
            self.kept_mut().version = None;
            sqlx::raw_sql(T::WATCH).execute(turn.connection()).await?;
            version = Self::version(turn.connection()).await?;
        }
        let noted: Result<Vec<i64>, _> = sqlx::query_scalar(AssertSqlSafe(format!(
            "DELETE FROM temp.{} RETURNING \"row\"",
            T::NOTES
        )))
        .fetch_all(turn.connection())
        .await;
        let is_complete = {
            let mut kept = self.kept_mut();
            if noted.is_err() || kept.version != version {
                kept.version = None;
            }
            kept.unread.extend(noted?);
            kept.version.is_some()
        };
        // What is read from here on is at least as young as the notes that were taken.
        drop(turn);
        if is_complete {
            self.read_unread().await?;
        } else {
            self.read_all(version).await?;
        }
        Ok(true)
    }

    async fn read_all(&self, version: Option<i64>) -> Result<(), StoreError> {
        let mut table = T::default();
        let mut reader = self.readers.acquire().await?;
        let mut rows = sqlx::query(T::ALL).fetch(&mut *reader);
        while let Some(row) = rows.try_next().await? {
            table.put(&row)?;
        }
        *self.kept_mut() = Kept {
            table,
            version,
            unread: BTreeSet::new(),
        };
        Ok(())
    }

    async fn read_unread(&self) -> Result<(), StoreError> {
        // Only whoever refreshes adds to them.
        let unread: Vec<i64> = self.kept().unread.iter().copied().collect();
        if unread.is_empty() {
            return Ok(());
        }
        let mut reader = self.readers.acquire().await?;
        let rows = sqlx::query(T::SOME)
            .bind(numbers(&unread)?)
            .fetch_all(&mut *reader)
            .await?;
        let mut kept = self.kept_mut();
        for number in unread {
            kept.table.remove(number);
        }
        for row in &rows {
            kept.table.put(row)?;
        }
        kept.unread.clear();
        Ok(())
    }

    /// Refreshes once nobody is within a change.
    fn refresh_later(&self) {
        if self.shared.is_refresh_coming.swap(true, Ordering::Relaxed) {
            return;
        }
        let index = self.clone();
        tokio::spawn(async move {
            let turn = index.writer.turn().await;
            index.shared.is_refresh_coming.store(false, Ordering::Relaxed);
            if turn.is_err() {
                return;
            }
            drop(turn);
            if let Err(error) = index.refresh().await {
                tracing::debug!(notes = T::NOTES, %error, "an index cannot be read");
            }
        });
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept<T>> {
        self.shared.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_mut(&self) -> RwLockWriteGuard<'_, Kept<T>> {
        self.shared.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for MemoryIndex<T> {
    fn clone(&self) -> Self {
        Self {
            writer: self.writer.clone(),
            readers: self.readers.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> fmt::Debug for MemoryIndex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MemoryIndex").finish_non_exhaustive()
    }
}

/// Takes a row out of those that are found under this key.
fn take_out<K: Eq + Hash>(rows: &mut HashMap<K, BTreeSet<i64>>, key: &K, number: i64) {
    if let Some(numbers) = rows.get_mut(key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            rows.remove(key);
        }
    }
}

/// Row numbers as statements take them, in `json_each`: one statement for however many.
pub(super) fn numbers(numbers: &[i64]) -> Result<String, StoreError> {
    Ok(serde_json::to_string(numbers).map_err(|error| sqlx::Error::Encode(error.into()))?)
}

#[async_trait]
impl ReadIndexed for SqliteStore {
    async fn search_devices(
        &self,
        field: DeviceField,
        text: Option<&str>,
        visitor: &mut Visitor<'_, SearchedDevice>,
    ) -> Result<(), StoreError> {
        let fitting = |columns: &DeviceColumns| columns.holding(field, text);
        let proposed = self.indexes.devices.propose(fitting).await;
        let mut view = self.reading().await?;
        let Some(proposed) = proposed else {
            let every_row = devices::search(view.connection(), field, text, None, visitor);
            return every_row.await.map(|_| ());
        };
        for some in proposed.chunks(ROWS_AT_ONCE) {
            let among = Some(numbers(some)?);
            if devices::search(view.connection(), field, text, among, visitor)
                .await?
                .is_break()
            {
                break;
            }
        }
        Ok(())
    }

    async fn activities_of_host(&self, hostname: &str) -> Result<Vec<ActivityLine>, StoreError> {
        let of_host = |hosts: &ActivityHosts| hosts.of(hostname);
        let proposed = self.indexes.activities.propose(of_host).await;
        let among = proposed.as_deref().map(numbers).transpose()?;
        let mut view = self.reading().await?;
        activity::of_host(view.connection(), hostname, among).await
    }
}

#[cfg(test)]
mod tests;
