//! One Socket.IO client of a run: what it received, and how it learns that nothing else is on its way.
//!
//! That something did not come is concluded by a barrier, sent after everything else on the same socket: an event
//! without effect, which the server acknowledges, and a namespace that nobody has, which it refuses. The server handles
//! what one connection sends in order and relays before it acknowledges, so once the barrier is answered, whatever was
//! to come has come. The refusal is there for connections whose events an access policy leaves unanswered.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::received::{Arrived, Received};
use crate::{
    socket_io::{Client, CloseReason, Incoming},
    transcript::{Heard, Notice},
};

/// The legacy acknowledges it without any effect; under the strict policy only agents are answered.
pub(crate) const BARRIER: &str = "request_config";
/// No server has it, and every client that asks for it is refused.
pub(crate) const NO_NAMESPACE: &str = "/no-such-namespace";

/// How long things may take, in real time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// What usually comes comes within this, so that no barrier is needed.
    pub(super) swift: Duration,
    /// The first barrier of a connection; a server that knows no such event never answers it.
    pub(super) first_barrier: Duration,
    /// A barrier where one was answered before.
    pub(super) barrier: Duration,
    /// Background work that the clock has woken, until its event is there.
    pub(super) background: Duration,
    /// What stands for silence where no barrier is answered.
    pub(super) quiet: Duration,
    /// How long nothing may come behind a barrier until everything has: servers that run their handlers beside the
    /// connection answer it before they are through.
    pub(super) linger: Duration,
}

impl Patience {
    /// For a machine on which the server took so long to start: what else it does in the background takes longer, too.
    pub(super) fn after_a_start_of(mut self, start: Duration) -> Self {
        self.background = self.background.max((start * STARTS).min(LONGEST));
        self
    }

    /// For servers that are not in this process, whoever wrote them.
    pub(super) fn live() -> Self {
        Self {
            first_barrier: Duration::from_secs(2),
            barrier: Duration::from_secs(10),
            background: Duration::from_secs(10),
            quiet: Duration::from_millis(500),
            linger: Duration::from_millis(100),
            ..Self::default()
        }
    }
}

/// Background work may take as long as so many starts of the server.
const STARTS: u32 = 10;
/// And no longer than this.
const LONGEST: Duration = Duration::from_secs(30);
/// A connection on which events never stop is settled after so many of them.
const MOST_LINGERING: usize = 50;

impl Default for Patience {
    fn default() -> Self {
        Self {
            swift: Duration::from_millis(40),
            // The engine answers it always, however busy the machine is.
            first_barrier: Duration::from_secs(30),
            barrier: Duration::from_secs(30),
            background: Duration::from_secs(3),
            quiet: Duration::from_millis(300),
            linger: Duration::ZERO,
        }
    }
}

/// Says whether the server does nothing by itself any more.
pub(super) type Rests<'a> = dyn Fn() -> BoxFuture<'a, bool> + Send + Sync + 'a;

/// Whether a server answers barriers on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barriers {
    Untried,
    Answered,
    Unanswered,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) received: Received,
    /// The number of the latest event that a step took.
    pub(super) latest_taken: u64,
    /// Whether barriers are acknowledged too.
    acknowledges: bool,
    barriers: Barriers,
    pub(super) patience: Patience,
}

impl Connection {
    pub(super) fn new(client: Client, patience: Patience, step: u32, heard: Heard) -> Self {
        Self {
            client,
            received: Received::begin(step, heard),
            latest_taken: 0,
            acknowledges: true,
            barriers: Barriers::Untried,
            patience,
        }
    }

    /// One whose steps take only events that mention one of these values.
    pub(super) fn of(mut self, own: &[String]) -> Self {
        self.received.own = own.to_vec();
        self
    }

    /// Emits, and asks for an acknowledgement.
    pub(super) async fn ask(&mut self, event: &str, arguments: &[Value]) -> Result<u64, CloseReason> {
        let id = self.client.emit_with_ack(event, arguments).await?;
        self.received.awaited.insert(id);
        self.received.next_id = id.saturating_add(1);
        Ok(id)
    }

