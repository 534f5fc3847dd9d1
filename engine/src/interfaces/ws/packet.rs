//! Socket.IO packets: what stands inside an Engine.IO message.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::domain::{
    json::Json,
    json_reader::{JsonReader, Refused},
    json_text::{push_wire_text, wire_text},
    payload::Payload,
};

/// Digits of an acknowledgement's id, and of a number of attachments, that the legacy reads.
const LONGEST_ID: usize = 100;
const LONGEST_COUNT: usize = 10;
/// Bytes of the name of a namespace. The server has but one, whose name is one byte.
pub(super) const LONGEST_NAMESPACE: usize = 255;

/// What one frame carries to a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Frame {
    /// An Engine.IO packet, its type's digit first. Shared by all that get it.
    Text(Utf8Bytes),
    /// An attachment.
    Binary(Bytes),
}

impl Frame {
    pub(super) fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// A packet that means something to the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packet {
    pub(super) namespace: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Connect,
    Disconnect,
    Event(RawEvent),
    /// An event, or an acknowledgement nobody asked for, whose attachments follow.
    Binary {
        event: Option<RawEvent>,
        attachments: usize,
    },
    /// The acknowledgement of an event that was sent with this number.
    Acknowledged(u64),
    /// Something that a server has no use for.
    Other,
}

/// An event as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RawEvent {
    /// The id under which an acknowledgement is wanted.
    pub(super) id: Option<String>,
    /// Name and arguments, if it is well formed.
    pub(super) data: Json,
}

/// Why a text is no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Malformed {
    /// The legacy ignores it.
    NoPacket,
    /// It holds more values than are read.
    TooManyValues,
}

impl From<Refused> for Malformed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unparsable => Self::NoPacket,
            Refused::TooManyValues => Self::TooManyValues,
        }
    }
}

impl Packet {
    /// Reads a packet as the legacy's library does: type, number of attachments, namespace, id, JSON.
    pub(super) fn parse(text: &str, reader: JsonReader) -> Result<Self, Malformed> {
        let mut characters = text.chars();
        let kind = characters
            .next()
            .and_then(|digit| digit.to_digit(10))
            .ok_or(Malformed::NoPacket)?;
        let (attachments, rest) = attachment_count(characters.as_str())?;
        let (namespace, rest) = namespace(rest)?;
        let (id, rest) = acknowledgement(rest)?;
        let data = if rest.is_empty() {
            Json::Null
        } else {
            data(rest, reader)?
        };
        let number = id.as_deref().and_then(|id| id.parse().ok());
        let event = RawEvent { id, data };
        let kind = match kind {
            3 => number.map_or(Kind::Other, Kind::Acknowledged),
            0 => Kind::Connect,
            1 => Kind::Disconnect,
            2 => Kind::Event(event),
            5 => Kind::Binary {
                event: Some(event),
                attachments,
            },
            6 => Kind::Binary {
                event: None,
                attachments,
            },
            _ => Kind::Other,
        };
        Ok(Self { namespace, kind })
    }
}

/// What a packet says. A result may hold whatever a script printed; every other text that is no JSON is refused.
fn data(text: &str, reader: JsonReader) -> Result<Json, Malformed> {
    let read = reader.read_text(text);
    // The rest pay nothing for it: texts with neither are read once.
    if read == Err(Refused::TooManyValues) || read.is_ok() && !text.contains("\\u0000") {
        return Ok(read?);
    }
    let replaced = reader.replacing().read_text(text)?;
    if names_result(&replaced) {
        return Ok(replaced);
    }
    Ok(read?)
}

/// Whether it is the event of a result.
fn names_result(data: &Json) -> bool {
    let name = data.as_list().and_then(|parts| parts.first());
    name.and_then(Json::as_text) == Some("quick_job_result")
}

fn attachment_count(text: &str) -> Result<(usize, &str), Malformed> {
    match text.split_once('-') {
        Some((count, rest)) if !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) => {
            if count.len() > LONGEST_COUNT {
                return Err(Malformed::NoPacket);
            }
            Ok((count.parse().map_err(|_| Malformed::NoPacket)?, rest))
        }
        _ => Ok((0, text)),
    }
}

