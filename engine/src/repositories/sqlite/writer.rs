//! The one connection that writes, and its turns.
//!
//! SQLite ends a transaction by itself when the disk is full or a write fails, so whoever counts transactions on this
//! side is sooner or later wrong about it, and a connection that is thought to be inside one is lost until a restart.
//! Nothing is counted here. A turn that does not end with a commit ends with a rollback; a connection on which that
//! fails is closed, and the next turn opens another.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteQueryResult},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{failure::Cause, plans::Statements};
use crate::repositories::StoreError;

/// How long SQLite itself waits for another process's lock. Longer waits are made of several of these, so that nobody
/// waits past a deadline inside SQLite.
pub(super) const LOCK_SLICE: Duration = Duration::from_millis(200);

/// Hands out turns to write, in the order in which they are asked for.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: SqliteConnectOptions,
    deadline: Duration,
    turns: Arc<Semaphore>,
    /// The connection between two turns; `None` where the next turn opens one.
    resting: Mutex<Option<SqliteConnection>>,
}

/// A turn to write: nobody else of this process writes before it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// Present until the turn is dropped.
    connection: Option<SqliteConnection>,
    state: State,
    writer: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

/// The state of a turn's connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// No transaction, no statement under way.
    Clean,
    /// A statement of its own may be under way.
    Statement,
    /// A transaction may be open.
    Transaction,
}

impl Writer {
    /// Opens the connection. `deadline` is how long a turn, and a lock of another process, is waited for.
    pub(super) async fn open(options: SqliteConnectOptions, deadline: Duration) -> Result<Self, StoreError> {
        let connection = options.connect().await?;
        Ok(Self(Arc::new(Shared {
            options,
            deadline,
            turns: Arc::new(Semaphore::new(1)),
            resting: Mutex::new(Some(connection)),
        })))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after the deadline.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        self.within_deadline(self.next_turn()).await
    }

    /// Waits for a turn and for the locks of other processes, then begins a transaction.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after the deadline, however the time was spent.
    pub(super) async fn begin(&self) -> Result<Turn, StoreError> {
        self.within_deadline(async {
            let mut turn = self.next_turn().await?;
            turn.begin().await?;
            Ok(turn)
        })
        .await
    }

    /// Runs `work`; [`StoreError::Busy`] where it takes longer than anybody waits for the database.
    pub(super) async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(self.0.deadline, work)
            .await
            .unwrap_or(Err(StoreError::Busy))
    }

    async fn next_turn(&self) -> Result<Turn, StoreError> {
        let permit = Arc::clone(&self.0.turns)
            .acquire_owned()
            .await
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let resting = self.0.resting().take();
        let connection = match resting {
            Some(connection) => connection,
            None => self.0.options.connect().await?,
        };
        Ok(Turn {
            connection: Some(connection),
            state: State::Clean,
            writer: Arc::clone(&self.0),
            permit: Some(permit),
        })
    }

    /// Ends the turns and closes the connection, after the last turn's end. `last` is run on it before.
    pub(super) async fn close(&self, last: Option<&'static str>) {
        // Without the turn the connection is in use: whoever uses it closes it.
        let turn = self.turn().await;
        self.0.turns.close();
        let Ok(mut turn) = turn else { return };
        let Some(mut connection) = turn.connection.take() else {
            return;
        };
        if let Some(statement) = last
            && let Err(error) = sqlx::query(statement).execute(&mut connection).await
        {
            tracing::warn!(%error, "the database was closed without a checkpoint; nothing is lost");
        }
        close(connection).await;
    }
}

impl Shared {
    fn resting(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The connection.
    ///
    /// # Panics
    /// Never: it is there until the turn is dropped.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        #[allow(clippy::expect_used, reason = "only `drop` takes it")]
        self.connection.as_mut().expect("a turn has its connection")
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.state = State::Transaction;
        let begun = self.retried(|| sqlx::query("BEGIN IMMEDIATE")).await;
        if let Err(error) = begun {
            // Whatever it was, nothing has begun that could be rolled back.
            self.state = State::Statement;
            return Err(error.into());
        }
        Ok(())
    }

    /// Commits what was begun.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        // Only a database without a write-ahead log has readers that a commit waits for.
        let deadline = self.writer.deadline;
        timeout(deadline, self.retried(|| sqlx::query("COMMIT")))
            .await
            .map_err(|_| StoreError::Busy)??;
        self.state = State::Clean;
        Ok(())
    }

    /// Runs one statement outside a transaction. The caller bounds the time.
    pub(super) async fn execute<'q, Q>(&mut self, statement: Q) -> Result<SqliteQueryResult, sqlx::Error>
    where
        Q: Fn() -> Statement<'q>,
    {
        self.state = State::Statement;
        let done = self.retried(statement).await?;
        self.state = State::Clean;
        Ok(done)
    }

    /// Runs a statement until no other process's lock is in its way.
    async fn retried<'q, Q>(&mut self, statement: Q) -> Result<SqliteQueryResult, sqlx::Error>
    where
        Q: Fn() -> Statement<'q>,
    {
        loop {
            match statement().execute(Statements::on(self.connection())).await {
                Err(error) if Cause::of_database(&error) == Some(Cause::Locked) => {
                    // SQLite has waited for a while; a task that never yields could not be timed out.
                    tokio::task::yield_now().await;
                }
                done => return done,
            }
        }
    }
}

type Statement<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if self.state == State::Clean {
            *self.writer.resting() = Some(connection);
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            // Closing the connection undoes what it has not committed.
            drop(connection);
            return;
        };
        let (state, writer, permit) = (self.state, Arc::clone(&self.writer), self.permit.take());
        runtime.spawn(async move {
            if let Some(connection) = cleaned(connection, state).await {
                *writer.resting() = Some(connection);
            }
            drop(permit);
        });
    }
}

/// The connection without its transaction; `None` where that is not certain, and the connection is closed.
async fn cleaned(mut connection: SqliteConnection, state: State) -> Option<SqliteConnection> {
    // That SQLite rolls back is the proof that nothing else is open. It refuses where it has done so by itself.
    if state == State::Transaction && sqlx::query("ROLLBACK").execute(&mut connection).await.is_ok() {
        return Some(connection);
    }
    close(connection).await;
    None
}

async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection to the database was not closed in order");
    }
}

#[cfg(test)]
mod tests;
