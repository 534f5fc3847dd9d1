//! What waits to be sent to one client, in bounded memory.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::packet::Frame;

/// Frames that may wait. A client that is so far behind is gone or hostile.
const MOST_FRAMES: usize = 4096;
/// Bytes that may wait, unless it is one event alone.
const MOST_BYTES: usize = 128 * 1024 * 1024;

/// The client does not take what it is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Overflow;

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    closed: bool,
}

/// Frames in the order in which they will be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Outbox {
    /// Adds frames that belong together. Into a closed outbox nothing goes.
    pub(super) fn push(&self, frames: &[Frame]) -> Result<(), Overflow> {
        let size: usize = frames.iter().map(Frame::len).sum();
        {
            let mut queue = self.queue();
            if queue.closed {
                return Ok(());
            }
            let fits = queue.frames.len() + frames.len() <= MOST_FRAMES && queue.bytes + size <= MOST_BYTES;
            if !fits && !queue.frames.is_empty() {
                return Err(Overflow);
            }
            queue.bytes += size;
            queue.frames.extend(frames.iter().cloned());
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// Takes what waits: at least one frame, at most `frames`, and further ones only while they stay below `bytes`. Waits
    /// for the first; `None` once the outbox is closed and empty. Dropping the future loses nothing.
    pub(super) async fn take(&self, frames: usize, bytes: usize) -> Option<Vec<Frame>> {
        loop {
            let changed = self.changed.notified();
            {
                let mut queue = self.queue();
                if !queue.frames.is_empty() {
                    return Some(queue.take(frames, bytes));
                }
                if queue.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue().frames.is_empty()
    }

    /// Ends the outbox; what waits can still be taken.
    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.changed.notify_waiters();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
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

    #[test]
    fn frames_and_bytes_are_bounded_but_one_event_always_fits() {
        let outbox = Outbox::default();
        outbox.push(&vec![text(0); MOST_FRAMES]).unwrap();
        assert_eq!(outbox.push(&[text(0)]), Err(Overflow));
        let outbox = Outbox::default();
        outbox.push(&[text(MOST_BYTES + 1)]).unwrap();
        assert_eq!(outbox.push(&[text(1)]), Err(Overflow));
    }
}
