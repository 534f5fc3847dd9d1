//! The Socket.IO clients of a run. Every emit is settled before the next step begins, so that whether something came
//! depends on the one who should receive it alone.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    connection::{Connection, Patience, Rests},
    received::Received,
};
use crate::{
    socket_io::{Client, CloseReason, ConnectError, ConnectOptions, Opening},
    transcript::{Heard, Notice, NoticeKind, Seen},
};

/// All clients, by name.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    clients: BTreeMap<String, Connection>,
    notices: Vec<Notice>,
    patience: Patience,
    /// Whether the server went on with something for longer than is waited for.
    is_restless: bool,
    /// How many connections were tried.
    tried: u32,
    /// What connections received that are over.
    heard: Vec<Heard>,
    /// Where others use the server: what the scenario's own events mention.
    pub(super) own: Vec<String>,
    /// Why the server could not be reached at all, the last time.
    pub(super) unreachable: Option<String>,
}

impl Sockets {
    /// No clients yet; `is_live` says that the server is none in this process.
    /// A server in this process took as long as `start` to start.
    pub(super) fn new(is_live: bool, start: Duration) -> Self {
        let patience = if is_live {
            Patience::live()
        } else {
            Patience::default().after_a_start_of(start)
        };
        Self {
            patience,
            ..Self::default()
        }
    }

    pub(super) async fn connect(&mut self, name: &str, options: &ConnectOptions, step: u32) -> Seen {
        self.disconnect(name).await;
        self.tried += 1;
        let mut opening = Opening::default();
        let connected = Client::connect_and_show(options, &mut opening).await;
        let heard = Heard {
            opened: opening.opened.take(),
            ..Heard::begin(name, self.tried)
        };
        match connected {
            Ok(client) => {
                let connection = Connection::new(client, self.patience, step, heard).of(&self.own);
                self.clients.insert(name.to_owned(), connection);
                Seen::Connected {
                    connected: true,
                    error: None,
                }
            }
            Err(error) => {
                self.heard.push(Received::of_nobody(opening, step, heard));
                if matches!(
                    error,
                    ConnectError::Closed(CloseReason::Unreachable(_)) | ConnectError::Late
                ) {
                    self.unreachable = Some(error.to_string());
                }
                Seen::Connected {
                    connected: false,
                    error: Some(error.to_string()),
                }
            }
        }
    }

    /// Leaves; what arrived and was not waited for is noted. Nobody is asked whether a client was there.
    pub(super) async fn disconnect(&mut self, name: &str) {
        if let Some(connection) = self.clients.remove(name) {
            self.heard.push(connection.leave(name, &mut self.notices).await);
        }
    }

    /// Takes in what a step caused on every connection, so that it is known when it came.
    pub(super) async fn settle(&mut self, step: u32) {
        let open = self
            .clients
            .values_mut()
            .filter(|one| one.received.closed.is_none());
        if self.patience.linger.is_zero() {
            for connection in open {
                connection.received.step = step;
                connection.settle().await;
            }
        } else {
            // Each waits a while, and they need not wait for each other.
            join_all(open.map(|connection| {
                connection.received.step = step;
                connection.settle()
            }))
            .await;
        }
    }

    fn get(&mut self, name: &str, step: u32) -> Result<&mut Connection, String> {
        let connection = self
            .clients
            .get_mut(name)
            .ok_or_else(|| format!("{name} is not connected"))?;
        connection.received.step = step;
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
        let id = connection.ask(event, arguments).await.map_err(over)?;
        let mut arguments = connection
            .until(connection.patience.swift, |one| one.acknowledgement(id))
            .await;
        if arguments.is_none() {
            connection.settle().await;
            arguments = connection.received.acknowledgement(id);
            connection.received.give_up(id);
        }
        Ok(Some(Seen::Acknowledged { arguments }))
    }

    /// Takes the next event of a name. `rests` says whether the server does nothing by itself any more, so that nothing that
    /// is not there already can come.
    pub(super) async fn expect(
        &mut self,
        name: &str,
        step: u32,
        event: &str,
        rests: &Rests<'_>,
    ) -> Result<Option<Vec<Value>>, String> {
        let connection = self.get(name, step)?;
        let mut found = connection
            .until(connection.patience.swift, |one| one.take(event))
            .await;
        if found.is_none() {
            found = connection.wait_for(event, rests).await;
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

    /// Takes in what a step caused, also by way of what a server in this process goes on with by itself: that comes before
    /// the next step does something. What does not end in time is not waited for again.
    pub(super) async fn settle_at_rest(&mut self, step: u32, rests: &Rests<'_>) {
        let Patience {
            swift, background, ..
        } = self.patience;
        let mut left = if self.is_restless {
            Duration::ZERO
        } else {
            background
        };
        if self.patience.linger.is_zero() {
            self.is_restless = !rests().await;
            while self.is_restless && !left.is_zero() {
                left = left.saturating_sub(swift);
                #[allow(
                    clippy::disallowed_methods,
                    reason = "the server works in real time, whatever its clock says; nothing is judged by it"
                )]
                sleep(swift).await;
                self.is_restless = !rests().await;
            }
        }
        self.settle(step).await;
    }

    /// An event of a name that has come though none should. `woken`: background work may be at it, unless the server `rests`.
    pub(super) async fn silence(
        &mut self,
        name: &str,
        step: u32,
        event: &str,
        woken: bool,
        rests: &Rests<'_>,
    ) -> Result<Option<Vec<Value>>, String> {
        let connection = self.get(name, step)?;
        let is_over = woken && rests().await;
        if connection.settle().await && woken && !is_over {
            connection.until(connection.patience.quiet, |_| None::<()>).await;
        }
        Ok(connection.received.take(event).map(|found| found.arguments))
    }

    /// Ends all connections; what was noted about them, and what each of them received.
    pub(super) async fn finish(mut self) -> (Vec<Notice>, Vec<Heard>) {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for name in names {
            self.disconnect(&name).await;
        }
        self.heard.sort_by_key(|heard| heard.connection);
        (self.notices, self.heard)
    }
}

#[cfg(test)]
mod tests;
