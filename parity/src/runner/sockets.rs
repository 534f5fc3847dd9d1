//! The Socket.IO clients of a run.
//!
//! That something did not come is concluded by a barrier: an event without effect that the server acknowledges, sent
//! after everything else on the same socket. The server handles the events of one connection in order and relays
//! before it acknowledges, so once the barrier's acknowledgement is there, whatever was to come has come. Every emit
//! is settled before the next step begins, so a barrier on the receiver is enough for what somebody else sent.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    socket_io::{Client, CloseReason, ConnectOptions, Incoming},
    transcript::{Notice, NoticeKind, Seen},
};

/// The legacy acknowledges it without any effect.
const BARRIER: &str = "request_config";
/// How long things may take, in real time.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// What usually comes comes within this, so that no barrier is needed.
    swift: Duration,
    /// The first barrier of a connection; a server that knows no such event never answers it.
    first_barrier: Duration,
    /// A barrier where one was answered before.
    barrier: Duration,
    /// Background work that the clock has woken, until its event is there.
    background: Duration,
    /// What stands for silence where no barrier is answered.
    quiet: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            swift: Duration::from_millis(40),
            first_barrier: Duration::from_secs(2),
            barrier: Duration::from_secs(10),
            background: Duration::from_secs(3),
            quiet: Duration::from_millis(300),
        }
    }
}

/// All clients, by name.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    clients: BTreeMap<String, Connection>,
    notices: Vec<Notice>,
    patience: Patience,
}

/// Whether a server answers barriers on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Barriers {
    Untried,
    Answered,
    Unanswered,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    /// Events that no step has taken, in the order of arrival.
    arrived: VecDeque<Arrived>,
    /// How many events have arrived.
    count: u64,
    /// The number of the latest event that a step took.
    latest_taken: u64,
    acks: BTreeMap<u64, Vec<Value>>,
    closed: Option<CloseReason>,
    barriers: Barriers,
    patience: Patience,
    step: u32,
}

#[derive(Debug)]
struct Arrived {
    number: u64,
    step: u32,
    name: String,
    arguments: Vec<Value>,
}

impl Sockets {
    pub(super) async fn connect(&mut self, name: &str, options: &ConnectOptions, step: u32) -> Seen {
        self.disconnect(name).await;
        match Client::connect(options).await {
            Ok(client) => {
                let connection = Connection::new(client, self.patience, step);
                self.clients.insert(name.to_owned(), connection);
                Seen::Connected {
                    connected: true,
                    error: None,
                }
            }
            Err(error) => Seen::Connected {
                connected: false,
                error: Some(error.to_string()),
            },
        }
    }

    /// Leaves; what arrived and was not waited for is noted. Nobody is asked whether a client was there.
    pub(super) async fn disconnect(&mut self, name: &str) {
        if let Some(mut connection) = self.clients.remove(name) {
            connection.settle().await;
            connection.note(name, &mut self.notices);
            if connection.closed.is_none() {
                connection.client.disconnect().await;
            }
        }
    }

    fn get(&mut self, name: &str, step: u32) -> Result<&mut Connection, String> {
        let connection = self
            .clients
            .get_mut(name)
            .ok_or_else(|| format!("{name} is not connected"))?;
        connection.step = step;
        Ok(connection)
    }

    /// Emits, and waits until the server has done what it does about it.
    pub(super) async fn emit(
        &mut self,
        name: &str,
        step: u32,
        event: &str,
        arguments: &[Value],
        ack: bool,
    ) -> Result<Option<Seen>, String> {
        let connection = self.get(name, step)?;
        let over = |reason: CloseReason| format!("{name} cannot emit: {reason}");
        if !ack {
            connection.client.emit(event, arguments).await.map_err(over)?;
            connection.settle().await;
            return Ok(None);
        }
        let id = connection
            .client
            .emit_with_ack(event, arguments)
            .await
            .map_err(over)?;
        let mut arguments = connection
            .until(connection.patience.swift, |one| one.acks.remove(&id))
            .await;
        if arguments.is_none() {
            connection.settle().await;
            arguments = connection.acks.remove(&id);
        }
        Ok(Some(Seen::Acknowledged { arguments }))
    }

