//! Exchanges and websocket messages become Socket.IO sessions, whichever transport carried them.
//!
//! Long because a session is read in one go, packet by packet, from both sides.

use std::collections::HashMap;

use serde_json::Value;
use tokio_tungstenite::tungstenite;

use super::{
    journal::{Entry, Moment},
    summary::Summary,
    tape::Side,
    websocket::Message,
    wire::{Exchange, header},
};
use crate::{
    runner::{BARRIER, NO_NAMESPACE},
    scenario::polling::ENDPOINT,
    socket_io::{
        CloseReason, ConnectError, Transport,
        engine_packet::{EnginePacket, decode_payload},
        packet::{Content, Decoder, Packet, ROOT},
    },
};

/// What happened on a session, once it had joined the namespace `/`.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Emit {
        at: Moment,
        event: String,
        arguments: Vec<Value>,
        ack: Option<Ack>,
    },
    Heard {
        at: Moment,
        event: String,
        arguments: Vec<Value>,
        asks: bool,
    },
    Closed {
        at: Moment,
        by_client: bool,
        reason: String,
    },
}

/// An acknowledgement that a client asked for.
#[derive(Clone, Debug)]
pub(super) struct Ack {
    id: u64,
    /// What came, and when.
    pub(super) came: Option<(Moment, Vec<Value>)>,
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// The request that opened it.
    pub(super) opened: Exchange,
    pub(super) transports: Vec<Transport>,
    /// When it joined, or was refused.
    pub(super) over: Option<Moment>,
    /// Why it could not join.
    pub(super) error: Option<String>,
    pub(super) acts: Vec<Act>,
    /// The requests of the polling transport.
    polled: Vec<Exchange>,
    asks_to_join: bool,
    closed: bool,
    ups: Decoder,
    downs: Decoder,
}

/// What a recording says of sessions, and all that is none of them.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// In the order in which they were opened.
    pub(super) sessions: Vec<Session>,
    /// Requests that belong to no session.
    pub(super) others: Vec<Exchange>,
    /// What clients and servers said that no scenario can say.
    pub(super) missing: Vec<String>,
    /// What of that a replay can do without.
    pub(super) told: Vec<String>,
}

/// One parameter of a request target's query.
pub(super) fn parameter<'a>(target: &'a str, wanted: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

enum Event {
    Asked(Box<Exchange>),
    Answered(Box<Exchange>),
    Message(u32, Side, Message),
    Closed(u32, Side),
}

/// Sorts a recording's entries into sessions and other requests.
pub(super) fn read(entries: Vec<Entry>) -> Channel {
    let mut channel = Channel::default();
    let mut events: Vec<(Moment, Event)> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Exchange(exchange) if exchange.asked.target.starts_with(ENDPOINT) => {
                events.push((exchange.begun, Event::Asked(exchange.clone())));
                events.push((exchange.over, Event::Answered(exchange)));
            }
            Entry::Exchange(exchange) => channel.others.push(*exchange),
            Entry::Message {
                connection,
                from,
                at,
                message,
            } => events.push((at, Event::Message(connection, from, message))),
            Entry::Closed { connection, from, at } => events.push((at, Event::Closed(connection, from))),
            // A poll waits for what comes, and the end may come first.
            Entry::Unanswered { what } if what.contains(ENDPOINT) => {}
            Entry::Unanswered { what } => channel.missing.push(format!("{what}: no answer came")),
            Entry::Unread { why, during } => {
                let what = during.unwrap_or_else(|| "a connection".to_owned());
                channel
                    .missing
                    .push(format!("{what}, and what followed on its connection: {why}"));
            }
        }
    }
    events.sort_by_key(|(at, _)| at.number);
    let mut reader = Reader {
        channel,
        by_sid: HashMap::new(),
        by_connection: HashMap::new(),
    };
    for (at, event) in events {
        reader.event(at, event);
    }
    let mut channel = reader.channel;
    let (sessions, others): (Vec<_>, Vec<_>) = std::mem::take(&mut channel.sessions)
        .into_iter()
        .partition(|session| session.over.is_some());
    channel.sessions = sessions;
    for session in others {
        if session.polled.is_empty() {
            channel.missing.push(format!(
                "{}: a websocket that joined no namespace",
                session.opened.asked.target
            ));
        }
        // What never became a session is written as the requests that it was.
        channel.others.extend(session.polled);
    }
    channel.others.sort_by_key(|exchange| exchange.begun.number);
    channel
}

struct Reader {
    channel: Channel,
    by_sid: HashMap<String, usize>,
    by_connection: HashMap<u32, usize>,
}

