//! One turn to write, and what it leaves behind.

use std::sync::Arc;

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow},
};
use tokio::{runtime::Handle, sync::OwnedSemaphorePermit, time::timeout};

use super::{Resting, Shared, group::Group};
use crate::repositories::{
    StoreError,
    sqlite::{failure::Cause, plans::Statements},
};

const BEGIN: &str = "BEGIN IMMEDIATE";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
/// Begins a transaction that others may go on in.
const BEGIN_SHARED: &str = "BEGIN IMMEDIATE; SAVEPOINT change";
const SAVE: &str = "SAVEPOINT change";
const RELEASE: &str = "RELEASE change";
const RELEASE_AND_SAVE: &str = "RELEASE change; SAVEPOINT change";
const UNDO: &str = "ROLLBACK TO change";

/// A turn to write: nobody else of this process writes before it is dropped.
#[derive(Debug)]
pub(in crate::repositories::sqlite) struct Turn {
    /// Present until the turn is dropped.
    connection: Option<SqliteConnection>,
    state: State,
    /// The open transaction, where it may be shared.
    group: Option<Group>,
    writer: Arc<Shared>,
    permit: Option<OwnedSemaphorePermit>,
}

/// What a turn may have left on its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nothing: no statement is under way, and what the open transaction holds, if there is one, is whole.
    Clean,
    /// A statement outside a transaction may be under way.
    Statement,
    /// A transaction may be open in which nobody else has changed anything.
    Transaction,
    /// A single statement may be under way in a transaction with the changes of others.
    Among,
    /// Changes that can be undone alone may be in a transaction with those of others.
    Savepoint,
    /// It is being undone. Where that ends half-way, the connection is closed.
    Doubtful,
}

impl Turn {
    pub(super) fn new(
        writer: Arc<Shared>,
        permit: OwnedSemaphorePermit,
        connection: SqliteConnection,
        group: Option<Group>,
    ) -> Self {
        Self {
            connection: Some(connection),
            state: State::Clean,
            group,
            writer,
            permit: Some(permit),
        }
    }

    /// The connection.
    ///
    /// # Panics
    /// Never: it is there until the turn is dropped.
    pub(in crate::repositories::sqlite) fn connection(&mut self) -> &mut SqliteConnection {
        present(&mut self.connection)
    }

