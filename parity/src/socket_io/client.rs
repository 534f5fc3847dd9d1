//! One client of the namespace `/`.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{
        self,
        error::{TryRecvError, TrySendError},
    },
    task::JoinSet,
    time::timeout,
};

use super::{
    CloseReason, ConnectError, ConnectOptions, Incoming, Limits, Opening, Stray,
    engine_packet::EnginePacket,
    packet::{Content, Decoder, Packet, ROOT},
    transport::{self, Link, hide_sid},
};

/// A client that has joined the namespace. Dropping it drops the connection.
#[derive(Debug)]
pub struct Client {
    sid: String,
    limits: Limits,
    outgoing: mpsc::Sender<Vec<EnginePacket>>,
    incoming: mpsc::Receiver<Incoming>,
    closed: Arc<OnceLock<CloseReason>>,
    next_id: u64,
    session: JoinSet<()>,
}

impl Client {
    /// Opens a session and joins the namespace.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses, or does not answer in time.
    pub async fn connect(options: &ConnectOptions) -> Result<Self, ConnectError> {
        Self::connect_and_show(options, &mut Opening::default()).await
    }

    /// As [`Self::connect`]; shows what the server said, also where there is no connection.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_and_show(
        options: &ConnectOptions,
        opening: &mut Opening,
    ) -> Result<Self, ConnectError> {
        timeout(options.limits.connect, join(options, opening))
            .await
            .unwrap_or(Err(ConnectError::Late))
    }

    /// The Socket.IO session id.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Sends an event; waits while too many packets stand in line.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn emit(&mut self, event: &str, arguments: &[Value]) -> Result<(), CloseReason> {
        self.send(None, event, arguments).await
    }

    /// Sends an event and asks for an acknowledgement, which arrives under the id that this returns.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn emit_with_ack(&mut self, event: &str, arguments: &[Value]) -> Result<u64, CloseReason> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(Some(id), event, arguments).await.map(|()| id)
    }

    /// Acknowledges an event that came with this id.
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn acknowledge(&mut self, id: u64, arguments: &[Value]) -> Result<(), CloseReason> {
        self.send_packet(&Packet::root(Content::Ack {
            id,
            arguments: arguments.to_vec(),
        }))
        .await
    }

    /// Asks for another namespace; a server without it answers with [`Incoming::Refused`].
    ///
    /// # Errors
    /// If the connection is over.
    pub async fn ask_for_namespace(&mut self, namespace: &str) -> Result<(), CloseReason> {
        self.send_packet(&Packet {
            namespace: namespace.to_owned(),
            content: Content::Connect(None),
        })
        .await
    }

    async fn send(&self, id: Option<u64>, event: &str, arguments: &[Value]) -> Result<(), CloseReason> {
        self.send_packet(&Packet::root(Content::Event {
            id,
            name: event.to_owned(),
            arguments: arguments.to_vec(),
        }))
        .await
    }

    async fn send_packet(&self, packet: &Packet) -> Result<(), CloseReason> {
        if let Some(reason) = self.closed.get() {
            return Err(reason.clone());
        }
        let sent = self.outgoing.send(messages(packet)).await;
        sent.map_err(|_| self.reason())
    }

    /// What arrives next. After [`Incoming::Closed`] nothing else comes.
    pub async fn next(&mut self) -> Incoming {
        match self.incoming.recv().await {
            Some(incoming) => incoming,
            None => Incoming::Closed(self.reason()),
        }
    }

    /// What has arrived already, if anything.
    pub fn try_next(&mut self) -> Option<Incoming> {
        match self.incoming.try_recv() {
            Ok(incoming) => Some(incoming),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Incoming::Closed(self.reason())),
        }
    }

    fn reason(&self) -> CloseReason {
        let unknown = || CloseReason::Broken("the connection ended".to_owned());
        self.closed.get().cloned().unwrap_or_else(unknown)
    }

    /// Ends the connection without a word, as where a cable is cut. What had come by then and was not looked at is
    /// returned: the server may have been told that it arrived.
    pub async fn cut(self) -> Vec<Incoming> {
        let Self {
            mut incoming,
            mut session,
            ..
        } = self;
        session.shutdown().await;
        std::iter::from_fn(|| incoming.try_recv().ok()).collect()
    }

    /// Leaves the namespace, closes the session and waits until the server has taken note of it. What had come by then and
    /// was not looked at is returned: the server may have been told that it arrived.
    pub async fn disconnect(self) -> Vec<Incoming> {
        let Self {
            outgoing,
            mut incoming,
            closed,
            mut session,
            limits,
            ..
        } = self;
        let (text, _) = Packet::root(Content::Disconnect).encode();
        // A connection that is over already needs no goodbye.
        let _ = closed.set(CloseReason::Client);
        let _ = outgoing.try_send(vec![EnginePacket::Message(text), EnginePacket::Close]);
        drop(outgoing);
        let _ = timeout(limits.disconnect, session.join_next()).await;
        std::iter::from_fn(|| incoming.try_recv().ok()).collect()
    }
}

