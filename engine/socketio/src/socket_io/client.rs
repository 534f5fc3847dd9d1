//! One client: the namespaces that it is in, and what it was asked to acknowledge.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{
    data::{Arguments, Data, Emit},
    packet::{CONNECT, DISCONNECT, Packets},
};
use crate::engine_io::{self, Connection, Receipt, Unconfirmed};

/// One client, shared by its task and everybody who sends to it. `P` is what the application knows of it.
#[derive(Debug)]
pub struct Client<P, D> {
    connection: Arc<Connection>,
    /// What the application knows of it.
    pub peer: P,
    memberships: Mutex<Vec<Membership>>,
    acks: Acks<D>,
}

/// A namespace that the client has entered.
#[derive(Debug)]
struct Membership {
    namespace: Box<str>,
    /// Its Socket.IO id there; `None` once it has left.
    sid: Option<Box<str>>,
}

impl<P: Send + Sync + 'static, D: Data> engine_io::Client for Client<P, D> {
    fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl<P, D> Client<P, D> {
    /// Its connection.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl<P, D: Data> Client<P, D> {
    pub(crate) fn new(connection: Arc<Connection>, peer: P) -> Self {
        Self {
            connection,
            peer,
            memberships: Mutex::default(),
            acks: Acks::default(),
        }
    }

    /// Whether it is in this namespace.
    pub fn is_in(&self, namespace: &str) -> bool {
        self.sid(namespace).is_some()
    }

    /// Its Socket.IO id in this namespace, if it is there.
    pub fn sid(&self, namespace: &str) -> Option<Box<str>> {
        let memberships = self.memberships();
        let membership = memberships.iter().find(|one| *one.namespace == *namespace)?;
        membership.sid.clone()
    }

    /// The namespaces that it is in.
    pub fn namespaces(&self) -> Vec<Box<str>> {
        let memberships = self.memberships();
        let present = memberships.iter().filter(|one| one.sid.is_some());
        present.map(|one| one.namespace.clone()).collect()
    }

    /// Sends an event, behind everything sent before. Whether the client is in the namespace is the caller's business.
    pub fn emit(&self, event: &Emit<'_, D>) {
        self.send(&event.packets());
    }

    /// Sends packets that were written before: the same ones may go to many.
    pub fn send(&self, packets: &Packets) {
        self.connection.send(packets.frames());
    }

    /// Sends an event; what comes of it completes when the client acknowledges.
    pub fn emit_with_ack(&self, event: &Emit<'_, D>) -> Acknowledged<D> {
        let (number, acknowledged) = self.acks.expect(event.namespace);
        self.send(&event.numbered(number));
        acknowledged
    }

    /// Sends an event; the receipt completes when the client has it, which is long before it has handled it: it has
    /// answered the ping behind the event, or acknowledged.
    pub fn hand_over(&self, event: &Emit<'_, D>) -> Delivered<D> {
        let (number, acknowledged) = self.acks.expect(event.namespace);
        let receipt = self.connection.hand_over(event.numbered(number).frames());
        Delivered {
            receipt,
            acknowledged: Some(acknowledged),
        }
    }

    /// Has the client leave a namespace, and tells it so.
    pub fn disconnect(&self, namespace: &str) -> bool {
        let was_there = self.leave(namespace).is_some();
        if was_there {
            self.send(&Packets::control(DISCONNECT, namespace, ""));
        }
        was_there
    }

    /// Enters a namespace, and tells the client so ahead of whatever it gets there: clients drop events that come before
    /// this answer, and an event sent after it must not find the client missing. False where it is in too many.
    pub(crate) fn enter(&self, namespace: &str, sid: &str, most: usize) -> bool {
        let mut memberships = self.memberships();
        let known = memberships.iter().position(|one| *one.namespace == *namespace);
        if known.is_none() && memberships.len() >= most {
            return false;
        }
        self.send(&Packets::control(
            CONNECT,
            namespace,
            &format!("{{\"sid\":\"{sid}\"}}"),
        ));
        let sid = Some(sid.into());
        match known.and_then(|index| memberships.get_mut(index)) {
            Some(membership) => membership.sid = sid,
            None => memberships.push(Membership {
                namespace: namespace.into(),
                sid,
            }),
        }
        true
    }

    /// Leaves a namespace; its id there, if it was there.
    pub(crate) fn leave(&self, namespace: &str) -> Option<Box<str>> {
        let mut memberships = self.memberships();
        let membership = memberships.iter_mut().find(|one| *one.namespace == *namespace)?;
        membership.sid.take()
    }

    /// Whether it has been in this namespace: what it sent there before it knew that it is not any more means nothing.
    pub(super) fn has_left(&self, namespace: &str) -> bool {
        let memberships = self.memberships();
        memberships
            .iter()
            .any(|one| *one.namespace == *namespace && one.sid.is_none())
    }

    /// Whether it has ever been in any.
    pub(super) fn has_entered(&self) -> bool {
        !self.memberships().is_empty()
    }

    pub(super) fn acks(&self) -> &Acks<D> {
        &self.acks
    }

    fn memberships(&self) -> MutexGuard<'_, Vec<Membership>> {
        self.memberships.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes when the client acknowledges.
#[derive(Debug)]
pub struct Acknowledged<D>(oneshot::Receiver<Arguments<D>>);

impl<D> Future for Acknowledged<D> {
    type Output = Result<Arguments<D>, Unconfirmed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| Unconfirmed)
    }
}

