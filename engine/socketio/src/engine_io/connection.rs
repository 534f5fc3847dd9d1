//! One client's connection: its queues, its heartbeat, its transport.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::{Notify, futures::Notified, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    budget::{Permit, Reading, ReceiveBudget},
    frame::Frame,
    heartbeat::Heartbeat,
    inbox::{Content, Inbound, Inbox, Message, NotAdded, Unhandled},
    outbox::{Outbox, OutboxBounds, Overflow, Portion},
    receipts::{Receipt, Receipts},
};
use crate::{
    environment::Clock,
    settings::{Limits, Settings},
};

/// The connection is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Over;

/// How a client speaks with the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum State {
    Polling,
    /// A websocket is being tried while polling goes on.
    Probing,
    /// The websocket works, and the client is about to move.
    Upgrading,
    Websocket,
}

/// One client's connection, shared by its transport, its task and everybody who sends to it.
#[derive(Debug)]
pub struct Connection {
    id: String,
    address: String,
    pub(super) limits: Limits,
    pub(super) receive_budget: ReceiveBudget,
    /// What waits to be sent.
    pub(crate) outbox: Outbox,
    receipts: Receipts,
    /// How long the client may be silent.
    pub(super) heartbeat: Heartbeat,
    /// Ended from this side: whoever works for the connection stops.
    pub(super) ended: CancellationToken,
    /// Polls that wait.
    pub(super) polls: AtomicUsize,
    /// The client has said good-bye.
    pub(super) has_said_goodbye: AtomicBool,
    /// What waits to be handled.
    pub(super) unhandled: Unhandled,
    state: AtomicU8,
    /// Told of each change of state.
    moved: Notify,
    pings: AtomicU64,
    pongs: AtomicU64,
    ponged: Notify,
}

impl Connection {
    pub(super) fn new(
        id: String,
        address: String,
        limits: Limits,
        state: State,
        heartbeat: Heartbeat,
    ) -> (Arc<Self>, Inbox) {
        let connection = Arc::new(Self {
            id,
            address,
            receive_budget: ReceiveBudget::new(&limits),
            outbox: Outbox::new(OutboxBounds {
                frames: limits.unsent_frames,
                bytes: limits.unsent_bytes,
            }),
            unhandled: Unhandled::new(limits.waiting_messages),
            limits,
            receipts: Receipts::default(),
            heartbeat,
            ended: CancellationToken::new(),
            polls: AtomicUsize::new(0),
            has_said_goodbye: AtomicBool::new(false),
            state: AtomicU8::new(state as u8),
            moved: Notify::new(),
            pings: AtomicU64::new(0),
            pongs: AtomicU64::new(0),
            ponged: Notify::new(),
        });
        let inbox = Inbox::new(Arc::clone(&connection));
        (connection, inbox)
    }

    /// Its Engine.IO id: whoever knows it may speak for the client, unless the server asks for more.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the client is, for the log.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the client may take of the server.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sends frames that belong together, behind everything sent before. A client that does not take what it is sent is
    /// closed: it would miss something and not know.
    pub fn send(&self, frames: &[Frame]) {
        if let Err(Overflow) = self.outbox.push(frames)
            && !self.ended.is_cancelled()
        {
            tracing::warn!(
                sid = %self.id,
                ip = %self.address,
                "socket.io connection closed, it does not read what it is sent"
            );
            self.end();
        }
    }

    /// Whether over half of what may wait for the client does: whoever sends it more had better wait for
    /// [`Connection::catches_up`]. False of one who was waited for in vain and has not caught up since.
    pub fn is_behind(&self) -> bool {
        self.outbox.is_behind()
    }

    /// Completes once the client has taken enough of what it is sent, after `patience` at the latest; then nobody waits
    /// for it again until it has caught up.
    pub async fn catches_up(&self, patience: std::time::Duration) {
        tokio::select! {
            () = self.outbox.catches_up() => {}
            () = self.heartbeat.sleep(patience) => self.outbox.give_up(),
        }
    }

    /// Sends as [`Connection::send`] does; the receipt completes when the client has what it was sent. A ping of its own
    /// follows at once, beside the heartbeat's: packets keep their order, so whoever answers it has what came before.
    pub fn hand_over(&self, frames: &[Frame]) -> Receipt {
        let (number, receipt) = self.receipts.expect();
        self.send(frames);
        // Numbered after the frames went out, so fewer pings went out before them than this number says.
        self.receipts.sent(number, self.ping());
        // The answer may have been counted before its number was noted.
        self.receipts.note_pongs(self.pongs());
        receipt
    }

    /// Ends the connection at once. What waits to be sent is still tried.
    pub fn end(&self) {
        self.outbox.close();
        self.receipts.close();
        self.ended.cancel();
    }

    /// Tells the client that the connection is over, and ends it. Client libraries take that for a request that
    /// they stay away.
    pub fn dismiss(&self) {
        let is_polling = matches!(self.state(), State::Polling | State::Probing);
        if !is_polling || self.polls.load(Ordering::Acquire) > 0 {
            // It ends either way.
            let _ = self.outbox.push(&[Frame::text("1")]);
        }
        self.end();
    }

    /// Whether it has been ended from this side, or its client is gone.
    pub fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Completes when it ends.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Completes once the client has sent less within so long than one that is busy sends.
    pub(crate) async fn stops_sending(&self, time: std::time::Duration) {
        self.heartbeat.stops_receiving(time).await;
    }

    /// Completes after so long.
    pub(crate) async fn sleep(&self, time: std::time::Duration) {
        self.heartbeat.sleep(time).await;
    }

