//! The stores that tests run over. A second implementation is a variant in [`Backend::open`] and is then tested by
//! every story that runs over [`BACKENDS`].

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{
    domain::{
        activity::ActivityLine,
        devices::{DeviceIdentity, DeviceReport},
        refresh_tokens::{RefreshToken, UsedRefreshToken},
        search::{DeviceField, SearchedDevice},
    },
    repositories::{
        ReadTables, Store, StoreError, UnitOfWork,
        device_access::{DeviceLookups, RefreshNotes},
        devices::{ReportNotes, listing::Visitor},
        indexed::ReadIndexed,
        sqlite::SqliteStore,
    },
};

/// A kind of store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Backend {
    /// SQLite in a file.
    Sqlite,
    /// The same, where whoever asks waits while everybody else goes on: as behind a network.
    Distant,
}

pub(crate) const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Distant];

impl Backend {
    /// A store with the tables of a new one, and its rows from outside.
    pub(super) async fn open(self, folder: &Path) -> (Arc<dyn Store>, Box<dyn Outside>) {
        let file = folder.join("database.db");
        let store = SqliteStore::open(&file).await.unwrap();
        store.migrate().await.unwrap();
        let store: Arc<dyn Store> = match self {
            Self::Sqlite => Arc::new(store),
            Self::Distant => Arc::new(Distant(store)),
        };
        (store, Box::new(SqliteFile(file)))
    }
}

/// Rows as another program sees and changes them: the legacy beside the server, or an operator's shell.
#[async_trait]
pub(crate) trait Outside: fmt::Debug + Send + Sync {
    async fn run(&self, statements: &str);

    /// Every row of a query, its values as text.
    async fn rows(&self, query: &str) -> Vec<Vec<Option<String>>>;
}

#[derive(Debug)]
struct SqliteFile(PathBuf);

impl SqliteFile {
    async fn connect(&self) -> SqliteConnection {
        // As sqlite's shell does: rows may name what is not there.
        let options = SqliteConnectOptions::new().filename(&self.0).foreign_keys(false);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

#[async_trait]
impl Outside for SqliteFile {
    async fn run(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    async fn rows(&self, query: &str) -> Vec<Vec<Option<String>>> {
        let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
            .fetch_all(&mut self.connect().await)
            .await
            .unwrap();
        let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).unwrap());
        rows.iter()
            .map(|row| {
                (0..row.len())
                    .map(|column| text(row.try_get_unchecked(column).unwrap()))
                    .collect()
            })
            .collect()
    }
}

/// Every call lets all other tasks go first.
#[derive(Debug)]
struct Distant(SqliteStore);

async fn travel() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl RefreshNotes for Distant {
    async fn note_refresh(&self, used: UsedRefreshToken) -> Result<(), StoreError> {
        travel().await;
        self.0.note_refresh(used).await
    }
}

#[async_trait]
impl ReadIndexed for Distant {
    async fn search_devices(
        &self,
        field: DeviceField,
        text: Option<&str>,
        visitor: &mut Visitor<'_, SearchedDevice>,
    ) -> Result<(), StoreError> {
        travel().await;
        self.0.search_devices(field, text, visitor).await
    }

    async fn activities_of_host(&self, hostname: &str) -> Result<Vec<ActivityLine>, StoreError> {
        travel().await;
        self.0.activities_of_host(hostname).await
    }
}

#[async_trait]
impl DeviceLookups for Distant {
    async fn device_of_call(&self, guid: &str) -> Result<Option<DeviceIdentity>, StoreError> {
        travel().await;
        self.0.device_of_call(guid).await
    }

    async fn refresh_token_of_call(
        &self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<(RefreshToken, Option<DeviceIdentity>)>, StoreError> {
        travel().await;
        self.0.refresh_token_of_call(guid, token_hash).await
    }
}

#[async_trait]
impl ReportNotes for Distant {
    async fn note_report(
        &self,
        guid: &str,
        report: &DeviceReport,
        now: i64,
    ) -> Result<Option<Option<String>>, StoreError> {
        travel().await;
        self.0.note_report(guid, report, now).await
    }
}

#[async_trait]
impl Store for Distant {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        travel().await;
        let work = self.0.begin().await;
        travel().await;
        work
    }

    async fn begin_brief(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        travel().await;
        let work = self.0.begin_brief().await;
        travel().await;
        work
    }

    async fn probe(&self) -> Result<(), StoreError> {
        travel().await;
        self.0.probe().await
    }

    async fn view(&self) -> Result<Box<dyn ReadTables>, StoreError> {
        travel().await;
        let view = self.0.view().await;
        travel().await;
        view
    }
}