/// Completes when the client has what it was sent.
#[derive(Debug)]
pub struct Delivered<D> {
    receipt: Receipt,
    acknowledged: Option<Acknowledged<D>>,
}

impl<D> Future for Delivered<D> {
    type Output = Result<(), Unconfirmed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(acknowledged) = &mut self.acknowledged
            && let Poll::Ready(come) = Pin::new(acknowledged).poll(context)
        {
            if come.is_ok() {
                return Poll::Ready(Ok(()));
            }
            self.acknowledged = None;
        }
        Pin::new(&mut self.receipt).poll(context)
    }
}

/// What one client was asked to acknowledge.
#[derive(Debug)]
pub(super) struct Acks<D> {
    book: Mutex<Book<D>>,
}

#[derive(Debug)]
struct Book<D> {
    next: u64,
    waiting: HashMap<u64, Waiting<D>>,
    /// When there are so many, they are looked through.
    looked_at_from: usize,
    is_closed: bool,
}

const LOOKED_AT_FROM: usize = 16;

#[derive(Debug)]
struct Waiting<D> {
    namespace: Box<str>,
    come: oneshot::Sender<Arguments<D>>,
}

impl<D> Default for Acks<D> {
    fn default() -> Self {
        Self {
            book: Mutex::new(Book {
                next: 0,
                waiting: HashMap::new(),
                looked_at_from: LOOKED_AT_FROM,
                is_closed: false,
            }),
        }
    }
}

impl<D> Acks<D> {
    /// A number for an event that is about to be sent, and what becomes of it.
    fn expect(&self, namespace: &str) -> (u64, Acknowledged<D>) {
        let (come, acknowledged) = oneshot::channel();
        let mut book = self.book();
        if book.waiting.len() >= book.looked_at_from {
            // Those that nobody waits for any more.
            book.waiting.retain(|_, waiting| !waiting.come.is_closed());
            book.looked_at_from = LOOKED_AT_FROM.max(2 * book.waiting.len());
        }
        let number = book.next;
        book.next += 1;
        if !book.is_closed {
            let namespace = namespace.into();
            book.waiting.insert(number, Waiting { namespace, come });
        }
        (number, Acknowledged(acknowledged))
    }

    /// Whether anybody waits for this acknowledgement.
    pub(super) fn is_expected(&self, namespace: &str, number: u64) -> bool {
        let book = self.book();
        book.waiting
            .get(&number)
            .is_some_and(|waiting| *waiting.namespace == *namespace && !waiting.come.is_closed())
    }

    /// The client acknowledged. What nobody waits for means nothing.
    pub(super) fn note(&self, namespace: &str, number: u64, arguments: Arguments<D>) {
        if !self.is_expected(namespace, number) {
            return;
        }
        if let Some(waiting) = self.book().waiting.remove(&number) {
            // Nobody waits any more where this fails.
            let _ = waiting.come.send(arguments);
        }
    }

    /// The connection ends: what is not acknowledged stays so.
    pub(super) fn close(&self) {
        let mut book = self.book();
        book.is_closed = true;
        book.waiting.clear();
    }

    fn book(&self) -> MutexGuard<'_, Book<D>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn an_acknowledgement_confirms_its_own_event() {
        let acks = Acks::<Value>::default();
        let (first, waiting_first) = acks.expect("/");
        let (second, waiting_second) = acks.expect("/");
        assert_ne!(first, second);
        let arguments = Arguments::of([json!(1)]);
        acks.note("/", second, arguments.clone());
        acks.note("/", 99, arguments.clone());
        acks.note("/other", first, arguments.clone());
        assert_eq!(waiting_second.await, Ok(arguments));
        acks.close();
        assert_eq!(waiting_first.await, Err(Unconfirmed));
        assert_eq!(acks.expect("/").1.await, Err(Unconfirmed));
    }

    #[test]
    fn what_nobody_waits_for_is_not_kept() {
        let acks = Acks::<Value>::default();
        for _ in 0..1000 {
            drop(acks.expect("/"));
        }
        assert!(acks.book().waiting.len() <= LOOKED_AT_FROM);
    }
}
