//! What sessions may take of the server's memory for what they have sent.
//!
//! Bytes are counted from when they are read until the message that they make is handled. Short messages and long ones
//! take of shares of their own, so that one who sends large files keeps nobody's reports waiting; of a long message the
//! share is taken piece by piece while it is read, so that a client waits before the server holds what it has no room
//! for. Those whom nobody knows have a small share beside.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use super::{outbox::OutboxBounds, packet::LONGEST_NAMESPACE};
use crate::{
    config::bounds::{AnonymousBounds, Bounds},
    domain::json_reader::JsonReader,
};

/// The largest message, announced to clients (RT-5).
pub(super) const MAX_PAYLOAD: usize = 100_000_000;
/// Messages of one session that wait to be handled; then the client has to wait.
const WAITING_MESSAGES: usize = 64;
/// Bytes of one session's short messages that wait.
const OWN: usize = 4 * LONG;
/// A message is long from this size on.
const LONG: usize = 1_000_000;
/// What a long message takes at a time.
const PIECE: usize = 1_000_000;
/// Bytes are counted by these.
const UNIT: usize = 1000;

/// The shares that all sessions take of.
#[derive(Debug)]
pub(super) struct Shares {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    pieces: usize,
    anonymous: Arc<Semaphore>,
}

impl Shares {
    /// Three quarters are for long messages.
    pub(super) fn new(bounds: &Bounds) -> Self {
        let quarter = bounds.waiting_bytes / 4;
        let pieces = (quarter * 3 / PIECE).max(1);
        let share = |bytes: usize| Arc::new(Semaphore::new((bytes / UNIT).max(1)));
        Self {
            short: share(quarter),
            long: Arc::new(Semaphore::new(pieces)),
            pieces,
            anonymous: share(bounds.anonymous.waiting_bytes),
        }
    }

    /// What one session may take; `reader` reads its texts.
    pub(super) fn for_session(&self, reader: JsonReader) -> SessionBounds {
        SessionBounds {
            message: MAX_PAYLOAD,
            waiting_messages: WAITING_MESSAGES,
            outbox: OutboxBounds::default(),
            reader,
            is_anonymous: false,
            longest_echo: LONGEST_NAMESPACE,
            room: Room::new(&self.short, &self.long, self.pieces, OWN),
        }
    }

    /// What one session may take whom nobody knows.
    pub(super) fn for_anonymous(&self, bounds: &AnonymousBounds) -> SessionBounds {
        SessionBounds {
            message: bounds.message,
            waiting_messages: bounds.waiting_messages.max(1),
            outbox: OutboxBounds {
                frames: bounds.waiting_frames,
                bytes: bounds.message,
            },
            reader: JsonReader::within(bounds.json_values),
            is_anonymous: true,
            longest_echo: bounds.echo,
            room: Room::new(&self.anonymous, &self.long, self.pieces, bounds.message),
        }
    }
}

/// How much one session may take of the server.
#[derive(Debug)]
pub(super) struct SessionBounds {
    /// The largest message.
    pub(super) message: usize,
    /// Messages that wait to be handled.
    pub(super) waiting_messages: usize,
    /// What waits to be sent.
    pub(super) outbox: OutboxBounds,
    /// What reads its texts.
    pub(super) reader: JsonReader,
    /// Whether it showed no identity where one is asked for.
    pub(super) is_anonymous: bool,
    /// Bytes of the name of a namespace whose refusal names it, as the protocol wants it. Nothing else that a client
    /// sends is sent back to it but the number of an acknowledgement.
    pub(super) longest_echo: usize,
    /// Where what it sent waits.
    pub(super) room: Room,
}

/// Where what one session sent waits to be handled.
#[derive(Debug)]
pub(super) struct Room {
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

/// Room for one message, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _taken: Vec<OwnedSemaphorePermit>,
}

impl Room {
    fn new(short: &Arc<Semaphore>, long: &Arc<Semaphore>, pieces: usize, own: usize) -> Self {
        let own_units = own.div_ceil(UNIT).max(1);
        Self {
            own: Arc::new(Semaphore::new(own_units)),
            own_units,
            short: Arc::clone(short),
            pieces,
            reading: Mutex::new(Reading {
                long: PollSemaphore::new(Arc::clone(long)),
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

    /// A place for a message that was read, where there is one now.
    pub(super) fn try_place(&self, bytes: usize) -> Option<Place> {
        if bytes >= LONG {
            let taken = self.take().into_iter().collect();
            return Some(Place { _taken: taken });
        }
        let own = Arc::clone(&self.own)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        let short = Arc::clone(&self.short)
            .try_acquire_many_owned(self.units(bytes))
            .ok()?;
        self.take();
        Some(Place {
            _taken: vec![own, short],
        })
    }

    /// A place for a message that was read, once there is one; `None` where there will be none.
    pub(super) async fn place(&self, bytes: usize) -> Option<Place> {
        if bytes >= LONG {
            return self.try_place(bytes);
        }
        let units = self.units(bytes);
        let own = Arc::clone(&self.own).acquire_many_owned(units).await.ok()?;
        let short = Arc::clone(&self.short).acquire_many_owned(units).await.ok()?;
        self.take();
        Some(Place {
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

    fn reads_on(room: &Room) -> bool {
        room.poll_read_on(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    fn bounds(waiting_bytes: usize) -> Bounds {
        Bounds {
            waiting_bytes,
            ..Bounds::default()
        }
    }

    #[test]
    fn long_messages_are_read_as_far_as_there_is_room_and_short_ones_beside_them() {
        let shares = Shares::new(&bounds(4_000_000));
        let (one, other) = (
            shares.for_session(JsonReader::default()).room,
            shares.for_session(JsonReader::default()).room,
        );
        one.note_read(3_500_000);
        assert!(reads_on(&one));
        // The first has taken all three pieces; alone it goes on, and the other one waits.
        other.note_read(999_999);
        assert!(reads_on(&other));
        other.note_read(1);
        assert!(!reads_on(&other));
        one.note_read(90_000_000);
        assert!(reads_on(&one));
        let short = shares.for_session(JsonReader::default()).room;
        assert!(short.try_place(900_000).is_some());
        let place = one.try_place(93_500_000).unwrap();
        assert!(!reads_on(&other));
        drop(place);
        assert!(reads_on(&other));
    }

    #[test]
    fn short_messages_wait_for_one_another_and_for_those_of_all() {
        let shares = Shares::new(&bounds(20_000_000));
        let (one, other) = (
            shares.for_session(JsonReader::default()).room,
            shares.for_session(JsonReader::default()).room,
        );
        let held: Vec<_> = (0..4).map(|_| one.try_place(999_000).unwrap()).collect();
        assert!(one.try_place(999_000).is_none());
        assert!(other.try_place(999_000).is_some());
        let other_held = other.try_place(999_000).unwrap();
        let third = shares.for_session(JsonReader::default()).room;
        assert!(third.try_place(999_000).is_none());
        drop((held, other_held));
        assert!(third.try_place(999_000).is_some());
    }
}
