//! Engine.IO packets, protocol 4, as websocket messages and as polling payloads.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// Stands between the packets of a polling payload.
const SEPARATOR: char = '\u{1e}';

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnginePacket {
    /// The session's values, as JSON.
    Open(String),
    /// The session is over.
    Close,
    /// Asks for a pong with the same text.
    Ping(String),
    /// Answers a ping.
    Pong(String),
    /// Carries a text.
    Message(String),
    /// Carries bytes.
    Binary(Vec<u8>),
    /// Moves the session to this transport.
    Upgrade,
    /// Says nothing; releases a waiting poll.
    Noop,
}

/// Why something is no packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Engine.IO packet: {0:?}")]
pub struct NoPacket(String);

impl EnginePacket {
    /// The text of a packet; binary packets in the form that polling gives them.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Open(text) => format!("0{text}"),
            Self::Close => "1".to_owned(),
            Self::Ping(text) => format!("2{text}"),
            Self::Pong(text) => format!("3{text}"),
            Self::Message(text) => format!("4{text}"),
            Self::Binary(bytes) => format!("b{}", BASE64.encode(bytes)),
            Self::Upgrade => "5".to_owned(),
            Self::Noop => "6".to_owned(),
        }
    }

    /// Reads one packet.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(text: &str) -> Result<Self, NoPacket> {
        let mut characters = text.chars();
        let kind = characters.next();
        let rest = characters.as_str();
        let none = || NoPacket(text.chars().take(40).collect());
        match kind {
            Some('0') => Ok(Self::Open(rest.to_owned())),
            Some('1') => Ok(Self::Close),
            Some('2') => Ok(Self::Ping(rest.to_owned())),
            Some('3') => Ok(Self::Pong(rest.to_owned())),
            Some('4') => Ok(Self::Message(rest.to_owned())),
            Some('5') => Ok(Self::Upgrade),
            Some('6') => Ok(Self::Noop),
            Some('b') => BASE64.decode(rest).map(Self::Binary).map_err(|_| none()),
            _ => Err(none()),
        }
    }
}

/// The packets of a polling request's body.
#[must_use]
pub fn encode_payload(packets: &[EnginePacket]) -> String {
    let texts: Vec<_> = packets.iter().map(EnginePacket::encode).collect();
    texts.join(&SEPARATOR.to_string())
}

/// The packets of a polling answer.
///
/// # Errors
/// If one is none.
pub fn decode_payload(text: &str) -> Result<Vec<EnginePacket>, NoPacket> {
    text.split(SEPARATOR).map(EnginePacket::decode).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn payloads_are_those_of_the_protocol() {
        let packets = [
            EnginePacket::Message("2[\"a\"]".to_owned()),
            EnginePacket::Binary(vec![0, 1, 2]),
            EnginePacket::Ping("probe".to_owned()),
        ];
        assert_eq!(encode_payload(&packets), "42[\"a\"]\u{1e}bAAEC\u{1e}2probe");
        assert_eq!(
            decode_payload("42[\"a\"]\u{1e}bAAEC\u{1e}2probe"),
            Ok(packets.to_vec())
        );
        assert!(decode_payload("").is_err());
        assert!(decode_payload("b=").is_err());
    }

    proptest! {
        #[test]
        fn no_payload_breaks_the_decoder(text in "[0-6b]?.{0,20}\u{1e}?[0-9b]?.{0,20}") {
            if let Ok(packets) = decode_payload(&text) {
                prop_assert_eq!(decode_payload(&encode_payload(&packets)), Ok(packets));
            }
        }
    }
}