    /// Takes back what could not be delivered. Where that is too late the connection ends: whoever stays has missed
    /// nothing.
    pub(super) fn take_back(&self, portion: Portion) {
        if !self.outbox.put_back(portion) && !self.ended.is_cancelled() {
            tracing::info!(
                sid = %self.id,
                ip = %self.address,
                "socket.io connection closed, it missed an answer"
            );
            self.end();
        }
    }

    /// A permit for so many bytes that were read; waits while too much waits already. What was taken while a long message
    /// was read is handed over with it.
    pub(super) async fn permit_for(&self, bytes: usize, reading: &Reading) -> Result<Arc<Permit>, Over> {
        let permit = self.receive_budget.try_acquire(bytes, reading);
        if let Some(permit) = permit {
            return Ok(Arc::new(permit));
        }
        let _backlog = self.heartbeat.backlog();
        // On the heap, so that connections that wait for nothing have no room for it.
        let acquired = Box::pin(self.receive_budget.acquire(bytes, reading));
        tokio::select! {
            permit = acquired => permit.map(Arc::new).ok_or(Over),
            () = self.ended.cancelled() => Err(Over),
        }
    }

    /// Hands on a message.
    pub(super) async fn receive(&self, content: Content, permit: Arc<Permit>) -> Result<(), Over> {
        self.hand_on(Inbound::Message(Message { content, permit })).await
    }

    /// Hands on that the client is gone.
    pub(super) async fn receive_close(&self) {
        // A connection that is over has ended already.
        let _ = self.hand_on(Inbound::Closed).await;
    }

    /// Waits until everything handed on before is handled; an error where some of it will not be.
    pub(super) async fn settle(&self) -> Result<(), Over> {
        let (done, settled) = oneshot::channel();
        self.hand_on(Inbound::Barrier(done)).await?;
        let _backlog = self.heartbeat.backlog();
        settled.await.map_err(|_| Over)
    }

    /// Hands on; waits while too much waits already.
    async fn hand_on(&self, inbound: Inbound) -> Result<(), Over> {
        let inbound = match self.unhandled.try_add(inbound) {
            Ok(()) => return Ok(()),
            Err(NotAdded::Over) => return Err(Over),
            Err(NotAdded::Full(inbound)) => inbound,
        };
        let _backlog = self.heartbeat.backlog();
        let added = Box::pin(self.unhandled.add(inbound));
        tokio::select! {
            added = added => added,
            () = self.ended.cancelled() => Err(Over),
        }
    }

    /// Sends a ping and says its number.
    pub(super) fn ping(&self) -> u64 {
        let number = self.pings.fetch_add(1, Ordering::AcqRel) + 1;
        self.send(&[Frame::text("2")]);
        number
    }

    /// Notes that the client answered a ping. Answers to nothing do not count.
    pub(super) fn note_pong(&self) {
        let pings = self.pings.load(Ordering::Acquire);
        let answers = |pongs| (pongs < pings).then_some(pongs + 1);
        if let Ok(before) = self
            .pongs
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, answers)
        {
            self.receipts.note_pongs(before + 1);
            self.ponged.notify_waiters();
        }
    }

    /// How many pings the client has answered.
    pub(super) fn pongs(&self) -> u64 {
        self.pongs.load(Ordering::Acquire)
    }

    /// Completes when the client answers a ping, from now on.
    pub(super) fn ponged(&self) -> Notified<'_> {
        self.ponged.notified()
    }

    pub(super) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Polling,
            1 => State::Probing,
            2 => State::Upgrading,
            _ => State::Websocket,
        }
    }

    /// Goes from one state to another; false where another request did so first.
    pub(super) fn change_state(&self, from: State, to: State) -> bool {
        let changed = self
            .state
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
        if changed.is_ok() {
            self.moved.notify_waiters();
        }
        changed.is_ok()
    }

    /// Completes once the client has moved to a websocket, or goes on polling.
    pub(super) async fn upgrade_ended(&self) {
        loop {
            // Made before the look, so that no change goes unheard in between.
            let moved = self.moved.notified();
            if self.state() != State::Upgrading {
                return;
            }
            moved.await;
        }
    }
}

/// A connection that nothing carries.
pub(crate) fn without_transport(
    id: &str,
    limits: Limits,
    clock: Arc<dyn Clock>,
    settings: &Settings,
) -> (Arc<Connection>, Inbox) {
    let heartbeat = Heartbeat::new(clock, settings);
    Connection::new(id.to_owned(), String::new(), limits, State::Websocket, heartbeat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::SystemClock;

    fn connection(limits: Limits) -> (Arc<Connection>, Inbox) {
        let clock = Arc::new(SystemClock::default());
        without_transport("id", limits, clock, &Settings::default())
    }

    #[test]
    fn a_client_cannot_answer_in_advance() {
        let (connection, _inbox) = connection(Limits::default());
        connection.note_pong();
        assert_eq!(connection.pongs(), 0);
        let mut receipt = connection.hand_over(&[Frame::message("x")]);
        assert!(!receipt.has_come());
        connection.note_pong();
        assert!(receipt.has_come());
    }

    #[tokio::test]
    async fn an_end_says_nothing_and_a_dismissal_says_good_bye() {
        let (connection, _inbox) = connection(Limits::default());
        connection.end();
        assert_eq!(connection.outbox.take(9, 9).await, None);
        let (connection, _inbox) = self::connection(Limits::default());
        connection.dismiss();
        assert_eq!(connection.outbox.take(9, 9).await, Some(vec![Frame::text("1")]));
    }

    #[tokio::test]
    async fn whoever_reads_nothing_is_closed() {
        let limits = Limits {
            unsent_frames: 2,
            ..Limits::default()
        };
        let (connection, _inbox) = connection(limits);
        connection.send(&[Frame::message("1"), Frame::message("2")]);
        assert!(!connection.is_ended());
        connection.send(&[Frame::message("3")]);
        assert!(connection.is_ended());
    }
}
