//! What passed through the proxy, in the order in which it passed: a queue between the connections, which never wait for
//! it, and the one who reads it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Says what time it is.
pub trait Clock: std::fmt::Debug + Send + Sync {
    /// Unix time in microseconds.
    fn now_us(&self) -> i64;
}

/// The time of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "what clients and a server do is recorded at the time at which they do it"
    )]
    fn now_us(&self) -> i64 {
        jiff::Timestamp::now().as_microsecond()
    }
}

/// How much a recording may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one body or message.
    pub body: usize,
    /// Bytes of all bodies and messages.
    pub all: usize,
    /// Bytes that have passed and were not read yet.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            all: 512 << 20,
            waiting: 64 << 20,
        }
    }
}

/// Who sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// Something that passed.
#[derive(Debug)]
pub(super) enum Passed {
    Bytes {
        connection: u32,
        from: Side,
        at_us: i64,
        bytes: Bytes,
    },
    /// Nothing more comes from this side.
    Ended { connection: u32, from: Side, at_us: i64 },
    /// The connection is gone: what has its number comes no more.
    Over { connection: u32 },
    /// More passed than could be kept.
    Lost { connection: u32 },
    /// The connection could not be made, and why.
    NoUpstream { reason: String },
    /// The recording is over; what passes later is no part of it.
    End,
}

/// The end of the queue at which connections write.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    sender: UnboundedSender<Passed>,
    /// Bytes that were written and not read yet.
    waiting: Arc<AtomicUsize>,
    most: usize,
    clock: Arc<dyn Clock>,
}

/// The end of the queue at which it is read.
#[derive(Debug)]
pub(super) struct Reader {
    receiver: UnboundedReceiver<Passed>,
    waiting: Arc<AtomicUsize>,
}

/// A new queue.
pub(super) fn tape(clock: Arc<dyn Clock>, limits: Limits) -> (Tape, Reader) {
    let (sender, receiver) = unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let tape = Tape {
        sender,
        waiting: Arc::clone(&waiting),
        most: limits.waiting,
        clock,
    };
    (tape, Reader { receiver, waiting })
}

impl Tape {
    /// Bytes that pass now. Where the reader is too far behind, it is told that some are lost.
    pub(super) fn bytes(&self, connection: u32, from: Side, bytes: Bytes) {
        let length = bytes.len();
        if self
            .waiting
            .fetch_add(length, Ordering::Relaxed)
            .saturating_add(length)
            > self.most
        {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            self.write(Passed::Lost { connection });
            return;
        }
        self.write(Passed::Bytes {
            connection,
            from,
            at_us: self.clock.now_us(),
            bytes,
        });
    }

    /// A side has said all that it says.
    pub(super) fn ended(&self, connection: u32, from: Side) {
        let at_us = self.clock.now_us();
        self.write(Passed::Ended {
            connection,
            from,
            at_us,
        });
    }

    /// Nothing more comes of this connection.
    pub(super) fn over(&self, connection: u32) {
        self.write(Passed::Over { connection });
    }

    pub(super) fn no_upstream(&self, reason: String) {
        self.write(Passed::NoUpstream { reason });
    }

    pub(super) fn end(&self) {
        self.write(Passed::End);
    }

    fn write(&self, passed: Passed) {
        // Without a reader nothing is recorded any more, and the clients notice nothing of it.
        let _ = self.sender.send(passed);
    }
}

impl Reader {
    /// The next thing that passed; nothing once every writer is gone.
    pub(super) async fn next(&mut self) -> Option<Passed> {
        let passed = self.receiver.recv().await?;
        if let Passed::Bytes { bytes, .. } = &passed {
            self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        Some(passed)
    }
}