fn namespace(text: &str) -> Result<(String, &str), Malformed> {
    if !text.starts_with('/') {
        return Ok(("/".to_owned(), text));
    }
    let (path, rest) = text.split_once(',').unwrap_or((text, ""));
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    // Its refusal would send it back.
    if path.len() > LONGEST_NAMESPACE {
        return Err(Malformed::NoPacket);
    }
    Ok((path.to_owned(), rest))
}

fn acknowledgement(text: &str) -> Result<(Option<String>, &str), Malformed> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    match digits.len() {
        0 => Ok((None, rest)),
        1..=LONGEST_ID => {
            let id = digits.trim_start_matches('0');
            Ok((Some(if id.is_empty() { "0" } else { id }.to_owned()), rest))
        }
        _ => Err(Malformed::NoPacket),
    }
}

impl RawEvent {
    /// The event's name and arguments.
    pub(super) fn parts(&self) -> Option<(&str, &[Json])> {
        let (name, arguments) = self.data.as_list()?.split_first()?;
        Some((name.as_text()?, arguments))
    }
}

/// An event as frames. Attachments are numbered in the order in which the value names them, and those that it does
/// not name are left out.
pub(super) fn event_frames(event: &str, payload: &Payload) -> Vec<Frame> {
    numbered_event_frames(event, payload, None)
}

/// The same with a number under which the client shall acknowledge.
pub(super) fn numbered_event_frames(event: &str, payload: &Payload, number: Option<u64>) -> Vec<Frame> {
    let mut attachments = Vec::new();
    let renumbered;
    let value = if payload.attachments.is_empty() {
        &payload.value
    } else {
        let mut renumbering = Renumbering {
            payload,
            used: Vec::new(),
        };
        renumbered = renumbering.apply(&payload.value);
        attachments = renumbering.attachments();
        &renumbered
    };
    let name = wire_text(&event.into());
    let number = number.map(|number| number.to_string()).unwrap_or_default();
    let mut text = match attachments.len() {
        0 => format!("42{number}[{name}"),
        count => format!("45{count}-{number}[{name}"),
    };
    if !value.is_null() {
        text.push(',');
        push_wire_text(&mut text, value);
    }
    text.push(']');
    std::iter::once(Frame::text(text))
        .chain(attachments.into_iter().map(Frame::Binary))
        .collect()
}

/// The attachments that an event names, each once, in the order in which it names them first.
#[derive(Debug)]
struct Renumbering<'a> {
    payload: &'a Payload,
    /// The old numbers, at their new ones.
    used: Vec<usize>,
}

impl Renumbering<'_> {
    // The reader bounds the depth.
    fn apply(&mut self, value: &Json) -> Json {
        if let Some(old) = self.payload.attachment_number(value) {
            let number = self.used.iter().position(|used| *used == old);
            let number = number.unwrap_or_else(|| {
                self.used.push(old);
                self.used.len() - 1
            });
            return Json::object([("_placeholder", true.into()), ("num", number.into())]);
        }
        match value {
            Json::List(items) => Json::List(items.iter().map(|item| self.apply(item)).collect()),
            Json::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, member)| (name.clone(), self.apply(member)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    fn attachments(self) -> Vec<Bytes> {
        let attachments = &self.payload.attachments;
        self.used
            .iter()
            .filter_map(|old| attachments.get(*old).cloned())
            .collect()
    }
}

/// Whether every placeholder names an attachment that is there.
pub(super) fn is_complete(value: &Json, attachments: usize) -> bool {
    match value {
        Json::List(items) => items.iter().all(|item| is_complete(item, attachments)),
        Json::Object(members) => {
            let names =
                members.get("_placeholder").is_some_and(Json::is_truthy) && members.contains_key("num");
            let there = members
                .get("num")
                .and_then(Json::as_int)
                .and_then(|number| usize::try_from(number).ok())
                .is_some_and(|number| number < attachments);
            if names {
                there
            } else {
                members.values().all(|member| is_complete(member, attachments))
            }
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