fn messages(packet: &Packet) -> Vec<EnginePacket> {
    let (text, attachments) = packet.encode();
    let mut batch = vec![EnginePacket::Message(text)];
    batch.extend(attachments.into_iter().map(EnginePacket::Binary));
    batch
}

async fn join(options: &ConnectOptions, opening: &mut Opening) -> Result<Client, ConnectError> {
    let mut link = transport::open(options).await?;
    opening.opened = Some(link.handshake.shown.clone());
    let hello = Packet::root(Content::Connect(options.auth.clone()));
    // A session that ended says why in its incoming packets.
    let _ = link.outgoing.send(messages(&hello)).await;
    let mut decoder = Decoder::default();
    let sid = loop {
        if opening.early.len() >= options.limits.packets {
            return Err(CloseReason::Overflow.into());
        }
        let packet = match receive(&mut link, &mut decoder).await? {
            Arrival::Packet(packet) => packet,
            Arrival::Stray(stray) => {
                opening.early.push(stray);
                continue;
            }
            Arrival::Nothing => continue,
        };
        match packet.content {
            Content::Connect(data) if packet.namespace == ROOT => {
                let sid = data.as_ref().and_then(|data| data.get("sid")?.as_str());
                let sid = sid.unwrap_or_default().to_owned();
                if data != Some(json!({ "sid": sid })) {
                    let packet = Packet::root(Content::Connect(data));
                    opening.early.push(stray(Stray::Packet, packet));
                }
                break sid;
            }
            Content::ConnectError(data) if packet.namespace == ROOT => {
                return Err(ConnectError::Namespace(data));
            }
            Content::Disconnect if packet.namespace == ROOT => {
                return Err(CloseReason::Disconnected.into());
            }
            _ => opening.early.push(stray(Stray::Early, packet)),
        }
    };
    let (arrived, incoming) = mpsc::channel(options.limits.packets.max(opening.early.len()));
    for early in opening.early.drain(..) {
        // There is room for all of them.
        let _ = arrived.try_send(early);
    }
    let closed = Arc::new(OnceLock::new());
    let outgoing = link.outgoing.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(run(link, decoder, arrived, Arc::clone(&closed)));
    Ok(Client {
        sid,
        limits: options.limits,
        outgoing,
        incoming,
        closed,
        next_id: 0,
        session: tasks,
    })
}

/// A packet that nobody asked for.
fn stray(kind: Stray, packet: Packet) -> Incoming {
    let namespace = packet.namespace;
    let says = match packet.content {
        Content::Connect(data) => {
            let mut data = data.unwrap_or_default();
            hide_sid(&mut data);
            json!({ "namespace": namespace, "joined": data })
        }
        Content::Disconnect => json!({ "namespace": namespace, "left": true }),
        Content::Event { id, name, arguments } => {
            json!({ "namespace": namespace, "event": name, "arguments": arguments, "asks": id.is_some() })
        }
        Content::Ack { arguments, .. } => json!({ "namespace": namespace, "acknowledgement": arguments }),
        Content::ConnectError(data) => json!({ "namespace": namespace, "refused": data }),
    };
    Incoming::Stray { kind, says }
}

fn of_the_transport(says: Value) -> Arrival {
    let kind = Stray::Transport;
    Arrival::Stray(Incoming::Stray { kind, says })
}

