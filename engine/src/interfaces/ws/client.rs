//! One client's messages, handled one after the other.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use tracing::{Instrument as _, Span};

use super::{
    SocketServer,
    events::handle_event,
    packet::{Frame, Kind, Malformed, Packet, RawEvent, is_complete},
    session::{Inbound, Session},
};
use crate::{
    domain::{json::Json, payload::Payload},
    services::{
        audit::{self, Actor},
        realtime::{Identity, Outcome},
    },
};

/// Attachments that one event may have: current JavaScript clients drop the connection over more.
const MOST_ATTACHMENTS: usize = 10;
/// Characters of an unchecked name that are logged.
const LONGEST_NAME: usize = 64;

/// An event whose attachments are still coming.
#[derive(Debug)]
struct Pending {
    namespace: String,
    /// `None` for an acknowledgement, which nobody waits for.
    event: Option<RawEvent>,
    expected: usize,
    received: usize,
    size: usize,
    attachments: VecDeque<Bytes>,
}

/// The state of a client between its messages.
#[derive(Debug)]
pub(super) struct Client {
    server: Arc<SocketServer>,
    session: Arc<Session>,
    pending: Option<Pending>,
}

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Goon,
    End,
}

impl Client {
    pub(super) fn new(server: Arc<SocketServer>, session: Arc<Session>) -> Self {
        Self {
            server,
            session,
            pending: None,
        }
    }

    pub(super) async fn handle(&mut self, inbound: Inbound) -> Next {
        match inbound {
            Inbound::Closed => Next::End,
            Inbound::Barrier(done) => {
                // Nobody waits any more where this fails.
                let _ = done.send(());
                Next::Goon
            }
            // What comes between an event and its attachments blocks the legacy's session for good (RT-16).
            Inbound::Message(..) if self.pending.is_some() => self.broken(),
            Inbound::Message(text, _place) => self.message(text).await,
            Inbound::Binary(bytes, _place) => self.attachment(bytes).await,
        }
    }

    async fn message(&mut self, text: Bytes) -> Next {
        let size = text.len();
        let packet = match std::str::from_utf8(&text) {
            Ok(text) => Packet::parse(text, self.session.bounds.reader),
            Err(_) => Err(Malformed::NoPacket),
        };
        // What was read of it is all that is needed from here on.
        drop(text);
        let packet = match packet {
            Ok(packet) => packet,
            // What is no packet is ignored, as by the legacy.
            Err(Malformed::NoPacket) => return Next::Goon,
            Err(Malformed::TooManyValues) => {
                self.server.log_refusal(&self.session, "with_too_many_values");
                return Next::Goon;
            }
        };
        match packet.kind {
            Kind::Connect => self.connect(&packet.namespace),
            Kind::Disconnect => self.disconnect(&packet.namespace),
            Kind::Event(event) => self.event(&packet.namespace, event, Vec::new()).await,
            Kind::Binary { event, attachments } => {
                if attachments == 0 {
                    return self.broken();
                }
                self.pending = Some(Pending {
                    namespace: packet.namespace,
                    event,
                    expected: attachments,
                    received: 0,
                    size,
                    attachments: VecDeque::new(),
                });
            }
            Kind::Acknowledged(number) => self.session.receipts.note(number),
            Kind::Other => {}
        }
        Next::Goon
    }

    async fn attachment(&mut self, bytes: Bytes) -> Next {
        let Some(mut pending) = self.pending.take() else {
            // The legacy cannot read it as a packet and ignores it.
            return Next::Goon;
        };
        pending.received += 1;
        pending.size += bytes.len();
        if pending.size > self.session.bounds.message {
            return self.broken();
        }
        let is_refused = pending.expected > MOST_ATTACHMENTS;
        // What will be refused is not kept.
        if !is_refused && pending.event.is_some() {
            pending.attachments.push_back(bytes);
        }
        if pending.received < pending.expected {
            self.pending = Some(pending);
            return Next::Goon;
        }
        if let Some(event) = pending.event {
            if is_refused {
                self.refuse(&pending.namespace, &event);
                return Next::Goon;
            }
            if !is_complete(&event.data, pending.expected) {
                return self.broken();
            }
            self.event(&pending.namespace, event, pending.attachments.into())
                .await;
        }
        Next::Goon
    }

