//! What waits to be sent to one client, in bounded memory.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::frame::Frame;

/// How much may wait. A client that is further behind is gone or hostile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxBounds {
    pub(crate) frames: usize,
    /// Unless it is one event alone.
    pub(crate) bytes: usize,
}

#[cfg(test)]
impl Default for OutboxBounds {
    fn default() -> Self {
        Self {
            frames: 4096,
            bytes: 128 * 1024 * 1024,
        }
    }
}

/// The client does not take what it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Overflow;

/// Why a reader gets no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoMore {
    /// A later reader has taken its place.
    Superseded,
    /// The outbox is closed and empty.
    Closed,
}

/// Frames that were taken together.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Portion {
    pub(crate) frames: Vec<Frame>,
    /// How many portions were taken before.
    number: u64,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    closed: bool,
    /// Readers there were; the last one counts.
    readers: u64,
    /// The last one stays the last.
    is_settled: bool,
    /// Portions that were taken.
    portions: u64,
    /// Somebody has waited in vain for less to wait; until it does nobody else will.
    is_given_up: bool,
}

/// Frames in the order in which they will be sent.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Outbox {
    bounds: OutboxBounds,
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Outbox {
    pub(crate) fn new(bounds: OutboxBounds) -> Self {
        Self {
            bounds,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Adds frames that belong together. Into a closed outbox nothing goes.
    pub(crate) fn push(&self, frames: &[Frame]) -> Result<(), Overflow> {
        let size: usize = frames.iter().map(Frame::len).sum();
        {
            let mut queue = self.queue();
            if queue.closed {
                return Ok(());
            }
            let fits = queue.frames.len() + frames.len() <= self.bounds.frames
                && queue.bytes + size <= self.bounds.bytes;
            if !fits && !queue.frames.is_empty() {
                return Err(Overflow);
            }
            queue.bytes += size;
            queue.frames.extend(frames.iter().cloned());
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Whoever takes from now on; those before get nothing more. A request that nobody waits for any more, which a proxy
    /// may hide, would swallow what it takes.
    pub(crate) fn reader(&self) -> Reader<'_> {
        self.next_reader(false)
    }

    /// Whoever takes from now on, whatever readers come after.
    pub(crate) fn last_reader(&self) -> Reader<'_> {
        self.next_reader(true)
    }

    fn next_reader(&self, is_last: bool) -> Reader<'_> {
        let number = {
            let mut queue = self.queue();
            if queue.is_settled {
                None
            } else {
                queue.is_settled = is_last;
                queue.readers += 1;
                Some(queue.readers)
            }
        };
        self.changed.notify_waiters();
        Reader { outbox: self, number }
    }

    /// Puts back what did not go out; false where later frames have, so that it is too late.
    pub(crate) fn put_back(&self, portion: Portion) -> bool {
        {
            let mut queue = self.queue();
            if queue.portions != portion.number + 1 {
                return false;
            }
            queue.portions = portion.number;
            for frame in portion.frames.into_iter().rev() {
                queue.bytes += frame.len();
                queue.frames.push_front(frame);
            }
        }
        self.changed.notify_waiters();
        true
    }

    /// What the next reader gets.
    #[cfg(test)]
    pub(crate) async fn take(&self, frames: usize, bytes: usize) -> Option<Vec<Frame>> {
        let portion = self.reader().take(frames, bytes).await;
        portion.ok().map(|portion| portion.frames)
    }

    /// Whether over half of what may wait does, so that whoever has more had better wait; not where that was in vain.
    pub(crate) fn is_behind(&self) -> bool {
        let queue = self.queue();
        !queue.closed && !queue.is_given_up && queue.is_over_half_of(self.bounds)
    }

    /// Completes once it is not behind.
    pub(crate) async fn catches_up(&self) {
        loop {
            let changed = self.changed.notified();
            if !self.is_behind() {
                return;
            }
            changed.await;
        }
    }

    /// Nobody is to wait until it has caught up.
    pub(crate) fn give_up(&self) {
        self.queue().is_given_up = true;
        self.changed.notify_waiters();
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue().frames.is_empty()
    }

    /// Ends the outbox; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.changed.notify_waiters();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who takes from an outbox.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    outbox: &'a Outbox,
    /// `None` of one that came too late.
    number: Option<u64>,
}

impl Reader<'_> {
    /// Takes what waits: at least one frame, at most `frames`, and further ones only while they stay below `bytes`. Waits
    /// for the first. Dropping the future loses nothing.
    pub(crate) async fn take(&self, frames: usize, bytes: usize) -> Result<Portion, NoMore> {
        loop {
            let changed = self.outbox.changed.notified();
            {
                let mut queue = self.outbox.queue();
                if self.number != Some(queue.readers) {
                    return Err(NoMore::Superseded);
                }
                if !queue.frames.is_empty() {
                    let number = queue.portions;
                    queue.portions += 1;
                    let was_behind = queue.is_over_half_of(self.outbox.bounds);
                    let frames = queue.take(frames, bytes);
                    if was_behind && !queue.is_over_half_of(self.outbox.bounds) {
                        queue.is_given_up = false;
                        drop(queue);
                        self.outbox.changed.notify_waiters();
                    }
                    return Ok(Portion { frames, number });
                }
                if queue.closed {
                    return Err(NoMore::Closed);
                }
            }
            changed.await;
        }
    }
}

