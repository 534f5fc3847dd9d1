//! The memory that connections may take for what they have sent.
//!
//! Bytes are counted from when they are read until the message that they make is handled. Short messages, long ones and
//! attachments that wait for others have shares of their own, so that a client that sends large files keeps no other's
//! reports waiting. For a long message permits are taken piece by piece while it is read, so that a client waits before the
//! server holds more than it may; where several hold all of them and none is whole, one goes on, so that they end one after
//! the other instead of waiting for each other.
//!
//! Long because its tests tell the ways in which clients can stand in each other's way.

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
/// Units of attachments, and of what stands before them, that wait without taking of any share: everybody may send a little
/// that waits, whatever others do.
const PARKED_FREE: usize = 4;

/// Bytes that wait to be handled, of all connections that have this budget. One message alone may be longer, and while all is
/// taken by long messages that are not whole, one of them goes on beyond it.
#[derive(Clone, Debug)]
pub struct Budget {
    /// In units.
    short: Share,
    /// In pieces.
    long: Share,
    /// Who goes on beyond that: one.
    beyond: Arc<Semaphore>,
    /// In units.
    parked: Share,
}

/// What some kind of messages may take.
#[derive(Clone, Debug)]
struct Share {
    free: Arc<Semaphore>,
    all: usize,
}

impl Share {
    fn of(all: usize) -> Self {
        let all = all.max(1);
        Self {
            free: Arc::new(Semaphore::new(all)),
            all,
        }
    }

    fn taken(&self) -> usize {
        self.all.saturating_sub(self.free.available_permits())
    }
}

impl Budget {
    /// A budget of so many bytes: a quarter for short messages, a quarter for attachments that wait until their packet is
    /// whole, the rest for long messages.
    pub fn new(bytes: usize) -> Self {
        let quarter = bytes / 4;
        Self {
            short: Share::of(quarter / UNIT),
            long: Share::of(quarter * 2 / PIECE),
            beyond: Arc::new(Semaphore::new(1)),
            parked: Share::of(quarter / UNIT),
        }
    }

    /// A budget for those who send short messages alone: so many bytes of them, and as many that wait for others.
    pub fn of_short(bytes: usize) -> Self {
        Self {
            short: Share::of(bytes / UNIT),
            long: Share::of(1),
            beyond: Arc::new(Semaphore::new(1)),
            parked: Share::of(bytes / UNIT),
        }
    }

    /// Bytes that are taken of these budgets. As counted: in units and pieces.
    pub fn waiting(budgets: &[Self]) -> usize {
        let taken = budgets.iter().map(|budget| {
            (budget.short.taken() + budget.parked.taken()) * UNIT + budget.long.taken() * PIECE
        });
        taken.sum()
    }

    /// The most that attachments of one packet may take while they wait, in bytes.
    pub(crate) fn most_parked(&self) -> usize {
        self.parked.all * UNIT
    }
}

/// What waits of a packet until the rest of it has come.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    taken: Option<OwnedSemaphorePermit>,
}