    /// What the statements of a change run on. Why one fails is kept for those who share the transaction.
    pub(in crate::repositories::sqlite) fn statements(&mut self) -> Statements<'_> {
        let failure = self.group.as_mut().map(|group| &mut group.failure);
        Statements::noting(present(&mut self.connection), failure)
    }

    /// The connection, to be closed.
    pub(super) fn into_connection(mut self) -> Option<SqliteConnection> {
        self.connection.take()
    }

    /// Begins a transaction that is this turn's alone.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.begin_with(BEGIN).await
    }

    /// Goes on in the open transaction, or begins one that others may go on in.
    pub(super) async fn begin_brief(&mut self) -> Result<(), StoreError> {
        if self.goes_on(RELEASE_AND_SAVE, SAVE).await? {
            self.state = State::Savepoint;
        } else {
            self.begin_shared(BEGIN_SHARED).await?;
        }
        if let Some(group) = &mut self.group {
            group.has_savepoint = true;
        }
        Ok(())
    }

    async fn begin_with(&mut self, statement: &'static str) -> Result<(), StoreError> {
        self.state = State::Transaction;
        let begun = self.retried(|| sqlx::query(statement)).await;
        if let Err(error) = begun {
            // Whatever it was, nothing has begun that could be rolled back.
            self.state = State::Statement;
            return Err(error.into());
        }
        Ok(())
    }

    async fn begin_shared(&mut self, statement: &'static str) -> Result<(), StoreError> {
        self.begin_with(statement).await?;
        self.group = Some(Group::new());
        Ok(())
    }

    /// Goes on in the open transaction; false where there is none now. `after_savepoint` ends the savepoint of the change
    /// before, and `else_first` is run where that has none.
    async fn goes_on(
        &mut self,
        after_savepoint: &'static str,
        else_first: &'static str,
    ) -> Result<bool, StoreError> {
        let span = self.writer.span;
        if self.group.as_ref().is_some_and(|group| group.is_full(span)) {
            self.settle().await?;
        }
        let Some(group) = &self.group else {
            return Ok(false);
        };
        let statement = if group.has_savepoint {
            after_savepoint
        } else {
            else_first
        };
        if statement.is_empty() {
            return Ok(true);
        }
        // Where this is dropped, nobody knows which savepoint is there. A commit does not ask.
        self.state = State::Among;
        let went_on = sqlx::query(statement).execute(self.connection()).await;
        self.state = State::Clean;
        if let Err(error) = went_on {
            self.give_up(error.into()).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Runs a single statement as a change of its own; [`Turn::commit`] comes next.
    pub(super) async fn add<'q, Q>(&mut self, statement: Q) -> Result<Vec<SqliteRow>, StoreError>
    where
        Q: Fn() -> Statement<'q>,
    {
        if self.goes_on(RELEASE, "").await? {
            self.state = State::Among;
        } else if self.writer.is_asked() {
            self.begin_shared(BEGIN).await?;
        } else {
            // Nobody to share with: a statement is a transaction by itself.
            self.state = State::Statement;
            let rows = loop {
                // To the end: a commit that fails is told behind the rows.
                match statement().fetch_all(Statements::on(self.connection())).await {
                    Err(error) if Cause::of_database(&error) == Some(Cause::Locked) => {
                        tokio::task::yield_now().await;
                    }
                    done => break done?,
                }
            };
            self.state = State::Clean;
            return Ok(rows);
        }
        if let Some(group) = &mut self.group {
            group.has_savepoint = false;
        }
        Ok(statement().fetch_all(self.statements()).await?)
    }

    /// Commits what was begun; where it is brief, together with others.
    pub(in crate::repositories::sqlite) async fn commit(mut self) -> Result<(), StoreError> {
        if self.state == State::Clean {
            return Ok(());
        }
        let is_asked = self.writer.is_asked();
        let Some(group) = self.group.as_mut().filter(|group| is_asked || !group.is_empty()) else {
            return self.commit_alone().await;
        };
        let done = group.add(&self.writer);
        self.state = State::Clean;
        if !is_asked {
            // What became of it is told to all of them alike.
            let _ = self.settle().await;
        }
        drop(self);
        done.told().await
    }

    async fn commit_alone(&mut self) -> Result<(), StoreError> {
        self.group = None;
        // Only a database without a write-ahead log has readers that a commit waits for.
        let deadline = self.writer.deadline;
        timeout(deadline, self.retried(|| sqlx::query(COMMIT)))
            .await
            .map_err(|_| StoreError::Busy)??;
        self.state = State::Clean;
        Ok(())
    }

    /// Commits the transaction that others left open, and tells them. Where this is dropped, that goes on.
    pub(super) async fn settle(&mut self) -> Result<(), StoreError> {
        if self.group.is_none() {
            return Ok(());
        }
        let mut turn = self.take();
        let settling = tokio::spawn(async move {
            turn.commit_shared().await;
            turn
        });
        *self = settling.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        self.connect().await
    }

    /// Must come to its end.
    async fn commit_shared(&mut self) {
        if let Some(group) = self.group.take() {
            self.state = State::Transaction;
            let committed = self.commit_alone().await;
            if committed.is_err() {
                self.roll_back().await;
            }
            group.tell(committed);
        }
    }

    /// Tells those who shared the transaction that it is not there any more, and goes on with another connection.
    async fn give_up(&mut self, error: StoreError) -> Result<(), StoreError> {
        if let Some(group) = self.group.take() {
            group.tell(Err(error));
        }
        self.close().await;
        self.connect().await
    }

    /// Opens a connection where there is none.
    async fn connect(&mut self) -> Result<(), StoreError> {
        if self.connection.is_none() {
            self.connection = Some(self.writer.options.connect().await?);
        }
        Ok(())
    }

    /// What the turn has, in a turn of its own; nothing is left here.
    fn take(&mut self) -> Self {
        Self {
            connection: self.connection.take(),
            state: std::mem::replace(&mut self.state, State::Clean),
            group: self.group.take(),
            writer: Arc::clone(&self.writer),
            permit: self.permit.take(),
        }
    }

    /// Runs one statement outside a transaction. The caller bounds the time.
    pub(in crate::repositories::sqlite) async fn execute<'q, Q>(
        &mut self,
        statement: Q,
    ) -> Result<SqliteQueryResult, sqlx::Error>
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

    /// Undoes what this turn has left on its connection, and only that. The connection is closed where it is not certain
    /// that nothing is left.
    async fn clean(&mut self, left: State) {
        match left {
            State::Clean => {}
            State::Statement | State::Doubtful => self.close().await,
            State::Transaction => self.roll_back().await,
            // The statement is there or not, but what has become of the transaction only a commit tells.
            State::Among => self.commit_shared().await,
            State::Savepoint => {
                if let Err(error) = sqlx::query(UNDO).execute(self.connection()).await {
                    if let Some(group) = self.group.take() {
                        group.tell(Err(error.into()));
                    }
                    self.close().await;
                }
            }
        }
        self.state = State::Clean;
    }

    async fn roll_back(&mut self) {
        self.group = None;
        // That SQLite rolls back is the proof that nothing else is open. It refuses where it has done so by itself.
        if sqlx::query(ROLLBACK).execute(self.connection()).await.is_err() {
            self.close().await;
        }
        self.state = State::Clean;
    }

    /// Closes the connection, which undoes what it has not committed.
    async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            close(connection).await;
        }
        self.state = State::Clean;
    }
}

pub(in crate::repositories::sqlite) type Statement<'q> =
    sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

impl Drop for Turn {
    fn drop(&mut self) {
        if self.connection.is_none() || self.state == State::Doubtful {
            return;
        }
        if self.state != State::Clean {
            let mut turn = self.take();
            let left = std::mem::replace(&mut turn.state, State::Doubtful);
            // Without a runtime the connection is closed, which undoes what it has not committed.
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move { turn.clean(left).await });
            }
            return;
        }
        // Once the turns have ended nobody would commit what is open.
        if let Some(connection) = self.connection.take()
            && !(self.writer.turns.is_closed() && self.group.is_some())
        {
            *self.writer.resting() = Some(Resting {
                connection,
                group: self.group.take(),
            });
        }
    }
}

#[allow(
    clippy::expect_used,
    reason = "only `drop` and those who put another in its place take it"
)]
fn present(connection: &mut Option<SqliteConnection>) -> &mut SqliteConnection {
    connection.as_mut().expect("a turn has its connection")
}

pub(super) async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "a connection to the database was not closed in order");
    }
}