    /// Takes the next event of a name.
    pub(super) async fn expect(
        &mut self,
        name: &str,
        step: u32,
        event: &str,
    ) -> Result<Option<Vec<Value>>, String> {
        let connection = self.get(name, step)?;
        let mut found = connection
            .until(connection.patience.swift, |one| one.take(event))
            .await;
        if found.is_none() {
            let limit = if connection.settle().await {
                connection.patience.background
            } else {
                connection.patience.quiet
            };
            found = connection.until(limit, |one| one.take(event)).await;
        }
        let Some(found) = found else { return Ok(None) };
        if found.number < connection.latest_taken {
            self.notices
                .push(found.notice(name, NoticeKind::Early, found.arguments.clone()));
        } else {
            connection.latest_taken = found.number;
        }
        Ok(Some(found.arguments))
    }

    /// An event of a name that has come though none should. `woken`: background work may be at it.
    pub(super) async fn silence(
        &mut self,
        name: &str,
        step: u32,
        event: &str,
        woken: bool,
    ) -> Result<Option<Vec<Value>>, String> {
        let connection = self.get(name, step)?;
        if connection.settle().await && woken {
            connection.until(connection.patience.quiet, |_| None::<()>).await;
        }
        Ok(connection.take(event).map(|found| found.arguments))
    }

    /// Ends all connections; what was noted about them.
    pub(super) async fn finish(mut self) -> Vec<Notice> {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for name in names {
            self.disconnect(&name).await;
        }
        self.notices
    }
}

impl Connection {
    fn new(client: Client, patience: Patience, step: u32) -> Self {
        Self {
            client,
            arrived: VecDeque::new(),
            count: 0,
            latest_taken: 0,
            acks: BTreeMap::new(),
            closed: None,
            barriers: Barriers::Untried,
            patience,
            step,
        }
    }

    fn take_in(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Event { name, arguments } => {
                self.count += 1;
                self.arrived.push_back(Arrived {
                    number: self.count,
                    step: self.step,
                    name,
                    arguments,
                });
            }
            Incoming::Ack { id, arguments } => {
                self.acks.insert(id, arguments);
            }
            Incoming::Closed(reason) => self.closed = Some(reason),
        }
    }

    /// Takes in what arrives until `done` has its value, the time is over or nothing can come any more.
    async fn until<T>(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        while let (None, Some(incoming)) = (&self.closed, self.client.try_next()) {
            self.take_in(incoming);
        }
        let waiting = async {
            loop {
                if let Some(value) = done(self) {
                    return Some(value);
                }
                if self.closed.is_some() {
                    return None;
                }
                let incoming = self.client.next().await;
                self.take_in(incoming);
            }
        };
        timeout(limit, waiting).await.unwrap_or(None)
    }

    /// Takes in everything that is on its way. Whether that is sure.
    async fn settle(&mut self) -> bool {
        if self.barriers == Barriers::Unanswered {
            self.until(self.patience.quiet, |_| None::<()>).await;
            return false;
        }
        let limit = match self.barriers {
            Barriers::Answered => self.patience.barrier,
            _ => self.patience.first_barrier,
        };
        // A connection that is over ends the waiting below.
        let id = self.client.emit_with_ack(BARRIER, &[json!({})]).await.ok();
        let answered = self
            .until(limit, |one| id.and_then(|id| one.acks.remove(&id)))
            .await
            .is_some();
        if answered || self.closed.is_some() {
            self.barriers = Barriers::Answered;
            return true;
        }
        self.barriers = Barriers::Unanswered;
        false
    }

    fn take(&mut self, event: &str) -> Option<Arrived> {
        let at = self.arrived.iter().position(|one| one.name == event)?;
        self.arrived.remove(at)
    }

    fn note(&self, client: &str, notices: &mut Vec<Notice>) {
        for one in &self.arrived {
            notices.push(one.notice(client, NoticeKind::NotWaitedFor, one.arguments.clone()));
        }
        if let Some(reason) = &self.closed {
            notices.push(Notice {
                client: client.to_owned(),
                step: self.step,
                kind: NoticeKind::Closed,
                event: String::new(),
                arguments: vec![json!(reason.to_string())],
            });
        }
    }
}

impl Arrived {
    fn notice(&self, client: &str, kind: NoticeKind, arguments: Vec<Value>) -> Notice {
        Notice {
            client: client.to_owned(),
            step: self.step,
            kind,
            event: self.name.clone(),
            arguments,
        }
    }
}

#[cfg(test)]
mod tests;
