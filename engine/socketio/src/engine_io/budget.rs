//! The memory that connections may take for what they have sent.
//!
//! Bytes are counted from when they are read until the message that they make is handled. Short messages, long ones and
//! attachments that wait for others have shares of their own, so that a client that sends large files keeps no other's
//! reports waiting. For a long message permits are taken piece by piece while it is read, so that a client waits before the
//! server holds more than it may; where several hold all of them and none is whole, some go on, so that they end one after
//! the other instead of waiting for each other.
//!
//! Of every share one sender gets a quarter, however many connections it has, and of those that go on beyond the share one is
//! its own: whoever trickles long messages keeps nobody waiting but himself.

mod reading;
mod senders;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::{reading::Reading, senders::Senders};
use crate::settings::Limits;

/// A message is long from this size on.
const LONG: usize = 1_000_000;
/// What a long message takes at a time.
const PIECE: usize = 1_000_000;
/// What a message takes at a time of what its sender may have begun; so much may be read of each without asking.
const STEP: usize = 64_000;
/// Bytes are counted by these.
const UNIT: usize = 1000;
/// Units of attachments, and of what stands before them, that wait without taking of any share: everybody may send a little
/// that waits, whatever others do.
const PARKED_FREE: usize = 4;
/// Messages that go on beyond the share of long ones: each of another sender, so that there is one for the others.
const BEYOND: usize = 2;
/// Which part of each share one sender may take.
const PART_OF_SENDER: usize = 4;

/// Bytes that wait to be handled, of all connections that have this budget. One message alone may be longer, and while all is
/// taken by long messages that are not whole, two of them go on beyond it.
#[derive(Clone, Debug)]
pub struct Budget {
    common: Arc<Common>,
    /// What the sender may take of it who has these connections; `None` where it is not known who has which.
    sender: Option<Arc<Sender>>,
}

#[derive(Debug)]
struct Common {
    /// In units.
    short: Share,
    long: LongShare,
    /// In units.
    parked: Share,
}

/// What one sender may take.
#[derive(Debug)]
struct Sender {
    /// Of what is read of messages before they are long; in steps.
    begun: Share,
    /// In units.
    short: Share,
    long: LongShare,
    /// In units.
    parked: Share,
}

/// What some kind of messages may take.
#[derive(Clone, Debug)]
struct Share {
    free: Arc<Semaphore>,
    all: usize,
}

/// What long messages may take.
#[derive(Clone, Debug)]
struct LongShare {
    pieces: Share,
    /// Who goes on beyond that.
    beyond: Share,
}

impl Share {
    fn of(all: usize) -> Self {
        let all = all.max(1);
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    /// What one sender may take of it.
    fn of_sender(&self) -> Self {
        Self::of(self.all / PART_OF_SENDER)
    }

    fn taken(&self) -> usize {
        self.all.saturating_sub(self.free.available_permits())
    }

    /// So many permits, or all there are, where there are as many now.
    fn try_take(&self, wanted: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free)
            .try_acquire_many_owned(self.within(wanted))
            .ok()
    }

    /// So many permits, or all there are, once there are as many; `None` where there will be none.
    async fn take(&self, wanted: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free)
            .acquire_many_owned(self.within(wanted))
            .await
            .ok()
    }

    fn within(&self, wanted: usize) -> u32 {
        u32::try_from(wanted.min(self.all)).unwrap_or(u32::MAX)
    }
}

impl Budget {
    /// Bytes of each message that a sender's part does not count while they are read.
    pub const UNCOUNTED: usize = STEP;

    /// A budget of so many bytes: a quarter for short messages, a quarter for attachments that wait until their packet is
    /// whole, the rest for long messages.
    pub fn new(bytes: usize) -> Self {
        let quarter = bytes / 4;
        let long = LongShare {
            pieces: Share::of(quarter * 2 / PIECE),
            beyond: Share::of(BEYOND),
        };
        Self::of(quarter, long)
    }

    /// A budget for those who send short messages alone: so many bytes of them, and as many that wait for others.
    pub fn of_short(bytes: usize) -> Self {
        let long = LongShare {
            pieces: Share::of(1),
            beyond: Share::of(1),
        };
        Self::of(bytes, long)
    }

    fn of(bytes: usize, long: LongShare) -> Self {
        let common = Common {
            short: Share::of(bytes / UNIT),
            long,
            parked: Share::of(bytes / UNIT),
        };
        Self {
            common: Arc::new(common),
            sender: None,
        }
    }

