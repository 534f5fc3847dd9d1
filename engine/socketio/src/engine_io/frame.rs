//! What goes to a client.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One packet for a client, shared by all that get it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    /// A packet as text, its type's digit first.
    Text(Utf8Bytes),
    /// The bytes of a message.
    Binary(Bytes),
}

impl Frame {
    /// A packet that is written already.
    pub(crate) fn text(packet: impl Into<Utf8Bytes>) -> Self {
        Self::Text(packet.into())
    }

    /// A message that is text.
    pub fn message(text: &str) -> Self {
        Self::text(format!("4{text}"))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}
