//! The memory that connections may take for what they have sent.
//!
//! Bytes are counted from when they are read until the message that they make is handled. Short messages and long ones
//! have budgets of their own, so that a client that sends large files keeps no other's reports waiting; for a long message
//! permits are taken piece by piece while it is read, so that a client waits before the server holds more than it may.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::settings::Limits;

/// A message is long from this size on.
const LONG: usize = 1_000_000;
/// What a long message takes at a time.
const PIECE: usize = 1_000_000;
/// Bytes are counted by these.
const UNIT: usize = 1000;

/// Bytes that wait to be handled, of all connections that have this budget. One message alone may be longer.
#[derive(Clone, Debug)]
pub struct Budget {
    short: Arc<Semaphore>,
    short_units: usize,
    long: Arc<Semaphore>,
    pieces: usize,
}

impl Budget {
    /// A budget of so many bytes; three quarters are for long messages.
    pub fn new(bytes: usize) -> Self {
        let quarter = bytes / 4;
        let pieces = (quarter * 3 / PIECE).max(1);
        let short_units = units(quarter);
        Self {
            short: Arc::new(Semaphore::new(short_units)),
            short_units,
            long: Arc::new(Semaphore::new(pieces)),
            pieces,
        }
    }

    /// A budget of so many bytes for short messages, beside this one's; long messages take of the same.
    pub fn beside(&self, bytes: usize) -> Self {
        let short_units = units(bytes);
        Self {
            short: Arc::new(Semaphore::new(short_units)),
            short_units,
            ..self.clone()
        }
    }

    /// Bytes that are taken of these budgets, all made beside the first of them. As counted: in units and pieces.
    pub fn waiting(budgets: &[Self]) -> usize {
        let short = budgets.iter().map(|budget| {
            let taken = budget
                .short_units
                .saturating_sub(budget.short.available_permits());
            taken * UNIT
        });
        let long = budgets.first().map_or(0, |budget| {
            budget.pieces.saturating_sub(budget.long.available_permits()) * PIECE
        });
        short.sum::<usize>() + long
    }
}

fn units(bytes: usize) -> usize {
    (bytes / UNIT).max(1)
}

/// One connection's part of the budget: what its client sent and is not handled yet.
#[derive(Debug)]
pub(super) struct ReceiveBudget {
    own: Arc<Semaphore>,
    own_units: usize,
    short: Arc<Semaphore>,
    pieces: usize,
    reading: Mutex<Reading>,
}

/// The message that is being read.
#[derive(Debug)]
struct Reading {
    long: PollSemaphore,
    bytes: usize,
    taken: Option<OwnedSemaphorePermit>,
}

/// The memory of one message, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    _taken: Vec<OwnedSemaphorePermit>,
}

impl ReceiveBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        let Budget {
            short, long, pieces, ..
        } = limits.budget.clone();
        let own_units = limits.waiting_bytes.div_ceil(UNIT).max(1);
        Self {
            own: Arc::new(Semaphore::new(own_units)),
            own_units,
            short,
            pieces,
            reading: Mutex::new(Reading {
                long: PollSemaphore::new(long),
                bytes: 0,
                taken: None,
            }),
        }
    }

    /// Whether more may be read: a long message waits for its next piece of the share. One that has taken all of it
    /// goes on alone.
    pub(super) fn poll_read_on(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut reading = self.reading();
        loop {
            let pieces = reading
                .taken
                .as_ref()
                .map_or(0, OwnedSemaphorePermit::num_permits);
            if pieces >= self.pieces || reading.bytes < LONG + pieces * PIECE {
                return Poll::Ready(());
            }
            let Poll::Ready(piece) = reading.long.poll_acquire(context) else {
                return Poll::Pending;
            };
            match (&mut reading.taken, piece) {
                (Some(taken), Some(piece)) => taken.merge(piece),
                (none, Some(piece)) => *none = Some(piece),
                // Nobody closes it.
                (_, None) => return Poll::Ready(()),
            }
        }
    }

    /// Counts bytes that were read.
    pub(super) fn note_read(&self, bytes: usize) {
        let mut reading = self.reading();
        reading.bytes = reading.bytes.saturating_add(bytes);
    }

    /// What the message took that has now been read whole.
    fn take(&self) -> Option<OwnedSemaphorePermit> {
        let mut reading = self.reading();
        reading.bytes = 0;
        reading.taken.take()
    }

    /// A permit for a message that was read, where the budget has one now.
    pub(super) fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        if bytes >= LONG {
            let taken = self.take().into_iter().collect();
            return Some(Permit { _taken: taken });
        }
        let own = Arc::clone(&self.own)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        let short = Arc::clone(&self.short)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        self.take();
        Some(Permit {
            _taken: vec![own, short],
        })
    }

    /// A permit for a message that was read, once there is one; `None` where there will be none.
    pub(super) async fn acquire(&self, bytes: usize) -> Option<Permit> {
        if bytes >= LONG {
            return self.try_acquire(bytes);
        }
        let units = self.units(bytes);
        let own = Arc::clone(&self.own).acquire_many_owned(units).await.ok()?;
        let short = Arc::clone(&self.short).acquire_many_owned(units).await.ok()?;
        self.take();
        Some(Permit {
            _taken: vec![own, short],
        })
    }

    fn units(&self, bytes: usize) -> u32 {
        // Small messages have a cost of their own.
        let units = bytes.div_ceil(UNIT).clamp(1, self.own_units);
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn reads_on(budget: &ReceiveBudget) -> bool {
        budget
            .poll_read_on(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    fn budgets<const N: usize>(bytes: usize) -> [ReceiveBudget; N] {
        let limits = Limits {
            budget: Budget::new(bytes),
            ..Limits::default()
        };
        std::array::from_fn(|_| ReceiveBudget::new(&limits))
    }

    #[test]
    fn long_messages_are_read_as_far_as_there_is_room_and_short_ones_beside_them() {
        let [one, other, short] = budgets(4_000_000);
        one.note_read(3_500_000);
        assert!(reads_on(&one));
        // The first has taken all three pieces; alone it goes on, and the other one waits.
        other.note_read(999_999);
        assert!(reads_on(&other));
        other.note_read(1);
        assert!(!reads_on(&other));
        one.note_read(90_000_000);
        assert!(reads_on(&one));
        assert!(short.try_acquire(900_000).is_some());
        let permit = one.try_acquire(93_500_000).unwrap();
        assert!(!reads_on(&other));
        drop(permit);
        assert!(reads_on(&other));
    }

    #[test]
    fn short_messages_wait_for_one_another_and_for_those_of_all() {
        let [one, other, third] = budgets(20_000_000);
        let held: Vec<_> = (0..4).map(|_| one.try_acquire(999_000).unwrap()).collect();
        assert!(one.try_acquire(999_000).is_none());
        assert!(other.try_acquire(999_000).is_some());
        let other_held = other.try_acquire(999_000).unwrap();
        assert!(third.try_acquire(999_000).is_none());
        drop((held, other_held));
        assert!(third.try_acquire(999_000).is_some());
    }
}
