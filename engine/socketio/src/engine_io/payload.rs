//! Engine.IO packets, and the bodies of polling requests, which hold several.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::frame::Frame;
use crate::settings::Leniency;

/// Between packets of one body.
const SEPARATOR: char = '\u{1e}';

/// A packet from a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Packet<'a> {
    Close,
    Ping,
    Pong,
    Message(&'a str),
    Binary(Bytes),
    Upgrade,
    /// Of a type that a client does not send.
    Unexpected,
}

/// This is no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed;

impl<'a> Packet<'a> {
    /// Reads a text frame, or a packet of a body.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut characters = text.chars();
        let kind = characters.next().ok_or(Malformed)?;
        let data = characters.as_str();
        match kind {
            'b' => STANDARD
                .decode(data)
                .map(|bytes| Self::Binary(bytes.into()))
                .map_err(|_| Malformed),
            '1' => Ok(Self::Close),
            '2' => Ok(Self::Ping),
            '3' => Ok(Self::Pong),
            '4' => Ok(Self::Message(data)),
            '5' => Ok(Self::Upgrade),
            '0'..='9' => Ok(Self::Unexpected),
            _ => Err(Malformed),
        }
    }
}

/// The body of a POST, every packet of which can be read.
#[derive(Debug)]
pub(super) struct Payload(Utf8Bytes);

impl Payload {
    /// Reads a body. To the lenient one without a byte says nothing.
    pub(super) fn read(body: Bytes, leniency: &Leniency) -> Result<Self, Malformed> {
        let text = Utf8Bytes::try_from(body).map_err(|_| Malformed)?;
        if text.is_empty() && !leniency.ignores_malformed {
            return Err(Malformed);
        }
        // What a JSONP form sends.
        let payload = if leniency.jsonp_index.is_some() && text.starts_with("d=") {
            let packets = form_urlencoded::parse(text.as_bytes()).find(|(name, _)| name == "d");
            let packets = packets.map(|(_, packets)| packets.into_owned());
            Self(packets.unwrap_or_default().into())
        } else {
            Self(text)
        };
        for part in payload.parts() {
            Packet::parse(part)?;
        }
        Ok(payload)
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes of a text that one of its packets is: they stay where they are.
    pub(super) fn part(&self, text: &str) -> Bytes {
        Bytes::from(self.0.clone()).slice_ref(text.as_bytes())
    }

    /// Its packets, made one by one: there may be many.
    pub(super) fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.parts().filter_map(|part| Packet::parse(part).ok())
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let is_empty = self.0.is_empty();
        self.0.split(SEPARATOR).filter(move |_| !is_empty)
    }
}

/// How many packets stand in the body of a POST; `None` where it is refused.
pub(crate) fn count_packets(body: Bytes) -> Option<usize> {
    let payload = Payload::read(body, &Leniency::default()).ok()?;
    Some(payload.packets().count())
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

    fn packets(body: &[u8]) -> Result<usize, Malformed> {
        Payload::read(Bytes::copy_from_slice(body), &lenient()).map(|payload| payload.packets().count())
    }

    fn lenient() -> Leniency {
        Leniency::python(|index| index.parse().ok())
    }

    #[test]
    fn bodies_hold_packets() {
        let body = vec!["42[\"x\"]"; 1000].join("\u{1e}");
        let payload = Payload::read(body.into(), &lenient()).unwrap();
        assert!(
            payload
                .packets()
                .all(|packet| packet == Packet::Message("2[\"x\"]"))
        );
        assert_eq!(payload.packets().count(), 1000);
        for body in ["42[\"x\"]\u{1e}", "x", "b===", "\u{1e}3", "\u{1e}"] {
            assert_eq!(packets(body.as_bytes()), Err(Malformed), "{body:?}");
        }
        assert_eq!(packets(b"\xff"), Err(Malformed));
        assert_eq!(packets(b""), Ok(0));
        assert_eq!(packets(b"bAAEC"), Ok(1));
        let form = Payload::read(Bytes::from_static(b"d=3%1E1"), &lenient()).unwrap();
        assert_eq!(form.packets().collect::<Vec<_>>(), [Packet::Pong, Packet::Close]);
        for body in ["", "d=3%1E1"] {
            let read = Payload::read(body.into(), &Leniency::default());
            assert_eq!(read.map(drop), Err(Malformed), "{body:?}");
        }
    }

    #[test]
    fn answers_join_packets_and_spell_bytes() {
        let frames = [Frame::text("6"), Frame::Binary(Bytes::from_static(&[0, 1, 2]))];
        assert_eq!(encode(&frames), "6\u{1e}bAAEC");
    }

    proptest! {
        #[test]
        fn a_body_holds_no_more_packets_than_bytes(body in any::<Vec<u8>>()) {
            let count = packets(&body).unwrap_or(0);
            prop_assert!(count <= body.len());
        }

        #[test]
        fn what_is_encoded_reads_back(messages in prop::collection::vec(any_message(), 1..20)) {
            let payload = Payload::read(encode(&messages).into(), &Leniency::default()).unwrap();
            let expected: Vec<_> = messages
                .iter()
                .map(|message| match message {
                    Frame::Text(text) => Packet::Message(text.strip_prefix('4').unwrap()),
                    Frame::Binary(bytes) => Packet::Binary(bytes.clone()),
                })
                .collect();
            prop_assert_eq!(payload.packets().collect::<Vec<_>>(), expected);
        }
    }

    fn any_message() -> impl Strategy<Value = Frame> {
        prop_oneof![
            "4[^\u{1e}]{0,12}".prop_map(Frame::text),
            prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| Frame::Binary(bytes.into())),
        ]
    }
}
