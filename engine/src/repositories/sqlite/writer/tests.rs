mod shared;

use std::{future::poll_fn, task::Poll};

use tokio::task::JoinSet;

use super::*;
use crate::repositories::sqlite::failure::Cause;

const DEADLINE: Duration = Duration::from_secs(2);

struct Place {
    folder: tempfile::TempDir,
    writer: Writer,
}

impl Place {
    /// A database with one table.
    async fn new() -> Self {
        Self::with_deadline(DEADLINE).await
    }

    /// Leaves the writer's connection no room for more than a few rows.
    async fn fill_up(&self) {
        let mut turn = self.writer.turn().await.unwrap();
        sqlx::raw_sql("PRAGMA max_page_count = 10")
            .execute(turn.connection())
            .await
            .unwrap();
    }

    async fn with_deadline(deadline: Duration) -> Self {
        // However slow the machine is, nobody is told to begin a transaction of their own.
        Self::with(deadline, Duration::from_secs(3600)).await
    }

    async fn with(deadline: Duration, span: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("database.db"))
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
            .busy_timeout(LOCK_SLICE);
        let writer = Writer::open_with(options, deadline, span).await.unwrap();
        let place = Self { folder, writer };
        place.write("CREATE TABLE t (x TEXT)").await.unwrap();
        place
    }

    /// Writes as a unit of work does.
    async fn write(&self, sql: &'static str) -> Result<(), StoreError> {
        let mut turn = self.writer.begin().await?;
        sqlx::raw_sql(sql).execute(turn.connection()).await?;
        turn.commit().await
    }

    /// Writes as a brief unit of work does.
    async fn brief(&self, sql: &'static str) -> Result<(), StoreError> {
        let mut turn = self.writer.begin_brief().await?;
        sqlx::query(sql).execute(turn.statements()).await?;
        turn.commit().await
    }

    async fn single(&self, sql: &'static str) -> Result<(), StoreError> {
        self.writer.change(|| sqlx::query(sql)).await.map(drop)
    }

    async fn another(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.folder.path().join("database.db"))
            .connect()
            .await
            .unwrap()
    }

    async fn rows(&self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM t")
            .fetch_one(&mut self.another().await)
            .await
            .unwrap()
    }
}

const ROW: &str = "INSERT INTO t VALUES ('row')";
const LARGE: &str = "INSERT INTO t VALUES (zeroblob(1000000))";

#[tokio::test]
async fn a_full_database_fails_one_change_and_not_the_next() {
    let place = Place::new().await;
    place.fill_up().await;
    let error = place.write(LARGE).await.unwrap_err();
    assert_eq!(Cause::of(&error), Some(Cause::DiskFull), "{error}");
    // The limit was the connection's, and SQLite had rolled back by itself: another connection took its place.
    place.write(ROW).await.unwrap();
    assert_eq!(place.rows().await, 1);
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_writes_nothing_half() {
    let place = Place::new().await;
    place
        .write(
            "CREATE TABLE u (x TEXT); \
             CREATE TRIGGER full BEFORE INSERT ON u BEGIN SELECT RAISE(ROLLBACK, 'full'); END",
        )
        .await
        .unwrap();
    let mut turn = place.writer.begin().await.unwrap();
    sqlx::raw_sql(ROW).execute(turn.connection()).await.unwrap();
    sqlx::raw_sql("INSERT INTO u VALUES ('x')")
        .execute(turn.connection())
        .await
        .unwrap_err();
    assert!(turn.commit().await.is_err());
    assert_eq!(place.rows().await, 0);
    place.write(ROW).await.unwrap();
    assert_eq!(place.rows().await, 1);
}

/// What comes of it, unless it is dropped when it has been polled so many times in vain.
async fn dropped_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = Box::pin(work);
    let mut left = polls;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn whoever_is_dropped_at_any_await_leaves_the_writer_usable() {
    let place = Place::new().await;
    // Each round is dropped one poll later than the one before, until one comes to its end.
    let mut polls = 0;
    loop {
        let ended = dropped_after(polls, place.write(ROW)).await;
        let before = place.rows().await;
        place.write(ROW).await.unwrap();
        // What was dropped is whole or not there; here nothing but the present change may have come.
        assert!((before + 1..=before + 2).contains(&place.rows().await));
        if let Some(done) = ended {
            done.unwrap();
            break;
        }
        polls += 1;
    }
    assert!(polls > 0, "nothing was ever dropped half-way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_waited_for_until_the_deadline_however_many_wait() {
    let place = Place::with_deadline(Duration::from_secs(1)).await;
    let mut locking = place.another().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut locking)
        .await
        .unwrap();
    let waiting = async {
        let mut all = JoinSet::new();
        for _ in 0..20 {
            let writer = place.writer.clone();
            all.spawn(async move { writer.begin().await.map(drop) });
            let writer = place.writer.clone();
            all.spawn(async move { writer.begin_brief().await.map(drop) });
            let writer = place.writer.clone();
            all.spawn(async move { writer.change(|| sqlx::query(ROW)).await.map(drop) });
        }
        all.join_all().await
    };
    // One after the other they would take a minute.
    let outcomes = timeout(Duration::from_secs(30), waiting).await.unwrap();
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::Busy)), "{outcome:?}");
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    place.write(ROW).await.unwrap();
    assert_eq!(place.rows().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_ends_in_time_is_waited_for() {
    let place = Place::with_deadline(Duration::from_secs(30)).await;
    let mut locking = place.another().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut locking)
        .await
        .unwrap();
    let writing = place.write(ROW);
    let unlocking = async {
        // Longer than SQLite itself waits at a time.
        for _ in 0..5 {
            tokio::task::spawn_blocking(|| std::thread::sleep(LOCK_SLICE))
                .await
                .unwrap();
        }
        sqlx::raw_sql("ROLLBACK").execute(&mut locking).await.unwrap();
    };
    let (written, ()) = tokio::join!(writing, unlocking);
    written.unwrap();
    assert_eq!(place.rows().await, 1);
}

#[tokio::test]
async fn a_failed_statement_of_its_own_leaves_the_writer_usable() {
    let place = Place::new().await;
    let mut turn = place.writer.turn().await.unwrap();
    turn.execute(|| sqlx::query("INSERT INTO nowhere VALUES (1)"))
        .await
        .unwrap_err();
    drop(turn);
    place.write(ROW).await.unwrap();
    assert_eq!(place.rows().await, 1);
}
