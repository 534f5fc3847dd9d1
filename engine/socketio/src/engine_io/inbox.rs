//! What a client sent and waits to be handled, in bounded memory.
//!
//! A channel of the runtime takes a kilobyte for every connection, and most have nothing that waits most of the time.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::{
    budget::Permit,
    connection::{Connection, Over},
};

/// What a client sent, in the order in which it came.
#[derive(Debug)]
pub(super) enum Inbound {
    Message(Message),
    /// Answered when everything before it is handled.
    Barrier(oneshot::Sender<()>),
    /// The client is gone.
    Closed,
}

/// A message of a client. It counts against what the client may take of the server until it is dropped.
#[derive(Debug)]
pub struct Message {
    /// What it says.
    pub content: Content,
    /// The memory that it takes.
    pub permit: Arc<Permit>,
}

/// What a message says.
#[derive(Debug)]
pub enum Content {
    /// Text, as it was sent: it is UTF-8.
    Text(Bytes),
    /// Bytes.
    Binary(Bytes),
}

/// Why nothing was added.
#[derive(Debug)]
pub(super) enum NotAdded {
    /// As many wait as may.
    Full(Inbound),
    /// Nobody will handle it.
    Over,
}

/// What waits to be handled.
#[derive(Debug)]
pub(super) struct Unhandled {
    most: usize,
    queue: Mutex<Queue>,
    added: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Inbound>,
    /// Nothing more is added.
    is_closed: bool,
}

impl Unhandled {
    /// So many may wait, one at least.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            queue: Mutex::default(),
            added: Notify::new(),
            taken: Notify::new(),
        }
    }

    pub(super) fn try_add(&self, inbound: Inbound) -> Result<(), NotAdded> {
        {
            let mut queue = self.queue();
            if queue.is_closed {
                return Err(NotAdded::Over);
            }
            if queue.waiting.len() >= self.most {
                return Err(NotAdded::Full(inbound));
            }
            queue.waiting.push_back(inbound);
        }
        // One takes, and looks before it waits: a word that nobody waits for is kept for it.
        self.added.notify_one();
        Ok(())
    }

    /// Adds once there is room.
    pub(super) async fn add(&self, mut inbound: Inbound) -> Result<(), Over> {
        loop {
            // Made before the look, so that nothing is taken unheard in between.
            let taken = self.taken.notified();
            inbound = match self.try_add(inbound) {
                Ok(()) => return Ok(()),
                Err(NotAdded::Over) => return Err(Over),
                Err(NotAdded::Full(inbound)) => inbound,
            };
            taken.await;
        }
    }

    /// The next, once there is one; `None` where no more will come. Dropping the future loses nothing.
    async fn next(&self) -> Option<Inbound> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(inbound) = queue.waiting.pop_front() {
                    if queue.waiting.is_empty() {
                        // Its memory goes, too.
                        queue.waiting = VecDeque::new();
                    }
                    drop(queue);
                    self.taken.notify_waiters();
                    return Some(inbound);
                }
                if queue.is_closed {
                    return None;
                }
            }
            self.added.notified().await;
        }
    }

    /// Nothing more is added; what waits can still be taken.
    fn close(&self) {
        self.queue().is_closed = true;
        self.taken.notify_waiters();
        self.added.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client sends, in its order. However the connection ends, what was received comes to its last message.
#[derive(Debug)]
pub struct Inbox {
    connection: Arc<Connection>,
    /// Another has what comes on this connection.
    is_silent: bool,
}

impl Inbox {
    /// The one inbox of a connection.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            is_silent: false,
        }
    }

    /// An inbox in which nothing comes.
    pub(super) fn silent(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            is_silent: true,
        }
    }

    /// The next message; `None` when no more will come. Whoever asks has handled those before.
    pub async fn next(&mut self) -> Option<Message> {
        if self.is_silent {
            return None;
        }
        let unhandled = &self.connection.unhandled;
        loop {
            let inbound = tokio::select! {
                biased;
                () = self.connection.ended.cancelled() => {
                    unhandled.close();
                    unhandled.next().await
                }
                inbound = unhandled.next() => inbound,
            };
            match inbound? {
                Inbound::Message(message) => return Some(message),
                // Nobody waits any more where this fails.
                Inbound::Barrier(done) => drop(done.send(())),
                Inbound::Closed => return None,
            }
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if !self.is_silent {
            self.connection.unhandled.close();
            // Whoever waits for it to be handled learns that it is not.
            let waiting = std::mem::take(&mut self.connection.unhandled.queue().waiting);
            drop(waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, poll};

    use super::*;

    fn is_full(added: &Result<(), NotAdded>) -> bool {
        matches!(added, Err(NotAdded::Full(_)))
    }

    #[tokio::test]
    async fn no_more_wait_than_may_and_what_waits_comes_in_order() {
        let unhandled = Unhandled::new(2);
        let (first, answered) = oneshot::channel();
        unhandled.try_add(Inbound::Barrier(first)).unwrap();
        unhandled.try_add(Inbound::Closed).unwrap();
        assert!(is_full(&unhandled.try_add(Inbound::Closed)));
        let mut waiting = Box::pin(unhandled.add(Inbound::Closed));
        assert!(poll!(&mut waiting).is_pending());
        assert!(matches!(unhandled.next().await, Some(Inbound::Barrier(_))));
        assert!(answered.await.is_err());
        waiting.await.unwrap();
        assert!(is_full(&unhandled.try_add(Inbound::Closed)));
    }

    #[tokio::test]
    async fn whoever_waits_for_the_next_is_woken_by_it_and_by_the_end() {
        let unhandled = Unhandled::new(2);
        let mut next = Box::pin(unhandled.next());
        assert!(poll!(&mut next).is_pending());
        unhandled.try_add(Inbound::Closed).unwrap();
        assert!(next.await.is_some());
        // A word that is left over is no message.
        assert!(unhandled.next().now_or_never().is_none());
        let mut next = Box::pin(unhandled.next());
        assert!(poll!(&mut next).is_pending());
        unhandled.try_add(Inbound::Closed).unwrap();
        unhandled.close();
        assert!(next.await.is_some());
        assert!(unhandled.next().await.is_none());
        assert!(matches!(unhandled.try_add(Inbound::Closed), Err(NotAdded::Over)));
    }

    #[tokio::test]
    async fn the_end_lets_go_whoever_waits_for_room() {
        let unhandled = Unhandled::new(1);
        unhandled.try_add(Inbound::Closed).unwrap();
        let mut waiting = Box::pin(unhandled.add(Inbound::Closed));
        assert!(poll!(&mut waiting).is_pending());
        unhandled.close();
        assert_eq!(waiting.await, Err(Over));
    }
}
