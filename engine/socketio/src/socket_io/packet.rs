//! Socket.IO packets: what stands inside an Engine.IO message.

use bytes::Bytes;

use super::data::{Data, Unreadable};
use crate::{engine_io::Frame, settings::LONGEST_NAMESPACE};

/// Digits of an acknowledgement's id, and of a number of attachments, that are read.
const LONGEST_ID: usize = 100;
const LONGEST_COUNT: usize = 10;
pub(super) const CONNECT: u8 = 0;
pub(super) const DISCONNECT: u8 = 1;
pub(super) const EVENT: u8 = 2;
pub(super) const ACK: u8 = 3;
pub(super) const CONNECT_ERROR: u8 = 4;
/// What the type of a packet with attachments has more.
const BINARY: u8 = 3;
/// Names that the libraries' own events have.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// A packet from a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packet<D> {
    pub(super) namespace: String,
    pub(super) kind: Kind<D>,
    /// Something stands in it that its type does not have: a number of attachments, or what a disconnection says.
    has_more: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<D> {
    Connect(Option<D>),
    Disconnect,
    Message {
        message: Carried<D>,
        /// Attachments that follow; 0 in a binary packet is malformed.
        attachments: Option<usize>,
    },
    /// Something that a server has no use for.
    Other,
}

/// What has arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Carried<D> {
    Event {
        /// The id under which an acknowledgement is wanted.
        id: Option<String>,
        /// Name and arguments, if it is well formed.
        data: Option<D>,
    },
    /// The acknowledgement of an event that was sent with this number.
    Acknowledgement { number: Option<u64>, data: Option<D> },
}

/// Why a text is no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Malformed {
    NoPacket,
    TooManyValues,
}

impl From<Unreadable> for Malformed {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NotJson => Self::NoPacket,
            Unreadable::TooManyValues => Self::TooManyValues,
        }
    }
}

impl<D: Data> Packet<D> {
    /// Reads a packet: type, number of attachments, namespace, id, JSON.
    pub(super) fn parse(text: &str, most_values: usize) -> Result<Self, Malformed> {
        let mut characters = text.chars();
        let kind = characters
            .next()
            .and_then(|digit| digit.to_digit(10))
            .ok_or(Malformed::NoPacket)?;
        let (count, rest) = attachment_count(characters.as_str())?;
        let (namespace, rest) = namespace(rest)?;
        let (id, rest) = acknowledgement(rest)?;
        let data = if rest.is_empty() {
            None
        } else {
            Some(D::read(rest, most_values)?)
        };
        let acknowledgement = |id: Option<String>, data| Carried::Acknowledgement {
            number: id.and_then(|id| id.parse().ok()),
            data,
        };
        let attachments = Some(count.unwrap_or(0));
        let has_more = match kind {
            1 => count.is_some() || data.is_some(),
            5 | 6 => count.is_none(),
            _ => count.is_some(),
        };
        let kind = match kind {
            0 => Kind::Connect(data),
            1 => Kind::Disconnect,
            2 => Kind::Message {
                message: Carried::Event { id, data },
                attachments: None,
            },
            3 => Kind::Message {
                message: acknowledgement(id, data),
                attachments: None,
            },
            5 => Kind::Message {
                message: Carried::Event { id, data },
                attachments,
            },
            6 => Kind::Message {
                message: acknowledgement(id, data),
                attachments,
            },
            _ => Kind::Other,
        };
        Ok(Self {
            namespace,
            kind,
            has_more,
        })
    }

    /// Whether it is as the protocol says. What [`Packet::parse`] reads is a little more.
    pub(super) fn is_strict(&self) -> bool {
        let is_well_formed = match &self.kind {
            Kind::Connect(data) => data.as_ref().is_none_or(Data::is_object),
            Kind::Disconnect => true,
            Kind::Message { message, .. } => message.is_strict(),
            Kind::Other => false,
        };
        is_well_formed && !self.has_more
    }
}

impl<D: Data> Carried<D> {
    fn is_strict(&self) -> bool {
        match self {
            Self::Event { data, .. } => {
                let name = data.as_ref().and_then(D::items).and_then(<[D]>::first);
                name.and_then(D::text)
                    .is_some_and(|name| !RESERVED.contains(&name))
            }
            Self::Acknowledgement { number, data } => {
                number.is_some() && data.as_ref().is_some_and(|data| data.items().is_some())
            }
        }
    }

    /// Whether every placeholder in it names one of so many attachments.
    pub(super) fn is_complete(&self, attachments: usize) -> bool {
        let (Self::Event { data, .. } | Self::Acknowledgement { data, .. }) = self;
        data.as_ref().is_none_or(|data| data.is_complete(attachments))
    }
}

fn attachment_count(text: &str) -> Result<(Option<usize>, &str), Malformed> {
    match text.split_once('-') {
        Some((count, rest)) if !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) => {
            if count.len() > LONGEST_COUNT {
                return Err(Malformed::NoPacket);
            }
            let count = count.parse().map_err(|_| Malformed::NoPacket)?;
            Ok((Some(count), rest))
        }
        _ => Ok((None, text)),
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

/// Whether this is a packet.
pub(crate) fn is_packet<D: Data>(text: &str, most_values: usize) -> bool {
    Packet::<D>::parse(text, most_values).is_ok()
}

/// Packets that are written and belong together: one, and its attachments. Shared by all that get it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packets(Vec<Frame>);

impl Packets {
    /// A packet of this type (2 or 3; with attachments 5 or 6) whose JSON `write` appends.
    pub(super) fn with_json(
        kind: u8,
        namespace: &str,
        id: Option<&str>,
        attachments: Vec<Bytes>,
        write: impl FnOnce(&mut String),
    ) -> Self {
        let mut text = match attachments.len() {
            0 => format!("4{kind}"),
            count => format!("4{}{count}-", kind + BINARY),
        };
        push_namespace(&mut text, namespace);
        text.push_str(id.unwrap_or_default());
        write(&mut text);
        Self(
            std::iter::once(Frame::text(text))
                .chain(attachments.into_iter().map(Frame::Binary))
                .collect(),
        )
    }

    /// A packet without attachments whose JSON is this.
    pub(super) fn control(kind: u8, namespace: &str, json: &str) -> Self {
        Self::with_json(kind, namespace, None, Vec::new(), |text| text.push_str(json))
    }

    /// As the frames of Engine.IO.
    pub fn frames(&self) -> &[Frame] {
        &self.0
    }
}

/// The main namespace is not named.
fn push_namespace(text: &mut String, namespace: &str) {
    if namespace != "/" {
        text.push_str(namespace);
        text.push(',');
    }
}

#[cfg(test)]
mod tests;