impl Reader {
    fn event(&mut self, at: Moment, event: Event) {
        match event {
            Event::Asked(exchange) => {
                let session = parameter(&exchange.asked.target, "sid").and_then(|sid| self.by_sid.get(sid));
                if let (Some(session), "POST") = (session, exchange.asked.method.as_str())
                    && let Some(packets) = payload(&exchange.asked.body.bytes)
                {
                    let session = *session;
                    for packet in packets {
                        self.said_by_client(session, at, packet);
                    }
                }
            }
            Event::Answered(exchange) => self.answered(at, *exchange),
            Event::Message(connection, from, message) => {
                let Some(session) = self.by_connection.get(&connection).copied() else {
                    return;
                };
                let packet = match message {
                    Message::Text(text) => EnginePacket::decode(&text).ok(),
                    Message::Binary(bytes) => Some(EnginePacket::Binary(bytes)),
                    Message::Close(why) => {
                        let (code, reason) = why.unwrap_or((1005, String::new()));
                        let reason = CloseReason::WebSocket { code, reason };
                        self.close(session, at, from == Side::Client, &reason);
                        return;
                    }
                    Message::TooLong(length) => {
                        self.miss(format!(
                            "a websocket's message of {length} bytes is longer than a recording keeps"
                        ));
                        None
                    }
                };
                match (packet, from) {
                    (Some(packet), Side::Client) => self.said_by_client(session, at, packet),
                    (Some(packet), Side::Server) => self.said_by_server(session, at, packet),
                    (None, _) => {}
                }
            }
            Event::Closed(connection, from) => {
                if let Some(session) = self.by_connection.remove(&connection) {
                    let error = tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
                    let reason = CloseReason::Broken(tungstenite::Error::Protocol(error).to_string());
                    self.close(session, at, from == Side::Client, &reason);
                }
            }
        }
    }

    fn miss(&mut self, what: String) {
        Summary::once(&mut self.channel.missing, what);
    }

    fn answered(&mut self, at: Moment, exchange: Exchange) {
        let target = &exchange.asked.target;
        let known = parameter(target, "sid").and_then(|sid| self.by_sid.get(sid).copied());
        let status = exchange.answered.line.status;
        let transport = parameter(target, "transport").unwrap_or_default().to_owned();
        if transport == "websocket" && header(&exchange.asked.headers, "upgrade").is_some() {
            match known {
                Some(session) if status == 101 => {
                    self.by_connection.insert(exchange.connection, session);
                    if let Some(session) = self.channel.sessions.get_mut(session) {
                        session.transports.push(Transport::WebSocket);
                    }
                }
                // An upgrade that is refused leaves the session where it is.
                Some(_) => {}
                None => self.open_websocket(at, exchange),
            }
            return;
        }
        let packets = payload(&exchange.answered.body.bytes).filter(|_| status == 200);
        match (known, packets) {
            (None, Some(packets)) if transport == "polling" && exchange.asked.method == "GET" => {
                let sid = packets.first().and_then(|packet| match packet {
                    EnginePacket::Open(text) => sid_of(text),
                    _ => None,
                });
                let Some(sid) = sid else {
                    self.channel.others.push(exchange);
                    return;
                };
                let number = self.channel.sessions.len();
                self.by_sid.insert(sid, number);
                let mut session = Session::new(exchange.clone(), Transport::Polling);
                session.polled.push(exchange);
                self.channel.sessions.push(session);
                for packet in packets {
                    self.said_by_server(number, at, packet);
                }
            }
            (None, _) => self.channel.others.push(exchange),
            (Some(session), packets) => {
                let method = exchange.asked.method.clone();
                let body = beginning(&exchange);
                if let Some(session) = self.channel.sessions.get_mut(session) {
                    session.polled.push(exchange);
                }
                if status != 200 {
                    let reason = CloseReason::Refused { status, body };
                    self.close(session, at, false, &reason);
                } else if method == "GET" {
                    for packet in packets.unwrap_or_default() {
                        self.said_by_server(session, at, packet);
                    }
                }
            }
        }
    }

    fn open_websocket(&mut self, at: Moment, exchange: Exchange) {
        let status = exchange.answered.line.status;
        let (connection, body) = (exchange.connection, beginning(&exchange));
        let mut session = Session::new(exchange, Transport::WebSocket);
        if status == 101 {
            self.by_connection.insert(connection, self.channel.sessions.len());
        } else {
            let error = ConnectError::from(CloseReason::Refused { status, body });
            session.error = Some(error.to_string());
            session.over = Some(at);
        }
        self.channel.sessions.push(session);
    }

    fn close(&mut self, session: usize, at: Moment, by_client: bool, reason: &CloseReason) {
        let Some(session) = self.channel.sessions.get_mut(session) else {
            return;
        };
        if std::mem::replace(&mut session.closed, true) {
            return;
        }
        if session.over.is_none() && !by_client && session.asks_to_join {
            session.error = Some(ConnectError::from(reason.clone()).to_string());
            session.over = Some(at);
        } else if session.over.is_some() && session.error.is_none() {
            session.acts.push(Act::Closed {
                at,
                by_client,
                reason: reason.to_string(),
            });
        }
    }