    /// An event that nobody can be sent.
    fn refuse(&self, namespace: &str, event: &RawEvent) {
        if namespace == "/"
            && self.session.is_member()
            && let Some((name, _)) = event.parts()
        {
            // It may be called anything.
            let name: String = name
                .chars()
                .filter(|character| character.is_ascii_alphanumeric() || *character == '_')
                .take(LONGEST_NAME)
                .collect();
            self.server.log_refusal(&self.session, &name);
        }
    }

    fn broken(&self) -> Next {
        tracing::info!("socket.io malformed binary event sid={}: closed", self.session.id);
        self.session.dismiss();
        Next::End
    }

    fn connect(&self, namespace: &str) {
        if namespace != "/" {
            if namespace.len() > self.session.bounds.longest_echo {
                self.server.log_refusal(&self.session, "of_another_namespace");
                return;
            }
            self.session
                .send(&[Frame::text(format!("44{namespace},\"Unable to connect\""))]);
            return;
        }
        if self.session.is_member() {
            self.session.send(&[Frame::text("44\"Unable to connect\"")]);
            return;
        }
        let sid = self.server.new_sid();
        log_connect(&self.session, &sid);
        let answer = Frame::text(format!("40{{\"sid\":\"{sid}\"}}"));
        self.session.enter(sid, &answer);
    }

    /// Who and from where whatever an event changes is changed.
    fn actor(&self) -> Span {
        let span = audit::span(&self.session.handshake.address);
        span.in_scope(|| match self.session.standing.identity() {
            Identity::Operator(shown) => audit::acts(Actor::Operator(&shown.username)),
            Identity::Device(claims) => audit::acts(Actor::Device(claims.guid().as_str())),
            Identity::Nobody => {}
        });
        span
    }

    fn disconnect(&self, namespace: &str) {
        if namespace == "/" {
            log_disconnect(&self.session);
        }
    }

    async fn event(&self, namespace: &str, event: RawEvent, attachments: Vec<Bytes>) {
        if namespace != "/" || !self.session.is_member() {
            return;
        }
        let RawEvent { id, data } = event;
        // Every handler takes exactly one argument; the legacy's fail otherwise, without acknowledgement.
        let Some((name, value)) = name_and_argument(data) else {
            return;
        };
        let payload = Payload { value, attachments };
        let handling = handle_event(&self.server, &self.session, &name, payload);
        match handling.instrument(self.actor()).await {
            Some(Outcome::Done) => {
                if let Some(id) = &id {
                    self.session.send(&[Frame::text(format!("43{id}[]"))]);
                }
            }
            Some(Outcome::Refused) => self.server.log_refusal(&self.session, &name),
            Some(Outcome::Failed) | None => {}
        }
    }
}

/// The name of an event and its only argument, taken out of it: an argument may be long.
fn name_and_argument(data: Json) -> Option<(String, Json)> {
    let Json::List(parts) = data else {
        return None;
    };
    match <[Json; 2]>::try_from(parts) {
        Ok([Json::Text(name), argument]) => Some((name, argument)),
        _ => None,
    }
}

/// Leaves the namespace, if the client is there, and says so in the log.
pub(super) fn log_disconnect(session: &Session) {
    if let Some(member) = session.leave() {
        tracing::info!(
            "socket.io disconnect sid={} ip={}",
            member.sid,
            session.handshake.address
        );
    }
}

/// The legacy also writes the query and every header in clear (RT-17).
fn log_connect(session: &Session, sid: &str) {
    let handshake = &session.handshake;
    let context = context(&handshake.scope);
    let authorization = match handshake.authorization.as_str() {
        "" => String::new(),
        shown => format!(" authorization={shown}"),
    };
    tracing::info!(
        "{context}socket.io connect sid={sid} ip={} transport='{}'{authorization}",
        handshake.address,
        handshake.transport
    );
}

/// The part of a log line that names a scope.
pub(super) fn context(scope: &str) -> String {
    if scope.is_empty() {
        String::new()
    } else {
        format!("[CONTEXT-{scope}] ")
    }
}