impl Queue {
    fn is_over_half_of(&self, bounds: OutboxBounds) -> bool {
        self.frames.len() > bounds.frames / 2 || self.bytes > bounds.bytes / 2
    }

    fn take(&mut self, frames: usize, bytes: usize) -> Vec<Frame> {
        let mut taken = Vec::new();
        let mut size = 0;
        while let Some(frame) = self
            .frames
            .pop_front_if(|frame| taken.is_empty() || taken.len() < frames && size + frame.len() <= bytes)
        {
            size += frame.len();
            taken.push(frame);
        }
        self.bytes -= size;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(size: usize) -> Frame {
        Frame::text("x".repeat(size))
    }

    #[tokio::test]
    async fn frames_come_out_in_order_and_in_portions() {
        let outbox = Outbox::default();
        outbox.push(&[text(3), text(4)]).unwrap();
        outbox.push(&[text(5)]).unwrap();
        assert_eq!(outbox.take(9, 7).await, Some(vec![text(3), text(4)]));
        assert_eq!(outbox.take(9, 1).await, Some(vec![text(5)]));
        outbox.push(&[text(1), text(1), text(1)]).unwrap();
        assert_eq!(outbox.take(2, 9).await, Some(vec![text(1), text(1)]));
        outbox.close();
        outbox.push(&[text(2)]).unwrap();
        assert_eq!(outbox.take(9, 9).await, Some(vec![text(1)]));
        assert_eq!(outbox.take(9, 9).await, None);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let outbox = std::sync::Arc::new(Outbox::default());
        let reader = tokio::spawn({
            let outbox = std::sync::Arc::clone(&outbox);
            async move { outbox.take(9, 9).await }
        });
        tokio::task::yield_now().await;
        outbox.push(&[text(2)]).unwrap();
        assert_eq!(reader.await.unwrap(), Some(vec![text(2)]));
    }

    #[tokio::test]
    async fn the_newest_reader_takes_and_the_older_ones_are_told() {
        let outbox = Outbox::default();
        let old = outbox.reader();
        let mut waiting = Box::pin(old.take(9, 9));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let new = outbox.reader();
        outbox.push(&[text(1)]).unwrap();
        assert_eq!(waiting.await, Err(NoMore::Superseded));
        assert_eq!(new.take(9, 9).await.unwrap().frames, [text(1)]);
        let last = outbox.last_reader();
        outbox.push(&[text(2)]).unwrap();
        assert_eq!(outbox.reader().take(9, 9).await, Err(NoMore::Superseded));
        assert_eq!(last.take(9, 9).await.unwrap().frames, [text(2)]);
    }

    #[tokio::test]
    async fn what_did_not_go_out_comes_first_again_unless_later_frames_went() {
        let outbox = Outbox::default();
        outbox.push(&[text(1), text(2), text(3)]).unwrap();
        let first = outbox.reader().take(2, 9).await.unwrap();
        assert!(outbox.put_back(first));
        let first = outbox.reader().take(2, 9).await.unwrap();
        assert_eq!(first.frames, [text(1), text(2)]);
        assert_eq!(outbox.take(9, 9).await, Some(vec![text(3)]));
        assert!(!outbox.put_back(first));
        assert_eq!(outbox.queue().bytes, 0);
    }

    #[tokio::test]
    async fn whoever_is_over_half_full_is_waited_for_once() {
        let outbox = Outbox::new(OutboxBounds { frames: 4, bytes: 90 });
        outbox.push(&[text(1), text(1)]).unwrap();
        assert!(!outbox.is_behind());
        outbox.push(&[text(1)]).unwrap();
        let mut waiting = Box::pin(outbox.catches_up());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        outbox.take(1, 9).await.unwrap();
        waiting.await;
        outbox.push(&[text(46)]).unwrap();
        assert!(outbox.is_behind());
        outbox.give_up();
        assert!(!outbox.is_behind(), "it was waited for");
        outbox.catches_up().await;
        outbox.take(9, 90).await.unwrap();
        outbox.push(&[text(46)]).unwrap();
        assert!(outbox.is_behind(), "it had caught up meanwhile");
        outbox.close();
        assert!(!outbox.is_behind());
    }

    #[test]
    fn frames_and_bytes_are_bounded_but_one_event_always_fits() {
        let outbox = Outbox::default();
        outbox
            .push(&vec![text(0); OutboxBounds::default().frames])
            .unwrap();
        assert_eq!(outbox.push(&[text(0)]), Err(Overflow));
        let outbox = Outbox::default();
        outbox.push(&[text(OutboxBounds::default().bytes + 1)]).unwrap();
        assert_eq!(outbox.push(&[text(1)]), Err(Overflow));
    }
}
