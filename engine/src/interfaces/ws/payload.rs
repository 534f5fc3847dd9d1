//! Engine.IO packets, and the bodies of polling requests, which hold several.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::packet::Frame;

/// Between packets of one body.
const SEPARATOR: char = '\u{1e}';
/// Packets that a body may hold, either way: clients made with the legacy's library take no more.
pub(super) const MOST_PACKETS: usize = 16;

/// A packet from a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Packet {
    Close,
    Ping(String),
    Pong,
    Message(String),
    Binary(Bytes),
    Upgrade,
    /// Of a type that a client does not send.
    Unexpected,
}

/// This is no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

impl Packet {
    /// Reads a text frame, or a packet of a body.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut characters = text.chars();
        let kind = characters.next().ok_or(Malformed)?;
        let data = characters.as_str();
        match kind {
            'b' => STANDARD
                .decode(data)
                .map(|bytes| Self::Binary(bytes.into()))
                .map_err(|_| Malformed),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping(data.to_owned())),
            '3' => Ok(Self::Pong),
            '4' => Ok(Self::Message(data.to_owned())),
            '5' => Ok(Self::Upgrade),
            '0'..='9' => Ok(Self::Unexpected),
            _ => Err(Malformed),
        }
    }
}

/// The packets of a POST's body; a body that is no such thing means nothing at all.
pub(super) fn decode(body: &[u8]) -> Result<Vec<Packet>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed)?;
    // What a JSONP form sends.
    let form;
    let text = match text.strip_prefix("d=") {
        Some(_) => {
            form = crate::interfaces::http::compat::query::first(Some(text), "d").unwrap_or_default();
            form.as_str()
        }
        None => text,
    };
    let packets: Vec<_> = text.split(SEPARATOR).take(MOST_PACKETS + 1).collect();
    if packets.len() > MOST_PACKETS {
        return Err(Malformed);
    }
    packets.into_iter().map(Packet::parse).collect()
}

/// The body of a polling answer.
pub(super) fn encode(frames: &[Frame]) -> String {
    let mut body = String::new();
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            body.push(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => body.push_str(text),
            Frame::Binary(bytes) => {
                body.push('b');
                STANDARD.encode_string(bytes, &mut body);
            }
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies_hold_up_to_sixteen_packets() {
        let packet = || Packet::Message("2[\"x\"]".to_owned());
        let body = |count| vec!["42[\"x\"]"; count].join("\u{1e}");
        assert_eq!(decode(body(16).as_bytes()), Ok(vec![packet(); 16]));
        assert_eq!(decode(body(17).as_bytes()), Err(Malformed));
        for body in ["", "42[\"x\"]\u{1e}", "x", "b===", "\u{1e}3"] {
            assert_eq!(decode(body.as_bytes()), Err(Malformed), "{body:?}");
        }
        assert_eq!(decode(b"\xff"), Err(Malformed));
        assert_eq!(decode(b"d=3%1E1"), Ok(vec![Packet::Pong, Packet::Close]));
    }

    #[test]
    fn answers_join_packets_and_spell_bytes() {
        let frames = [Frame::text("6"), Frame::Binary(Bytes::from_static(&[0, 1, 2]))];
        assert_eq!(encode(&frames), "6\u{1e}bAAEC");
    }

    proptest! {
        #[test]
        fn no_body_panics(body in any::<Vec<u8>>()) {
            let _ = decode(&body);
        }
    }
}