impl Parked {
    /// Takes room for so many bytes in all; false where there is none. A packet alone may be larger than the share.
    pub(crate) fn grow(&mut self, budget: &Budget, bytes: usize) -> bool {
        let wanted = units(bytes).saturating_sub(PARKED_FREE).min(budget.parked.all);
        let has = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(wanted.saturating_sub(has)).unwrap_or(u32::MAX);
        if more == 0 {
            return true;
        }
        let Ok(more) = Arc::clone(&budget.parked.free).try_acquire_many_owned(more) else {
            return false;
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        true
    }

    /// The permit of the whole packet, whose last part has this one.
    pub(crate) fn with(self, last: Arc<Permit>) -> Arc<Permit> {
        Arc::new(Permit {
            _taken: self.taken.into_iter().collect(),
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

/// What is being read at one place: of a websocket, or of the body of a POST. What it has taken of the budget goes with it.
#[derive(Debug)]
pub(super) struct Reading(Mutex<Progress>);

/// How far the message has come that is being read.
#[derive(Debug)]
struct Progress {
    long: PollSemaphore,
    beyond: PollSemaphore,
    pieces: usize,
    bytes: usize,
    taken: Option<OwnedSemaphorePermit>,
    goes_beyond: Option<OwnedSemaphorePermit>,
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

impl Reading {
    /// Whether more may be read: a long message waits for its next piece of the share, or until it may go on beyond it.
    pub(super) fn poll_read_on(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut progress = self.progress();
        loop {
            let pieces = progress
                .taken
                .as_ref()
                .map_or(0, OwnedSemaphorePermit::num_permits);
            if progress.goes_beyond.is_some()
                || pieces >= progress.pieces
                || progress.bytes < LONG + pieces * PIECE
            {
                return Poll::Ready(());
            }
            let Poll::Ready(piece) = progress.long.poll_acquire(context) else {
                let Poll::Ready(beyond) = progress.beyond.poll_acquire(context) else {
                    return Poll::Pending;
                };
                progress.goes_beyond = beyond;
                progress.waits_no_more();
                return Poll::Ready(());
            };
            match (&mut progress.taken, piece) {
                (Some(taken), Some(piece)) => taken.merge(piece),
                (none, Some(piece)) => *none = Some(piece),
                // Nobody closes it.
                (_, None) => return Poll::Ready(()),
            }
            progress.waits_no_more();
        }
    }

    /// Counts bytes that were read.
    pub(super) fn note_read(&self, bytes: usize) {
        let mut progress = self.progress();
        progress.bytes = progress.bytes.saturating_add(bytes);
    }

    /// Some of the bytes that were read are gone: they were of no message.
    pub(super) fn forget(&self, bytes: usize) {
        let mut progress = self.progress();
        progress.bytes = progress.bytes.saturating_sub(bytes);
    }

    /// What the message took that has now been read whole; what was read belongs to the next one from here on.
    pub(super) fn take(&self) -> Vec<OwnedSemaphorePermit> {
        let mut progress = self.progress();
        progress.bytes = 0;
        let (taken, beyond) = (progress.taken.take(), progress.goes_beyond.take());
        taken.into_iter().chain(beyond).collect()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Leaves the queues: what would be given to one that does not look any more is lost to all.
    fn waits_no_more(&mut self) {
        self.long = PollSemaphore::new(self.long.clone_inner());
        self.beyond = PollSemaphore::new(self.beyond.clone_inner());
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
        let Budget { long, beyond, .. } = &self.budget;
        Arc::new(Reading(Mutex::new(Progress {
            long: PollSemaphore::new(Arc::clone(&long.free)),
            beyond: PollSemaphore::new(Arc::clone(beyond)),
            pieces: long.all,
            bytes: 0,
            taken: None,
            goes_beyond: None,
        })))
    }

    /// A permit for a message that was read, where the budget has one now.
    pub(super) fn try_acquire(&self, bytes: usize, reading: &Reading) -> Option<Permit> {
        if bytes >= LONG {
            return Some(Permit::of(reading.take()));
        }
        let own = Arc::clone(&self.own.free)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        let short = Arc::clone(&self.budget.short.free)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        reading.take();
        Some(Permit::of(vec![own, short]))
    }

    /// A permit for a message that was read, once there is one; `None` where there will be none.
    pub(super) async fn acquire(&self, bytes: usize, reading: &Reading) -> Option<Permit> {
        if bytes >= LONG {
            return self.try_acquire(bytes, reading);
        }
        let units = self.units(bytes);
        let own = Arc::clone(&self.own.free).acquire_many_owned(units).await.ok()?;
        let short = Arc::clone(&self.budget.short.free)
            .acquire_many_owned(units)
            .await
            .ok()?;
        reading.take();
        Some(Permit::of(vec![own, short]))
    }

    fn units(&self, bytes: usize) -> u32 {
        // Small messages have a cost of their own. One alone may be longer than its share.
        let most = self.own.all.min(self.budget.short.all).max(1);
        u32::try_from(units(bytes).clamp(1, most)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};

    use super::*;

    fn reads_on(reading: &Reading) -> bool {
        reading
            .poll_read_on(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    fn budgets<const N: usize>(bytes: usize) -> [(ReceiveBudget, Arc<Reading>); N] {
        let limits = Limits {
            budget: Budget::new(bytes),
            ..Limits::default()
        };
        std::array::from_fn(|_| {
            let budget = ReceiveBudget::new(&limits);
            let reading = budget.reading();
            (budget, reading)
        })
    }

    #[test]
    fn long_messages_are_read_as_far_as_there_is_room_and_short_ones_beside_them() {
        let [(one, of_one), (_, of_other), (_, of_third), (short, of_short)] = budgets(4_000_000);
        of_one.note_read(2_500_000);
        assert!(reads_on(&of_one));
        // The first has taken both pieces and goes on alone; the second goes on beyond the share, and the third waits.
        of_one.note_read(90_000_000);
        assert!(reads_on(&of_one));
        of_other.note_read(999_999);
        of_third.note_read(999_999);
        assert!(reads_on(&of_other) && reads_on(&of_third));
        of_other.note_read(1);
        of_third.note_read(1);
        assert!(reads_on(&of_other));
        assert!(!reads_on(&of_third));
        assert!(short.try_acquire(900_000, &of_short).is_some());
        let permit = one.try_acquire(92_500_000, &of_one).unwrap();
        assert!(!reads_on(&of_third));
        drop(permit);
        assert!(reads_on(&of_third));
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(std::sync::atomic::AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }

    #[test]
    fn long_messages_that_hold_all_there_is_end_one_after_the_other() {
        let mut readers: Vec<_> = budgets::<5>(8_000_000).into();
        for (_, reading) in &readers {
            reading.note_read(1_500_000);
        }
        let mut ended = 0;
        while !readers.is_empty() {
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let goes_on = |(_, reading): &(ReceiveBudget, Arc<Reading>)| {
                reading.poll_read_on(&mut Context::from_waker(&waker)).is_ready()
            };
            // All that may read on do, up to their ends of 6.5 MB.
            let Some(place) = readers.iter().position(|reader| {
                while goes_on(reader) && reader.1.progress().bytes < 6_500_000 {
                    reader.1.note_read(500_000);
                }
                goes_on(reader)
            }) else {
                panic!("{ended} ended, and the others wait for each other");
            };
            let (budget, reading) = readers.remove(place);
            drop(budget.try_acquire(6_500_000, &reading));
            ended += 1;
        }
        let [(budget, _)] = budgets(8_000_000);
        assert_eq!(Budget::waiting(&[budget.budget]), 0);
    }

    #[test]
    fn who_is_given_a_piece_waits_no_more_to_go_beyond_the_share() {
        let [(one, of_one), (two, of_two), (_, of_three), (_, of_four)] = budgets(4_000_000);
        for reading in [&of_one, &of_two] {
            reading.note_read(2_500_000);
        }
        // One has both pieces, two goes beyond, three waits in both queues.
        assert!(reads_on(&of_one) && reads_on(&of_two));
        of_three.note_read(1_500_000);
        assert!(!reads_on(&of_three));
        drop(one.try_acquire(2_500_000, &of_one));
        assert!(reads_on(&of_three));
        // What two gives back is there for who waits, and not kept for three.
        of_three.note_read(1_000_000);
        of_four.note_read(2_500_000);
        assert!(reads_on(&of_three));
        assert!(!reads_on(&of_four));
        drop(two.try_acquire(2_500_000, &of_two));
        assert!(reads_on(&of_four));
    }

    #[test]
    fn what_was_read_of_no_message_takes_nothing() {
        let [(budget, reading)] = budgets(8_000_000);
        for _ in 0..100 {
            reading.note_read(60_006);
            reading.forget(60_006);
        }
        reading.note_read(600_000);
        drop(reading.take());
        reading.note_read(600_000);
        assert!(reads_on(&reading));
        assert_eq!(Budget::waiting(&[budget.budget]), 0);
    }

    #[test]
    fn short_messages_wait_for_one_another_and_for_those_of_all() {
        let [(one, of_one), (other, of_other), (third, of_third)] = budgets(20_000_000);
        let held: Vec<_> = (0..4)
            .map(|_| one.try_acquire(999_000, &of_one).unwrap())
            .collect();
        assert!(one.try_acquire(999_000, &of_one).is_none());
        assert!(other.try_acquire(999_000, &of_other).is_some());
        let other_held = other.try_acquire(999_000, &of_other).unwrap();
        assert!(third.try_acquire(999_000, &of_third).is_none());
        drop((held, other_held));
        assert!(third.try_acquire(999_000, &of_third).is_some());
    }

    #[test]
    fn what_waits_for_the_rest_of_its_packet_has_a_share_of_its_own_and_one_alone_may_be_larger() {
        let budget = Budget::new(8_000_000);
        let (mut large, mut other, mut little) = (Parked::default(), Parked::default(), Parked::default());
        assert!(large.grow(&budget, 1_000_000));
        assert!(large.grow(&budget, 50_000_000));
        assert!(!other.grow(&budget, 5_000));
        assert!(little.grow(&budget, 4_000));
        assert_eq!(Budget::waiting(std::slice::from_ref(&budget)), 2_000_000);
        drop(large);
        assert!(other.grow(&budget, 5_000));
        let last = Arc::new(Permit::of(Vec::new()));
        drop(other.with(last));
        assert_eq!(Budget::waiting(&[budget]), 0);
    }
}