    /// Begins to read a message, which takes of this budget as it grows.
    pub fn reading(&self) -> Reading {
        Reading::new(self)
    }

    /// Bytes that are taken of these budgets. As counted: in units and pieces.
    pub fn waiting(budgets: &[Self]) -> usize {
        let taken = budgets.iter().map(|budget| {
            let Common { short, long, parked } = &*budget.common;
            (short.taken() + parked.taken()) * UNIT + long.pieces.taken() * PIECE
        });
        taken.sum()
    }

    /// The most that attachments of one packet may take while they wait, in bytes.
    pub(crate) fn most_parked(&self) -> usize {
        self.common.parked.all * UNIT
    }
}

/// What waits of a packet until the rest of it has come.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    taken: Vec<OwnedSemaphorePermit>,
}

impl Parked {
    /// Takes room for so many bytes in all; false where there is none. A packet alone may be larger than the share.
    pub(crate) fn grow(&mut self, budget: &Budget, bytes: usize) -> bool {
        let shares = [
            budget.sender.as_ref().map(|sender| &sender.parked),
            Some(&budget.common.parked),
        ];
        let shares = shares.into_iter().flatten();
        let most = shares.clone().map(|share| share.all).min().unwrap_or(0);
        let wanted = units(bytes).saturating_sub(PARKED_FREE).min(most);
        let has = self.taken.first().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = wanted.saturating_sub(has);
        if more == 0 {
            return true;
        }
        let Some(taken) = shares
            .map(|share| share.try_take(more))
            .collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        if self.taken.is_empty() {
            self.taken = taken;
        } else {
            for (held, more) in self.taken.iter_mut().zip(taken) {
                held.merge(more);
            }
        }
        true
    }

    /// The permit of the whole packet, whose last part has this one.
    pub(crate) fn with(self, last: Arc<Permit>) -> Arc<Permit> {
        Arc::new(Permit {
            _taken: self.taken,
            _last: Some(last),
        })
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

/// One connection's part of the budget: what its client sent and is not handled yet.
#[derive(Debug)]
pub(super) struct ReceiveBudget {
    own: Share,
    budget: Budget,
}

/// The memory of one message, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    _taken: Vec<OwnedSemaphorePermit>,
    _last: Option<Arc<Permit>>,
}

impl Permit {
    fn of(taken: Vec<OwnedSemaphorePermit>) -> Self {
        Self {
            _taken: taken,
            _last: None,
        }
    }
}

impl ReceiveBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            own: Share::of(units(limits.waiting_bytes)),
            budget: limits.budget.clone(),
        }
    }

    /// Begins to read.
    pub(super) fn reading(&self) -> Arc<Reading> {
        Arc::new(self.budget.reading())
    }

    /// A permit for a message that was read, where the budget has one now.
    pub(super) fn try_acquire(&self, bytes: usize, reading: &Reading) -> Option<Permit> {
        if bytes >= LONG {
            return Some(Permit::of(reading.take()));
        }
        let wanted = self.units(bytes);
        let taken = self.shares().map(|share| share.try_take(wanted));
        let taken = taken.collect::<Option<Vec<_>>>()?;
        reading.take();
        Some(Permit::of(taken))
    }

    /// A permit for a message that was read, once there is one; `None` where there will be none.
    pub(super) async fn acquire(&self, bytes: usize, reading: &Reading) -> Option<Permit> {
        if bytes >= LONG {
            return self.try_acquire(bytes, reading);
        }
        let wanted = self.units(bytes);
        let mut taken = Vec::with_capacity(3);
        for share in self.shares() {
            taken.push(share.take(wanted).await?);
        }
        reading.take();
        Some(Permit::of(taken))
    }

    /// The shares of short messages, from the connection's own to that of all.
    fn shares(&self) -> impl Iterator<Item = &Share> {
        let of_sender = self.budget.sender.as_ref().map(|sender| &sender.short);
        let of_all = &self.budget.common.short;
        [Some(&self.own), of_sender, Some(of_all)].into_iter().flatten()
    }

    /// Small messages have a cost of their own. One alone may be longer than a share.
    fn units(&self, bytes: usize) -> usize {
        let most = self.shares().map(|share| share.all).min().unwrap_or(1);
        units(bytes).clamp(1, most)
    }
}
