//! Whether what was sent has arrived.
//!
//! Agents acknowledge what asks for it, but only when they have handled it, which for a script may take hours. So a
//! ping is sent right behind the event: frames keep their order, and whoever answers it has the event.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

#[derive(Debug)]
struct Waiting {
    tell: oneshot::Sender<()>,
    /// The ping that followed the event.
    ping: u64,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    waiting: HashMap<u64, Waiting>,
    closed: bool,
}

/// The events of one session that are to be confirmed.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    book: Mutex<Book>,
}

impl Receipts {
    /// A number for an event that is about to be sent, and what completes when the event has arrived; fails where the
    /// session ends before.
    pub(super) fn expect(&self) -> (u64, oneshot::Receiver<()>) {
        let (tell, told) = oneshot::channel();
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        if !book.closed {
            let ping = u64::MAX;
            book.waiting.insert(number, Waiting { tell, ping });
        }
        (number, told)
    }

    /// The client acknowledged.
    pub(super) fn note(&self, number: u64) {
        if let Some(waiting) = self.book().waiting.remove(&number) {
            // Nobody waits any more where this fails.
            let _ = waiting.tell.send(());
        }
    }

    /// The event was sent, and then the ping of this number.
    pub(super) fn sent(&self, number: u64, ping: u64) {
        if let Some(waiting) = self.book().waiting.get_mut(&number) {
            waiting.ping = ping;
        }
    }

    /// The client has answered so many pings.
    pub(super) fn note_pongs(&self, pongs: u64) {
        let mut book = self.book();
        for (_, arrived) in book.waiting.extract_if(|_, waiting| pongs >= waiting.ping) {
            let _ = arrived.tell.send(());
        }
    }

    /// The session ends: what is not confirmed stays so.
    pub(super) fn close(&self) {
        let mut book = self.book();
        book.closed = true;
        book.waiting.clear();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_confirms_its_own_event() {
        let receipts = Receipts::default();
        let (first, mut told_first) = receipts.expect();
        let (second, mut told_second) = receipts.expect();
        assert_ne!(first, second);
        receipts.note(second);
        receipts.note(99);
        assert!(told_second.try_recv().is_ok());
        assert_eq!(told_first.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn the_answer_to_its_own_ping_confirms_and_to_an_earlier_one_does_not() {
        let receipts = Receipts::default();
        let (number, mut told) = receipts.expect();
        receipts.note_pongs(3);
        receipts.sent(number, 5);
        receipts.note_pongs(4);
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        receipts.note_pongs(5);
        assert!(told.try_recv().is_ok());
    }

    #[test]
    fn the_end_of_the_session_confirms_nothing() {
        let receipts = Receipts::default();
        let (number, mut told) = receipts.expect();
        receipts.close();
        receipts.note(number);
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        let (_, mut late) = receipts.expect();
        assert_eq!(late.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
