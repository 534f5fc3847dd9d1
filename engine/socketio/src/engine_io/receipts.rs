//! Whether what was sent has arrived.
//!
//! Clients acknowledge what asks for it, but only when they have handled it, which may take hours. So a ping is sent
//! right behind: packets keep their order, and whoever answers it has what came before.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::oneshot;

#[derive(Debug)]
struct Waiting {
    come: oneshot::Sender<()>,
    /// The ping that followed.
    ping: u64,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    waiting: HashMap<u64, Waiting>,
    closed: bool,
}

/// What was sent on one connection and is to be confirmed.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    book: Mutex<Book>,
}

/// The connection ended before it was known whether the client has what it was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unconfirmed;

/// Completes when the client has what it was sent.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<()>);

impl Future for Receipt {
    type Output = Result<(), Unconfirmed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| Unconfirmed)
    }
}

impl Receipt {
    #[cfg(test)]
    pub(super) fn has_come(&mut self) -> bool {
        self.0.try_recv().is_ok()
    }
}

impl Receipts {
    /// A number for what is about to be sent, and its receipt.
    pub(super) fn expect(&self) -> (u64, Receipt) {
        let (come, receipt) = oneshot::channel();
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        if !book.closed {
            let ping = u64::MAX;
            book.waiting.insert(number, Waiting { come, ping });
        }
        (number, Receipt(receipt))
    }

    /// It was sent, and then the ping of this number.
    pub(super) fn sent(&self, number: u64, ping: u64) {
        if let Some(waiting) = self.book().waiting.get_mut(&number) {
            waiting.ping = ping;
        }
    }

    /// The client has answered so many pings.
    pub(super) fn note_pongs(&self, pongs: u64) {
        let mut book = self.book();
        for (_, arrived) in book.waiting.extract_if(|_, waiting| pongs >= waiting.ping) {
            // Nobody waits any more where this fails.
            let _ = arrived.come.send(());
        }
    }

    /// The connection ends: what is not confirmed stays so.
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
    fn the_answer_to_its_own_ping_confirms_and_to_an_earlier_one_does_not() {
        let receipts = Receipts::default();
        let (number, mut receipt) = receipts.expect();
        receipts.note_pongs(3);
        receipts.sent(number, 5);
        receipts.note_pongs(4);
        assert!(!receipt.has_come());
        receipts.note_pongs(5);
        assert!(receipt.has_come());
    }

    #[tokio::test]
    async fn the_end_of_the_connection_confirms_nothing() {
        let receipts = Receipts::default();
        let (number, receipt) = receipts.expect();
        receipts.close();
        receipts.sent(number, 1);
        receipts.note_pongs(1);
        assert_eq!(receipt.await, Err(Unconfirmed));
        let (_, late) = receipts.expect();
        assert_eq!(late.await, Err(Unconfirmed));
    }
}