    /// Takes in what arrives until `done` has its value, the time is over or nothing can come any more.
    pub(super) async fn until<T>(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Received) -> Option<T>,
    ) -> Option<T> {
        while let (None, Some(incoming)) = (&self.received.closed, self.client.try_next()) {
            self.received.take_in(incoming);
        }
        let waiting = async {
            loop {
                if let Some(value) = done(&mut self.received) {
                    return Some(value);
                }
                if self.received.closed.is_some() {
                    return None;
                }
                let incoming = self.client.next().await;
                self.received.take_in(incoming);
            }
        };
        timeout(limit, waiting).await.unwrap_or(None)
    }

    /// Takes in everything that is on its way. Whether that is sure.
    pub(super) async fn settle(&mut self) -> bool {
        let is_sure = self.pass_barrier().await;
        if is_sure && !self.patience.linger.is_zero() {
            for _ in 0..MOST_LINGERING {
                let before = self.received.count;
                self.until(self.patience.linger, |one| (one.count > before).then_some(()))
                    .await;
                if self.received.count == before {
                    break;
                }
            }
        }
        is_sure
    }

    /// Waits for an event until nothing more can come: where the server `rests`, whatever was to come is there once a barrier
    /// is passed.
    pub(super) async fn wait_for(&mut self, event: &str, rests: &Rests<'_>) -> Option<Arrived> {
        let (mut slice, mut left) = (self.patience.swift, self.patience.background);
        while !left.is_zero() {
            let is_over = rests().await;
            let is_sure = self.settle().await;
            if !is_sure {
                left = self.patience.quiet;
                slice = left;
            }
            let found = self.received.take(event);
            if found.is_some() || self.received.closed.is_some() || (is_over && is_sure) {
                return found;
            }
            let part = slice.min(left);
            if let Some(found) = self.until(part, |one| one.take(event)).await {
                return Some(found);
            }
            left = left.saturating_sub(part);
            slice = slice.saturating_mul(2);
        }
        None
    }

    async fn pass_barrier(&mut self) -> bool {
        if self.barriers == Barriers::Unanswered {
            self.until(self.patience.quiet, |_| None::<()>).await;
            return false;
        }
        let limit = match self.barriers {
            Barriers::Untried => self.patience.first_barrier,
            _ => self.patience.barrier,
        };
        // A connection that is over ends the waiting below.
        let id = self.ask(BARRIER, &[json!({})]).await.ok();
        let _ = self.client.ask_for_namespace(NO_NAMESPACE).await;
        self.received.barriers += 1;
        let asked = self.received.barriers;
        let acknowledged = |one: &mut Received| id.and_then(|id| one.acknowledgement(id)).map(|_| true);
        let refused = |one: &mut Received| (one.refused >= asked).then_some(false);
        let mut answer = self
            .until(limit, |one| acknowledged(one).or_else(|| refused(one)))
            .await;
        if answer == Some(false) && self.acknowledges {
            // Where handlers run beside the connection, the acknowledgement may come a little later.
            self.acknowledges = self.until(self.patience.swift, acknowledged).await.is_some();
        }
        if self.received.closed.is_some() {
            answer = Some(true);
        }
        self.barriers = match answer {
            Some(_) => Barriers::Answered,
            None => Barriers::Unanswered,
        };
        answer.is_some()
    }

    /// Leaves, and notes what arrived and was not waited for; all that came.
    pub(super) async fn leave(mut self, name: &str, notices: &mut Vec<Notice>) -> Heard {
        self.settle().await;
        let Self {
            client, mut received, ..
        } = self;
        if received.closed.is_none() {
            // That it ends then is its own doing.
            let came = |incoming: &Incoming| !matches!(incoming, Incoming::Closed(_));
            for incoming in client.disconnect().await.into_iter().filter(came) {
                received.take_in(incoming);
            }
        }
        received.note(name, notices);
        received.heard
    }
}
