//! What the tests of services and of the store share: a store over a fresh folder, a clock that is set, and rows as
//! another program sees them. Tests of a whole server have their own in `tests/suite/testkit.rs`.

pub(crate) mod stores;

use std::{path::Path, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use self::stores::{Backend, Outside};
use crate::{
    config::{
        audit_log::AuditLog,
        log_file::{Kept, LogFile},
    },
    domain::{json::Json, json_reader::read_text},
    integrations::{clock::ManualClock, random::SeededRandom},
    repositories::Store,
    services::Environment,
};

/// When a test's clock starts, Unix seconds: 2027-01-15T08:00:00Z.
pub(crate) const START: i64 = 1_800_000_000;
/// The GUID of most tests' device.
pub(crate) const GUID: &str = "3F2504E0-4F89-11D3-9A0C-0305E82C3301";
/// The agent that runs as the system on it.
pub(crate) const AGENT: &str = "WIN-1_3F2504E0-4F89-11D3-9A0C-0305E82C3301_SYSTEM";

/// A clock that stands at this time, Unix seconds.
pub(crate) fn clock_at(seconds: i64) -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_second(seconds).unwrap()))
}

/// What a service is made of in a test: any store, time and randomness.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    outside: Box<dyn Outside>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) environment: Environment,
}

impl Ground {
    /// At [`START`], with nothing in the store but what every new one has.
    pub(crate) async fn new() -> Self {
        Self::at(START).await
    }

    /// The same, with these rows.
    pub(crate) async fn with(rows: &str) -> Self {
        let ground = Self::new().await;
        ground.sql(rows).await;
        ground
    }

    pub(crate) async fn at(seconds: i64) -> Self {
        Self::over(Backend::Sqlite, seconds).await
    }

    /// Over a store of this kind.
    pub(crate) async fn over(backend: Backend, seconds: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, outside) = backend.open(folder.path()).await;
        let clock = clock_at(seconds);
        Self {
            folder,
            store,
            outside,
            environment: Environment {
                clock: clock.clone(),
                random: Arc::new(SeededRandom::new(1)),
            },
            clock,
        }
    }

    /// The store, for a service.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes what this thread changes into an audit log, as long as the guard lives.
    pub(crate) fn audited(&self) -> DefaultGuard {
        let file = LogFile::new(self.root().join("audit.log"), TimeZone::UTC, Kept::Days(1));
        let log = AuditLog::new(file, self.clock.clone());
        tracing::subscriber::set_default(Registry::default().with(log))
    }

    /// What the audit log says so far: who did what to which.
    pub(crate) fn audit_lines(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.root().join("audit.log")).unwrap_or_default();
        let line = |line| {
            let entry = read_text(line).unwrap();
            let member = |name| {
                let member = entry.get(name).and_then(Json::as_text);
                member.unwrap_or("-").to_owned()
            };
            ["by", "who", "what", "id"].map(member).join(" ")
        };
        log.lines().map(line).collect()
    }

    /// Sets the clock to so many seconds after [`START`].
    pub(crate) fn later(&self, seconds: i64) {
        self.set_clock(START + seconds);
    }

    /// Sets the clock, Unix seconds.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.clock.set(Timestamp::from_second(seconds).unwrap());
    }

    /// Another program changes rows.
    pub(crate) async fn sql(&self, statements: &str) {
        self.outside.run(statements).await;
    }

    /// Every row of a query, its values as text.
    pub(crate) async fn rows(&self, query: &str) -> Vec<Vec<Option<String>>> {
        self.outside.rows(query).await
    }

    pub(crate) async fn row(&self, query: &str) -> Vec<Option<String>> {
        let mut rows = self.rows(query).await;
        assert_eq!(rows.len(), 1, "{query}");
        rows.remove(0)
    }

    /// The one column of every row.
    pub(crate) async fn column(&self, query: &str) -> Vec<Option<String>> {
        let rows = self.rows(query).await;
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// The one number that a query gives.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        self.row(query).await.remove(0).unwrap().parse().unwrap()
    }
}