/// Passes on what arrives until the session is over.
async fn run(
    mut link: Link,
    mut decoder: Decoder,
    arrived: mpsc::Sender<Incoming>,
    closed: Arc<OnceLock<CloseReason>>,
) {
    // The client's own sender alone keeps the transport open, so that dropping it closes the session.
    let (unused, _) = mpsc::channel(1);
    let pongs = std::mem::replace(&mut link.outgoing, unused).downgrade();
    // The answer to a ping that came while the queue was full: the last one is enough.
    let mut due = None;
    let reason = loop {
        let mut deferred = None;
        let send_due = async {
            match (&due, pongs.upgrade()) {
                // Where the transport has ended, the next packet says so.
                (Some(pong), Some(sender)) => drop(sender.send(vec![EnginePacket::clone(pong)]).await),
                _ => std::future::pending().await,
            }
        };
        let receive = receive_with(&mut link, &mut decoder, |pong| {
            let refused = pongs
                .upgrade()
                .and_then(|sender| sender.try_send(vec![pong]).err());
            match refused {
                None => true,
                Some(TrySendError::Full(mut packets)) => {
                    deferred = packets.pop();
                    true
                }
                Some(TrySendError::Closed(_)) => false,
            }
        });
        let received = tokio::select! {
            () = send_due => None,
            received = receive => Some(received),
        };
        let Some(received) = received else {
            due = None;
            continue;
        };
        due = deferred.or(due);
        let incoming = match received {
            Ok(Arrival::Packet(Packet { namespace, content })) => match content {
                Content::ConnectError(_) if namespace != ROOT => Incoming::Refused { namespace },
                Content::Event { id, name, arguments } if namespace == ROOT => {
                    Incoming::Event { id, name, arguments }
                }
                Content::Ack { id, arguments } if namespace == ROOT => Incoming::Ack { id, arguments },
                Content::Disconnect if namespace == ROOT => break CloseReason::Disconnected,
                content => stray(Stray::Packet, Packet { namespace, content }),
            },
            Ok(Arrival::Stray(stray)) => stray,
            Ok(Arrival::Nothing) => continue,
            Err(reason) => break reason,
        };
        if arrived.try_send(incoming).is_err() {
            break CloseReason::Overflow;
        }
    };
    // A client that closed the session itself has said so before.
    let _ = closed.set(reason);
}

/// What came over the transport.
enum Arrival {
    Packet(Packet),
    /// An [`Incoming::Stray`].
    Stray(Incoming),
    /// A part of a packet, or what keeps the session alive.
    Nothing,
}

async fn receive(link: &mut Link, decoder: &mut Decoder) -> Result<Arrival, CloseReason> {
    let pongs = link.outgoing.clone();
    receive_with(link, decoder, |packet| pongs.try_send(vec![packet]).is_ok()).await
}

/// What comes next. Pings are answered.
async fn receive_with(
    link: &mut Link,
    decoder: &mut Decoder,
    mut answer: impl FnMut(EnginePacket) -> bool,
) -> Result<Arrival, CloseReason> {
    let handshake = &link.handshake;
    let patience = Duration::from_millis(handshake.ping_interval.saturating_add(handshake.ping_timeout));
    let packet = match timeout(patience, link.incoming.recv()).await {
        Ok(Some(packet)) => packet?,
        Ok(None) => return Err(CloseReason::Broken("the connection ended".to_owned())),
        Err(_) => return Err(CloseReason::Silent),
    };
    let malformed = |error: super::packet::DecodeError| CloseReason::Malformed(error.to_string());
    let decoded = match packet {
        EnginePacket::Message(text) => decoder.text(&text).map_err(malformed)?,
        EnginePacket::Binary(bytes) => decoder.binary(bytes).map_err(malformed)?,
        EnginePacket::Ping(text) => {
            let says_something = !text.is_empty();
            let says = json!({ "ping": text });
            if !answer(EnginePacket::Pong(text)) {
                return Err(CloseReason::Overflow);
            }
            return Ok(if says_something {
                of_the_transport(says)
            } else {
                Arrival::Nothing
            });
        }
        EnginePacket::Close => return Err(CloseReason::SessionClosed),
        EnginePacket::Open(text) => {
            let mut says = serde_json::from_str(&text).unwrap_or(Value::String(text));
            hide_sid(&mut says);
            return Ok(of_the_transport(json!({ "open": says })));
        }
        EnginePacket::Pong(text) => return Ok(of_the_transport(json!({ "pong": text }))),
        EnginePacket::Upgrade => return Ok(of_the_transport(json!("upgrade"))),
        EnginePacket::Noop if link.noops > 0 => {
            link.noops -= 1;
            return Ok(Arrival::Nothing);
        }
        EnginePacket::Noop => return Ok(of_the_transport(json!("noop"))),
    };
    Ok(decoded.map_or(Arrival::Nothing, Arrival::Packet))
}
