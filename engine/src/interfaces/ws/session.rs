//! One Engine.IO session: its queues, its heartbeat, and who it is.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, futures::Notified, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    handshake::Handshake,
    heartbeat::Heartbeat,
    outbox::{Outbox, Overflow, Portion},
    packet::Frame,
    receipts::Receipts,
    room::{Place, SessionBounds},
};
use crate::services::realtime::Standing;

/// Agents that one connection may announce.
const MOST_ROOMS: usize = 1000;

/// What a client sent, in the order in which it came.
#[derive(Debug)]
pub(super) enum Inbound {
    /// The text of a message packet.
    Message(Bytes, Arc<Place>),
    /// An attachment.
    Binary(Bytes, Arc<Place>),
    /// Told when everything before it is handled.
    Barrier(oneshot::Sender<()>),
    /// The client is gone.
    Closed,
}

/// The session is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Over;

/// How the client speaks with the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Transport {
    Polling,
    /// A websocket is being tried while polling goes on.
    Probing,
    /// The websocket works, and the client is about to move.
    Upgrading,
    Websocket,
}

/// The client's place in the namespace.
#[derive(Debug)]
pub(super) struct Member {
    /// The Socket.IO id.
    pub(super) sid: String,
    /// The agents that it has announced itself as.
    pub(super) rooms: HashSet<String>,
}

/// One session, shared by its transport, its task and everybody who sends to it.
#[derive(Debug)]
pub(super) struct Session {
    /// The Engine.IO id.
    pub(super) id: String,
    /// What the client showed when it came.
    pub(super) handshake: Handshake,
    /// What it may do.
    pub(super) standing: Standing,
    /// What waits to be sent.
    pub(super) outbox: Outbox,
    /// What was sent and is to be confirmed.
    pub(super) receipts: Receipts,
    /// How much it may take of the server.
    pub(super) bounds: SessionBounds,
    /// How long it may be silent.
    pub(super) heartbeat: Heartbeat,
    /// Ended from this side: whoever works for the session stops.
    pub(super) ended: CancellationToken,
    inbox: mpsc::Sender<Inbound>,
    transport: AtomicU8,
    member: Mutex<Option<Member>>,
    pings: AtomicU64,
    pongs: AtomicU64,
    ponged: Notify,
}

impl Session {
    pub(super) fn new(
        id: String,
        handshake: Handshake,
        standing: Standing,
        bounds: SessionBounds,
        transport: Transport,
        heartbeat: Heartbeat,
    ) -> (Arc<Self>, mpsc::Receiver<Inbound>) {
        let (inbox, received) = mpsc::channel(bounds.waiting_messages);
        let session = Self {
            id,
            handshake,
            standing,
            outbox: Outbox::new(bounds.outbox),
            receipts: Receipts::default(),
            bounds,
            heartbeat,
            ended: CancellationToken::new(),
            inbox,
            transport: AtomicU8::new(transport as u8),
            member: Mutex::default(),
            pings: AtomicU64::new(0),
            pongs: AtomicU64::new(0),
            ponged: Notify::new(),
        };
        (Arc::new(session), received)
    }

    /// Sends frames that belong together. A client that takes nothing is let go: it would miss events and not know.
    pub(super) fn send(&self, frames: &[Frame]) {
        if let Err(Overflow) = self.outbox.push(frames)
            && !self.ended.is_cancelled()
        {
            tracing::warn!(
                "socket.io connection sid={} ip={} does not read what it is sent: closed",
                self.id,
                self.handshake.address
            );
            self.end();
        }
    }

    /// Takes back what could not be delivered. Where that is too late the session ends: whoever stays has missed nothing.
    pub(super) fn take_back(&self, portion: Portion) {
        if !self.outbox.put_back(portion) && !self.ended.is_cancelled() {
            tracing::info!(
                "socket.io connection sid={} ip={} missed an answer: closed",
                self.id,
                self.handshake.address
            );
            self.end();
        }
    }

    /// Ends the session at once. What waits to be sent is still tried.
    pub(super) fn end(&self) {
        self.outbox.close();
        self.receipts.close();
        self.ended.cancel();
    }

    /// Tells the client that the session is over, and ends it.
    pub(super) fn dismiss(&self) {
        // The session ends either way.
        let _ = self.outbox.push(&[Frame::text("1")]);
        self.end();
    }

