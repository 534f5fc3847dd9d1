//! The one connection that writes, and its turns.
//!
//! SQLite ends a transaction by itself when the disk is full or a write fails, so whoever counts transactions on this
//! side is sooner or later wrong about it, and a connection that is thought to be inside one is lost until a restart.
//! Nothing is counted here. A turn that does not end with a commit ends with a rollback; a connection on which that
//! fails is closed, and the next turn opens another.
//!
//! # Brief changes share a transaction
//! A statement is two wake-ups of threads, because a connection has a thread of its own, and so are `BEGIN` and `COMMIT`,
//! which also costs the writes to the journal. So brief changes that wait at the same moment are committed together. One
//! that is done while others wait leaves the transaction open, gives the connection on, and queues behind them for a
//! turn to commit. Who has a turn meanwhile goes on in the open transaction where it is brief itself and there is
//! room, and commits it for those that are done otherwise. It follows that
//!
//! - turns come in the order in which they are asked for, and nobody is answered before the commit; where that fails, all
//!   who shared it are told so;
//! - who has asked after the first one was done is not waited for, nor are more than [`group::MOST`] changes;
//! - a change that is not brief has its transaction alone and is delayed by one commit at most;
//! - a change that fails is undone alone: one of several statements has a savepoint, and a single statement is undone by
//!   SQLite itself. Each next one begins with the release of the savepoint before it, which SQLite refuses where it has ended
//!   the transaction: nobody goes on in one that is not there, and those who shared it are told that nothing is stored;
//! - a commit for others is a task of its own, so that it does not matter who is dropped: half-way through one nobody could
//!   say any more what became of it.

mod group;
mod turn;

use std::{
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};
use tokio::{sync::Semaphore, time::timeout};

pub(super) use self::turn::{Statement, Turn};
use self::{group::Group, turn::close};
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
    /// How long after its begin others may go on in a transaction.
    span: Duration,
    turns: Arc<Semaphore>,
    /// How many ask for a turn. Says whether a transaction that is left open will be of use, and nothing else.
    asking: AtomicUsize,
    /// The connection between two turns; `None` where the next turn opens one.
    resting: Mutex<Option<Resting>>,
}

#[derive(Debug)]
struct Resting {
    connection: SqliteConnection,
    /// The transaction that is open on it.
    group: Option<Group>,
}

impl Writer {
    /// Opens the connection. `deadline` is how long a turn, and a lock of another process, is waited for.
    pub(super) async fn open(options: SqliteConnectOptions, deadline: Duration) -> Result<Self, StoreError> {
        Self::open_with(options, deadline, group::SPAN).await
    }

    async fn open_with(
        options: SqliteConnectOptions,
        deadline: Duration,
        span: Duration,
    ) -> Result<Self, StoreError> {
        let connection = options.connect().await?;
        Ok(Self(Arc::new(Shared {
            options,
            deadline,
            span,
            turns: Arc::new(Semaphore::new(1)),
            asking: AtomicUsize::new(0),
            resting: Mutex::new(Some(Resting {
                connection,
                group: None,
            })),
        })))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after the deadline.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        self.within_deadline(self.own_turn()).await
    }

    /// Waits for a turn and for the locks of other processes, then begins a transaction.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after the deadline, however the time was spent.
    pub(super) async fn begin(&self) -> Result<Turn, StoreError> {
        self.within_deadline(async {
            let mut turn = self.own_turn().await?;
            turn.begin().await?;
            Ok(turn)
        })
        .await
    }

    /// The same for a brief change, in a transaction that it may share with others.
    ///
    /// # Errors
    /// [`StoreError::Busy`] after the deadline, however the time was spent.
    pub(super) async fn begin_brief(&self) -> Result<Turn, StoreError> {
        self.within_deadline(async {
            let mut turn = self.any_turn().await?;
            turn.begin_brief().await?;
            Ok(turn)
        })
        .await
    }

    /// Makes a change that is a single statement; gives its rows.
    ///
    /// # Errors
    /// The statement or the commit failed; [`StoreError::Busy`] after the deadline.
    pub(super) async fn change<'q, Q>(&self, statement: Q) -> Result<Vec<SqliteRow>, StoreError>
    where
        Q: Fn() -> Statement<'q>,
    {
        let (turn, rows) = self
            .within_deadline(async {
                let mut turn = self.any_turn().await?;
                let rows = turn.add(statement).await?;
                Ok((turn, rows))
            })
            .await?;
        turn.commit().await?;
        Ok(rows)
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

    /// The next turn, with whatever transaction is open.
    async fn any_turn(&self) -> Result<Turn, StoreError> {
        let _asking = Asking::of(&self.0.asking);
        Shared::next_turn(&self.0).await
    }

    /// The next turn, without an open transaction.
    async fn own_turn(&self) -> Result<Turn, StoreError> {
        let mut turn = self.any_turn().await?;
        turn.settle().await?;
        Ok(turn)
    }

    /// Ends the turns and closes the connection, after the last turn's end. `last` is run on it before.
    pub(super) async fn close(&self, last: Option<&'static str>) {
        // Without the turn the connection is in use: whoever uses it closes it.
        let turn = self.turn().await;
        self.0.turns.close();
        let Ok(turn) = turn else { return };
        let Some(mut connection) = turn.into_connection() else {
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

/// Counts one that asks for a turn.
struct Asking<'a>(&'a AtomicUsize);

impl<'a> Asking<'a> {
    fn of(asking: &'a AtomicUsize) -> Self {
        asking.fetch_add(1, Ordering::Relaxed);
        Self(asking)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    async fn next_turn(this: &Arc<Self>) -> Result<Turn, StoreError> {
        let permit = Arc::clone(&this.turns)
            .acquire_owned()
            .await
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let resting = this.resting().take();
        let (connection, group) = match resting {
            Some(Resting { connection, group }) => (connection, group),
            None => (this.options.connect().await?, None),
        };
        Ok(Turn::new(Arc::clone(this), permit, connection, group))
    }

    fn resting(&self) -> MutexGuard<'_, Option<Resting>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_asked(&self) -> bool {
        self.asking.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests;
