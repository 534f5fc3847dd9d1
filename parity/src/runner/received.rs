//! What came on one connection: events that steps take, answers that are waited for, and what nobody asked for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::connection::NO_NAMESPACE;
use crate::{
    scenario::socket::data,
    socket_io::{CloseReason, Incoming, Opening, Stray},
    transcript::{Heard, HeardEvent, Notice, NoticeKind, heard_name},
};

/// What is heard and no event is called so: no event has such a name, see [`heard_name`].
const fn stray_name(kind: Stray) -> &'static str {
    match kind {
        Stray::Packet => "<packet that nobody asked for>",
        Stray::Early => "<packet before the namespace was joined>",
        Stray::Transport => "<transport packet that nobody asked for>",
    }
}

/// What came on a connection.
#[derive(Debug)]
pub(super) struct Received {
    /// Events that no step has taken, in the order of arrival.
    arrived: VecDeque<Arrived>,
    /// How many events have arrived.
    pub(super) count: u64,
    acks: BTreeMap<u64, Vec<Value>>,
    /// Emits whose acknowledgement is waited for.
    pub(super) awaited: BTreeSet<u64>,
    /// The id that the next emit gets.
    pub(super) next_id: u64,
    /// Barriers that were sent.
    pub(super) barriers: u64,
    /// Barriers that came back as refusals.
    pub(super) refused: u64,
    pub(super) closed: Option<CloseReason>,
    /// The step that goes on.
    pub(super) step: u32,
    /// All that came, whether a step took it or not.
    pub(super) heard: Heard,
    /// What the events mention that steps may take; all of them where this is empty.
    pub(super) own: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) number: u64,
    step: u32,
    name: String,
    pub(super) arguments: Vec<Value>,
}

impl Received {
    pub(super) fn begin(step: u32, heard: Heard) -> Self {
        Self {
            arrived: VecDeque::new(),
            count: 0,
            acks: BTreeMap::new(),
            awaited: BTreeSet::new(),
            next_id: 0,
            barriers: 0,
            refused: 0,
            closed: None,
            step,
            heard,
            own: Vec::new(),
        }
    }

    fn is_own(&self, arguments: &[Value]) -> bool {
        if self.own.is_empty() {
            return true;
        }
        let text = Value::Array(arguments.to_vec()).to_string();
        self.own.iter().any(|own| text.contains(own.as_str()))
    }

    pub(super) fn take_in(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Event { id, name, arguments } => {
                let is_own = self.is_own(&arguments);
                self.hear(heard_name(&name).into_owned(), arguments, id.is_some(), is_own);
            }
            Incoming::Ack { id, arguments } if self.awaited.remove(&id) => {
                self.acks.insert(id, arguments);
            }
            Incoming::Ack { id, arguments } => {
                // Which number it has depends on how many barriers there were.
                let of = if id < self.next_id {
                    "one that was acknowledged or given up"
                } else {
                    "nothing"
                };
                let says = json!({ "namespace": "/", "acknowledgement": arguments, "of": of });
                self.hear_stray(Stray::Packet, says);
            }
            Incoming::Refused { namespace } if namespace == NO_NAMESPACE && self.refused < self.barriers => {
                self.refused += 1;
            }
            Incoming::Refused { namespace } => {
                self.hear_stray(Stray::Packet, json!({ "namespace": namespace, "refused": true }));
            }
            Incoming::Stray { kind, says } => self.hear_stray(kind, says),
            Incoming::Closed(reason) => {
                self.heard.closed = Some(reason.to_string());
                self.closed = Some(reason);
            }
        }
    }

    fn hear_stray(&mut self, kind: Stray, says: Value) {
        self.hear(stray_name(kind).to_owned(), vec![says], false, true);
    }

    fn hear(&mut self, name: String, arguments: Vec<Value>, asks: bool, is_own: bool) {
        self.count += 1;
        self.heard.events.push(HeardEvent {
            after_step: self.step,
            event: name.clone(),
            data: data(&arguments),
            asks,
        });
        if is_own {
            self.arrived.push_back(Arrived {
                number: self.count,
                step: self.step,
                name,
                arguments,
            });
        }
    }

    /// The acknowledgement of an emit, where it has come. What comes after it is none.
    pub(super) fn acknowledgement(&mut self, id: u64) -> Option<Vec<Value>> {
        self.acks.remove(&id)
    }

    /// An acknowledgement is not waited for any longer: one that comes later nobody has asked for.
    pub(super) fn give_up(&mut self, id: u64) {
        self.awaited.remove(&id);
    }

    /// What a server said before there was a connection, or where there was none.
    pub(super) fn of_nobody(opening: Opening, step: u32, heard: Heard) -> Heard {
        let mut received = Self::begin(step, heard);
        opening
            .early
            .into_iter()
            .for_each(|early| received.take_in(early));
        received.heard
    }

    pub(super) fn take(&mut self, event: &str) -> Option<Arrived> {
        let event = heard_name(event);
        let at = self.arrived.iter().position(|one| one.name == event)?;
        self.arrived.remove(at)
    }

    pub(super) fn note(&self, client: &str, notices: &mut Vec<Notice>) {
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
    pub(super) fn notice(&self, client: &str, kind: NoticeKind, arguments: Vec<Value>) -> Notice {
        Notice {
            client: client.to_owned(),
            step: self.step,
            kind,
            event: self.name.clone(),
            arguments,
        }
    }
}
