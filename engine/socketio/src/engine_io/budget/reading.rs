//! A message while it is being read.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use super::{Budget, LONG, LongShare, PIECE, STEP};

/// What is being read at one place: of a websocket, or of a body. What it has taken of the budget goes with it.
#[derive(Debug)]
pub struct Reading {
    budget: Budget,
    progress: Mutex<Progress>,
}

/// How far the message has come that is being read.
#[derive(Debug, Default)]
struct Progress {
    bytes: usize,
    /// Once it is more than may be read without asking.
    takes: Option<Box<Takes>>,
}

/// What a message has taken, and what it waits for.
#[derive(Debug)]
struct Takes {
    /// Of what its sender may have begun.
    begun: Option<Taken>,
    /// Of what its sender may take of the long share.
    own: Option<Pieces>,
    long: Pieces,
}

/// What is taken of a long share, and the turn of going on beyond it.
#[derive(Debug)]
struct Pieces {
    pieces: Taken,
    beyond: Taken,
}

/// Permits of one semaphore, and the place in its queue.
#[derive(Debug)]
struct Taken {
    semaphore: PollSemaphore,
    permits: Option<OwnedSemaphorePermit>,
    all: usize,
}

impl Taken {
    fn of(semaphore: &Arc<Semaphore>, all: usize) -> Self {
        Self {
            semaphore: PollSemaphore::new(Arc::clone(semaphore)),
            permits: None,
            all,
        }
    }

    fn count(&self) -> usize {
        self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Whether so many are taken, of which more than all there are cannot be wanted; takes one where one is missing.
    fn poll(&mut self, wanted: usize, context: &mut Context<'_>) -> Poll<()> {
        while self.count() < wanted.min(self.all) {
            let Poll::Ready(one) = self.semaphore.poll_acquire(context) else {
                return Poll::Pending;
            };
            match (&mut self.permits, one) {
                (Some(permits), Some(one)) => permits.merge(one),
                (none, Some(one)) => *none = Some(one),
                // Nobody closes it.
                (_, None) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }

    /// Leaves the queue: what would be given to one that does not look any more is lost to all.
    fn waits_no_more(&mut self) {
        self.semaphore = PollSemaphore::new(self.semaphore.clone_inner());
    }
}

impl Pieces {
    fn of(share: &LongShare) -> Self {
        Self {
            pieces: Taken::of(&share.pieces.free, share.pieces.all),
            beyond: Taken::of(&share.beyond.free, 1),
        }
    }
}

impl Takes {
    fn of(budget: &Budget) -> Box<Self> {
        let sender = budget.sender.as_deref();
        Box::new(Self {
            begun: sender.map(|sender| Taken::of(&sender.begun.free, sender.begun.all)),
            own: sender.map(|sender| Pieces::of(&sender.long)),
            long: Pieces::of(&budget.common.long),
        })
    }

    fn poll(&mut self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        let poll = self.poll_begun(bytes, context).is_ready() && self.poll_long(bytes, context).is_ready();
        if !poll {
            return Poll::Pending;
        }
        for taken in self.each() {
            taken.waits_no_more();
        }
        Poll::Ready(())
    }

    /// A sender may have begun so much that is not long yet; one message goes on beyond it.
    fn poll_begun(&mut self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        let Some(begun) = &mut self.begun else {
            return Poll::Ready(());
        };
        if begun.poll(bytes.min(LONG) / STEP, context).is_ready() {
            return Poll::Ready(());
        }
        self.own
            .as_mut()
            .map_or(Poll::Ready(()), |own| own.beyond.poll(1, context))
    }

    /// Pieces of what the sender may have and of what there is, or the turn of going on beyond both.
    fn poll_long(&mut self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        let Some(wanted) = bytes.checked_sub(LONG).map(|more| more / PIECE + 1) else {
            return Poll::Ready(());
        };
        if self.long.beyond.count() > 0 {
            return Poll::Ready(());
        }
        let within_own = self
            .own
            .as_mut()
            .is_none_or(|own| wanted <= own.pieces.all && own.pieces.poll(wanted, context).is_ready());
        if within_own && self.long.pieces.poll(wanted, context).is_ready() {
            return Poll::Ready(());
        }
        let has_turn = self
            .own
            .as_mut()
            .is_none_or(|own| own.beyond.poll(1, context).is_ready());
        if has_turn {
            self.long.beyond.poll(1, context)
        } else {
            Poll::Pending
        }
    }

    fn each(&mut self) -> impl Iterator<Item = &mut Taken> {
        let own = self.own.iter_mut().chain([&mut self.long]);
        let pieces = own.flat_map(|pieces| [&mut pieces.pieces, &mut pieces.beyond]);
        self.begun.iter_mut().chain(pieces)
    }
}

impl Reading {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            progress: Mutex::default(),
        }
    }

    /// Whether more may be read now; where not, [`Reading::poll_read_on`] has to be asked.
    pub fn reads_on(&self) -> bool {
        self.poll_read_on(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// Whether more may be read: a message waits for its next piece of the share, or until it may go on beyond it.
    pub fn poll_read_on(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut progress = self.progress();
        let bytes = progress.bytes;
        let free = if self.budget.sender.is_some() { STEP } else { LONG };
        if bytes < free {
            return Poll::Ready(());
        }
        progress
            .takes
            .get_or_insert_with(|| Takes::of(&self.budget))
            .poll(bytes, context)
    }

    /// Counts bytes that were read.
    pub fn note_read(&self, bytes: usize) {
        let mut progress = self.progress();
        progress.bytes = progress.bytes.saturating_add(bytes);
    }

    /// Some of the bytes that were read are gone: they were of no message.
    pub(in crate::engine_io) fn forget(&self, bytes: usize) {
        let mut progress = self.progress();
        progress.bytes = progress.bytes.saturating_sub(bytes);
    }

    /// What the message took that has now been read whole; what was read belongs to the next one from here on.
    pub(in crate::engine_io) fn take(&self) -> Vec<OwnedSemaphorePermit> {
        let mut progress = self.progress();
        progress.bytes = 0;
        let Some(mut takes) = progress.takes.take() else {
            return Vec::new();
        };
        takes.each().filter_map(|taken| taken.permits.take()).collect()
    }

    /// How many bytes of the message have been read.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.progress().bytes
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