    /// A place for so many bytes that were read; waits while too much waits already. What was taken while a long message
    /// was read is handed over with it.
    pub(super) async fn place_for(&self, bytes: usize) -> Result<Place, Over> {
        let place = self.bounds.room.try_place(bytes);
        if let Some(place) = place {
            return Ok(place);
        }
        let _backlog = self.heartbeat.backlog();
        tokio::select! {
            place = self.bounds.room.place(bytes) => place.ok_or(Over),
            () = self.ended.cancelled() => Err(Over),
        }
    }

    /// Hands on the text of a message.
    pub(super) async fn receive_message(&self, text: Bytes, place: Arc<Place>) -> Result<(), Over> {
        self.receive(Inbound::Message(text, place)).await
    }

    /// Hands on an attachment.
    pub(super) async fn receive_binary(&self, bytes: Bytes, place: Arc<Place>) -> Result<(), Over> {
        self.receive(Inbound::Binary(bytes, place)).await
    }

    /// Hands on that the client is gone.
    pub(super) async fn receive_close(&self) {
        // A session that is over has ended already.
        let _ = self.receive(Inbound::Closed).await;
    }

    /// Waits until everything handed on before is handled; an error where some of it will not be.
    pub(super) async fn settle(&self) -> Result<(), Over> {
        let (done, settled) = oneshot::channel();
        self.receive(Inbound::Barrier(done)).await?;
        let _backlog = self.heartbeat.backlog();
        settled.await.map_err(|_| Over)
    }

    /// Hands on; waits while too much waits already.
    pub(super) async fn receive(&self, inbound: Inbound) -> Result<(), Over> {
        let inbound = match self.inbox.try_send(inbound) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Over),
            Err(mpsc::error::TrySendError::Full(inbound)) => inbound,
        };
        let _backlog = self.heartbeat.backlog();
        tokio::select! {
            sent = self.inbox.send(inbound) => sent.map_err(|_| Over),
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

    /// Sends an event whose arrival is to be confirmed: `frames` makes it with the number that it is given. A ping of
    /// its own follows at once, beside the heartbeat's: its answer is the receipt, a round trip later.
    pub(super) fn send_confirmed(&self, frames: impl FnOnce(u64) -> Vec<Frame>) -> oneshot::Receiver<()> {
        let (number, told) = self.receipts.expect();
        self.send(&frames(number));
        // Numbered after the event went out, so fewer pings went out before the event than this number says.
        self.receipts.sent(number, self.ping());
        // The answer may have been counted before its number was noted.
        self.receipts.note_pongs(self.pongs());
        told
    }

    /// How many pings the client has answered.
    pub(super) fn pongs(&self) -> u64 {
        self.pongs.load(Ordering::Acquire)
    }

    /// Completes when the client answers a ping, from now on.
    pub(super) fn ponged(&self) -> Notified<'_> {
        self.ponged.notified()
    }

    pub(super) fn transport(&self) -> Transport {
        match self.transport.load(Ordering::Acquire) {
            0 => Transport::Polling,
            1 => Transport::Probing,
            2 => Transport::Upgrading,
            _ => Transport::Websocket,
        }
    }

    /// Goes from one transport to another; false where another request did so first.
    pub(super) fn change_transport(&self, from: Transport, to: Transport) -> bool {
        self.transport
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Enters the namespace, and tells the client so ahead of whatever it gets there: clients drop events that come
    /// before this answer, and an event sent after it must not find the client missing.
    pub(super) fn enter(&self, sid: String, answer: &Frame) {
        let mut member = self.member();
        self.send(std::slice::from_ref(answer));
        *member = Some(Member {
            sid,
            rooms: HashSet::new(),
        });
    }

    /// Whether the client is in the namespace.
    pub(super) fn is_member(&self) -> bool {
        self.member().is_some()
    }

    /// Leaves the namespace and every room.
    pub(super) fn leave(&self) -> Option<Member> {
        self.member().take()
    }

    /// Enters an agent's room; false where the client is in too many, or not in the namespace.
    pub(super) fn join(&self, agent_id: &str) -> bool {
        let mut member = self.member();
        let Some(member) = member.as_mut() else {
            return false;
        };
        if member.rooms.len() >= MOST_ROOMS && !member.rooms.contains(agent_id) {
            return false;
        }
        member.rooms.insert(agent_id.to_owned());
        true
    }

    /// The client's place in the namespace, for as long as the caller holds on; never over an await.
    pub(super) fn member(&self) -> MutexGuard<'_, Option<Member>> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