    fn said_by_client(&mut self, number: usize, at: Moment, packet: EnginePacket) {
        let Some(session) = self.channel.sessions.get_mut(number) else {
            return;
        };
        let decoded = match packet {
            EnginePacket::Message(text) => session.ups.text(&text),
            EnginePacket::Binary(bytes) => session.ups.binary(bytes),
            EnginePacket::Close => {
                self.close(number, at, true, &CloseReason::Client);
                return;
            }
            _ => return,
        };
        let packet = match decoded {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(error) => {
                self.miss(format!("a client sent what no scenario can send: {error}"));
                return;
            }
        };
        let Packet { namespace, content } = packet;
        match content {
            Content::Connect(auth) if namespace == ROOT => {
                session.asks_to_join = true;
                if auth.is_some_and(|auth| auth.as_object().is_none_or(|fields| !fields.is_empty())) {
                    self.miss("a client sent an `auth` object when it connected".to_owned());
                }
            }
            Content::Connect(_) if namespace == NO_NAMESPACE => session.drop_barrier(),
            Content::Disconnect if namespace == ROOT => {
                self.close(number, at, true, &CloseReason::Client);
            }
            Content::Event { id, name, arguments } if namespace == ROOT => {
                let ack = id.map(|id| Ack { id, came: None });
                session.acts.push(Act::Emit {
                    at,
                    event: name,
                    arguments,
                    ack,
                });
            }
            Content::Ack { .. } => {
                let told = &mut self.channel.told;
                Summary::once(
                    told,
                    "clients acknowledged what they received, which no scenario does".to_owned(),
                );
            }
            _ => self.miss(format!(
                "a client spoke in the namespace {namespace}, and scenarios know / alone"
            )),
        }
    }

    fn said_by_server(&mut self, number: usize, at: Moment, packet: EnginePacket) {
        let Some(session) = self.channel.sessions.get_mut(number) else {
            return;
        };
        let decoded = match packet {
            EnginePacket::Open(text) => {
                if let Some(sid) = sid_of(&text) {
                    self.by_sid.insert(sid, number);
                }
                return;
            }
            EnginePacket::Message(text) => session.downs.text(&text),
            EnginePacket::Binary(bytes) => session.downs.binary(bytes),
            EnginePacket::Close => {
                self.close(number, at, false, &CloseReason::SessionClosed);
                return;
            }
            _ => return,
        };
        let packet = match decoded {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(error) => {
                self.miss(format!("the server sent what cannot be read: {error}"));
                return;
            }
        };
        if packet.namespace != ROOT {
            return;
        }
        let joined = session.over.is_some() && session.error.is_none();
        match packet.content {
            Content::Connect(_) if session.over.is_none() => session.over = Some(at),
            Content::ConnectError(data) if session.over.is_none() => {
                session.error = Some(ConnectError::Namespace(data).to_string());
                session.over = Some(at);
            }
            Content::Event { id, name, arguments } if joined => session.acts.push(Act::Heard {
                at,
                event: name,
                arguments,
                asks: id.is_some(),
            }),
            Content::Ack { id, arguments } => session.acknowledge(id, at, arguments),
            Content::Disconnect => self.close(number, at, false, &CloseReason::Disconnected),
            _ => {}
        }
    }
}

impl Session {
    fn new(opened: Exchange, transport: Transport) -> Self {
        Self {
            opened,
            transports: vec![transport],
            over: None,
            error: None,
            acts: Vec::new(),
            polled: Vec::new(),
            asks_to_join: false,
            closed: false,
            ups: Decoder::default(),
            downs: Decoder::default(),
        }
    }

    /// A replay asks after each step whether everything has come; that is nothing that a client does.
    fn drop_barrier(&mut self) {
        let last = self.acts.iter().rposition(|act| matches!(act, Act::Emit { .. }));
        if let Some(at) = last
            && let Some(Act::Emit {
                event, ack: Some(_), ..
            }) = self.acts.get(at)
            && event == BARRIER
        {
            self.acts.remove(at);
        }
    }

    fn acknowledge(&mut self, wanted: u64, at: Moment, came: Vec<Value>) {
        let waiting = self.acts.iter_mut().rev().find_map(|act| match act {
            Act::Emit { ack: Some(ack), .. } if ack.id == wanted => Some(ack),
            _ => None,
        });
        if let Some(ack) = waiting {
            ack.came = Some((at, came));
        }
    }
}

/// The beginning of an answer's body, as a client tells it that was refused.
fn beginning(exchange: &Exchange) -> String {
    String::from_utf8_lossy(&exchange.answered.body.bytes)
        .chars()
        .take(200)
        .collect()
}

fn payload(body: &[u8]) -> Option<Vec<EnginePacket>> {
    decode_payload(std::str::from_utf8(body).ok()?).ok()
}

fn sid_of(open: &str) -> Option<String> {
    let open: Value = serde_json::from_str(open).ok()?;
    Some(open.get("sid")?.as_str()?.to_owned())
}
