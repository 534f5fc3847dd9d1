//! Changes in one transaction, and how they come to know whether it was committed.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use super::Shared;
use crate::repositories::{
    StoreError,
    sqlite::failure::{Failure, is_after_another},
};

/// How many changes share a transaction.
pub(super) const MOST: usize = 64;
/// How long after its begin others may go on in a transaction, in a server.
pub(super) const SPAN: Duration = Duration::from_millis(10);

type Outcome = Result<(), Arc<StoreError>>;

/// The changes that are done in a transaction that is open.
#[derive(Debug)]
pub(super) struct Group {
    begun: Instant,
    done: Vec<oneshot::Sender<Outcome>>,
    /// Whether there is a savepoint, of the last of them or of the one that is made now.
    pub(super) has_savepoint: bool,
    /// Why the last statement failed that did. Where SQLite has ended the transaction with it, only this says why.
    pub(super) failure: Option<Failure>,
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            begun: now(),
            done: Vec::new(),
            has_savepoint: false,
            failure: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Whether nobody else may go on in it, because of their number or because it was begun longer ago than `span`.
    pub(super) fn is_full(&self, span: Duration) -> bool {
        self.done.len() >= MOST || now().saturating_duration_since(self.begun) >= span
    }

    /// Takes up a change that is done. The first one sees to the commit.
    pub(super) fn add(&mut self, writer: &Arc<Shared>) -> Done {
        let (told, outcome) = oneshot::channel();
        let committer = self.done.is_empty().then(|| Committer {
            writer: Arc::clone(writer),
            is_needed: true,
        });
        self.done.push(told);
        Done { outcome, committer }
    }

    /// Tells all of them what became of the transaction.
    pub(super) fn tell(self, outcome: Result<(), StoreError>) {
        let outcome = outcome.map_err(|error| match self.failure {
            Some(failure) if is_after_another(&error) => Arc::new(failure.into()),
            _ => Arc::new(error),
        });
        for told in self.done {
            // Whoever has gone needs no answer.
            let _ = told.send(outcome.clone());
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "which changes share a transaction is seen nowhere, so no test needs to set this time"
)]
fn now() -> Instant {
    Instant::now()
}

/// A change that is done and waits for its commit.
#[derive(Debug)]
pub(super) struct Done {
    outcome: oneshot::Receiver<Outcome>,
    committer: Option<Committer>,
}

impl Done {
    /// Waits for the commit, and makes it where nobody else has by the time that this one's turn comes.
    pub(super) async fn told(mut self) -> Result<(), StoreError> {
        if let Some(committer) = &mut self.committer {
            tokio::select! {
                biased;
                told = &mut self.outcome => {
                    committer.is_needed = false;
                    return read(told);
                }
                () = commit(&committer.writer) => committer.is_needed = false,
            }
        }
        read(self.outcome.await)
    }
}

/// What became of the change; a transaction of which nothing is heard was left with its connection, which undoes it.
fn read(told: Result<Outcome, oneshot::error::RecvError>) -> Result<(), StoreError> {
    match told {
        Ok(outcome) => outcome.map_err(StoreError::Shared),
        Err(_) => Err(sqlx::Error::WorkerCrashed.into()),
    }
}

/// Sees to it that a transaction is committed though everybody who waits for it may go.
#[derive(Debug)]
struct Committer {
    writer: Arc<Shared>,
    is_needed: bool,
}

impl Drop for Committer {
    fn drop(&mut self) {
        if self.is_needed
            && let Ok(runtime) = Handle::try_current()
        {
            let writer = Arc::clone(&self.writer);
            runtime.spawn(async move { commit(&writer).await });
        }
    }
}

/// Commits whatever is open when the turn comes.
async fn commit(writer: &Arc<Shared>) {
    match Shared::next_turn(writer).await {
        // Whether it succeeded, each of them is told.
        Ok(mut turn) => drop(turn.settle().await),
        // There are no turns any more. Without its connection the transaction is undone, and all are told.
        Err(_) => drop(writer.resting().take()),
    }
}
