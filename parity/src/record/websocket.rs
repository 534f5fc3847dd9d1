//! The frames of one direction of a websocket become messages.

use bytes::{Buf as _, BytesMut};
use flate2::{Decompress, FlushDecompress, Status};
use std::io::Cursor;
use tokio_tungstenite::tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{tape::Side, wire::Room};

/// What ends the data of a message, and is not sent (RFC 7692).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A message, or what else matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
    /// With its code and reason, where it has some.
    Close(Option<(u16, String)>),
    /// One that was too long to be kept.
    TooLong(u64),
}

/// Whether messages are compressed, and whether each of them on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    deflate: bool,
    /// Of the client's messages, of the server's.
    alone: (bool, bool),
}

impl Extension {
    /// Reads what the server has agreed to.
    pub(super) fn read(header: &str) -> Result<Self, &'static str> {
        let mut parts = header.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if name.is_empty() {
            return Ok(Self::default());
        }
        if !name.eq_ignore_ascii_case("permessage-deflate") || header.contains(',') {
            return Err("the websocket has an extension that is not known");
        }
        let mut extension = Self {
            deflate: true,
            ..Self::default()
        };
        for part in parts {
            match part.to_ascii_lowercase().as_str() {
                "client_no_context_takeover" => extension.alone.0 = true,
                "server_no_context_takeover" => extension.alone.1 = true,
                _ => {}
            }
        }
        Ok(extension)
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Frames {
    input: BytesMut,
    inflate: Option<Decompress>,
    alone: bool,
    /// The message that is being read.
    open: Option<Open>,
    /// Bytes of a frame that is not kept.
    skip: u64,
}

#[derive(Debug)]
struct Open {
    text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    length: u64,
    whole: bool,
}

impl Frames {
    pub(super) fn new(side: Side, extension: Extension) -> Self {
        Self {
            input: BytesMut::new(),
            inflate: extension.deflate.then(|| Decompress::new(false)),
            alone: match side {
                Side::Client => extension.alone.0,
                Side::Server => extension.alone.1,
            },
            open: None,
            skip: 0,
        }
    }

    /// Takes bytes in, and gives the messages that are whole.
    pub(super) fn take(
        &mut self,
        bytes: &[u8],
        room: &mut Room,
        mut give: impl FnMut(Message),
    ) -> Result<(), &'static str> {
        self.input.extend_from_slice(bytes);
        loop {
            if self.skip > 0 {
                let count = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(self.input.len());
                self.input.advance(count);
                self.skip -= count as u64;
                if self.skip > 0 {
                    return Ok(());
                }
            }
            let mut cursor = Cursor::new(&self.input[..]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|_| "a websocket's frame cannot be read")?;
            let Some((header, length)) = parsed else {
                return Ok(());
            };
            let head = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            let too_long = length > room.body as u64;
            let whole = usize::try_from(length).unwrap_or(usize::MAX);
            if !too_long && self.input.len().saturating_sub(head) < whole {
                return Ok(());
            }
            self.input.advance(head);
            let mut payload = if too_long {
                self.skip = length;
                Vec::new()
            } else {
                self.input.split_to(whole).to_vec()
            };
            if let Some(mask) = header.mask {
                for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
                    *byte ^= mask;
                }
            }
            self.frame(&header, payload, length, room, &mut give)?;
        }
    }

    fn frame(
        &mut self,
        header: &FrameHeader,
        payload: Vec<u8>,
        length: u64,
        room: &mut Room,
        give: &mut impl FnMut(Message),
    ) -> Result<(), &'static str> {
        let text = match header.opcode {
            OpCode::Control(Control::Close) => {
                give(Message::Close(close(&payload)));
                return Ok(());
            }
            OpCode::Control(_) => return Ok(()),
            OpCode::Data(Data::Continue) => None,
            OpCode::Data(kind) => Some(kind == Data::Text),
        };
        if let Some(text) = text {
            self.open = Some(Open {
                text,
                compressed: header.rsv1,
                bytes: Vec::new(),
                length: 0,
                whole: true,
            });
        }
        let open = self
            .open
            .as_mut()
            .ok_or("a websocket's message goes on that has not begun")?;
        open.length = open.length.saturating_add(length);
        if length != payload.len() as u64 || open.bytes.len().saturating_add(payload.len()) > room.body {
            open.whole = false;
        } else if open.whole {
            open.bytes.extend(payload);
        }
        if !header.is_final {
            return Ok(());
        }
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        if open.compressed && open.whole {
            let inflate = self
                .inflate
                .as_mut()
                .ok_or("a websocket's message is compressed though nobody agreed to it")?;
            open.bytes.extend(TAIL);
            match unpack(inflate, &open.bytes, room.body)? {
                Some(bytes) => open.bytes = bytes,
                None => open.whole = false,
            }
            if self.alone {
                inflate.reset(false);
            }
        } else if open.compressed && !self.alone {
            return Err("a compressed message was too long, and those behind it refer to it");
        }
        if !open.whole || open.bytes.len() > room.all {
            give(Message::TooLong(open.length));
            return Ok(());
        }
        room.all -= open.bytes.len();
        give(if open.text {
            Message::Text(String::from_utf8(open.bytes).map_err(|_| "a websocket's text is no UTF-8")?)
        } else {
            Message::Binary(open.bytes)
        });
        Ok(())
    }
}

/// The message that compressed bytes stand for; nothing where it is longer than `most`.
fn unpack(inflate: &mut Decompress, bytes: &[u8], most: usize) -> Result<Option<Vec<u8>>, &'static str> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(4).min(most).max(1024));
    let begin = inflate.total_in();
    let mut dropped = false;
    loop {
        let used = usize::try_from(inflate.total_in() - begin).unwrap_or(usize::MAX);
        let rest = bytes.get(used..).unwrap_or_default();
        let (before, written) = (inflate.total_in(), out.len());
        let status = inflate
            .decompress_vec(rest, &mut out, FlushDecompress::Sync)
            .map_err(|_| "a websocket's message cannot be decompressed")?;
        if status == Status::StreamEnd {
            break;
        }
        let stuck = inflate.total_in() == before && out.len() == written && out.len() < out.capacity();
        if stuck || (rest.is_empty() && out.len() < out.capacity()) {
            break;
        }
        if out.len() == out.capacity() {
            if out.len() > most {
                // What follows refers to what was here, so it is unpacked all the same.
                dropped = true;
                out.clear();
            } else {
                out.reserve(out.len().max(1024));
            }
        }
    }
    Ok((!dropped && out.len() <= most).then_some(out))
}

fn close(payload: &[u8]) -> Option<(u16, String)> {
    let code = payload.first_chunk::<2>()?;
    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
    Some((u16::from_be_bytes(*code), reason.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};

    fn room() -> Room {
        Room {
            body: 1 << 20,
            all: 1 << 30,
        }
    }

    fn messages(frames: &mut Frames, bytes: &[u8], step: usize) -> Vec<Message> {
        let mut found = Vec::new();
        for part in bytes.chunks(step) {
            frames
                .take(part, &mut room(), |message| found.push(message))
                .unwrap();
        }
        found
    }

    #[test]
    fn frames_are_read_wherever_they_are_cut() {
        // A masked text in two frames with a ping between them, and a close.
        let bytes = [
            &[0x01, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2][..],
            &[0x89, 0x00],
            &[0x80, 0x01, b'!'],
            &[0x82, 0x02, 0, 1],
            &[0x88, 0x03, 0x03, 0xe8, b'x'],
        ]
        .concat();
        let expected = [
            Message::Text("hi!".to_owned()),
            Message::Binary(vec![0, 1]),
            Message::Close(Some((1000, "x".to_owned()))),
        ];
        for step in 1..=bytes.len() {
            let mut frames = Frames::new(Side::Client, Extension::default());
            assert_eq!(messages(&mut frames, &bytes, step), expected, "{step}");
        }
    }

    #[test]
    fn compressed_messages_may_refer_to_earlier_ones() {
        let mut pack = Compress::new(Compression::default(), false);
        let mut bytes = Vec::new();
        let text = "{\"agent\":\"WIN-ONE\",\"agent\":\"WIN-ONE\"}".repeat(40);
        for _ in 0..3 {
            let mut packed = Vec::with_capacity(4096);
            pack.compress_vec(text.as_bytes(), &mut packed, FlushCompress::Sync)
                .unwrap();
            packed.truncate(packed.len() - TAIL.len());
            assert!(packed.len() < 126);
            bytes.extend([0xc1, u8::try_from(packed.len()).unwrap()]);
            bytes.extend(packed);
        }
        let extension = Extension::read("permessage-deflate; client_max_window_bits=15").unwrap();
        let mut frames = Frames::new(Side::Server, extension);
        let found = messages(&mut frames, &bytes, 7);
        assert_eq!(found, vec![Message::Text(text); 3]);
    }

    #[test]
    fn a_message_that_is_too_long_is_told_and_those_behind_it_are_read() {
        let long = [&[0x82, 126, 0x08, 0x00][..], &[7; 2048], &[0x81, 0x01, b'x']].concat();
        let mut found = Vec::new();
        let mut room = Room { body: 100, all: 1000 };
        let mut frames = Frames::new(Side::Server, Extension::default());
        frames
            .take(&long, &mut room, |message| found.push(message))
            .unwrap();
        assert_eq!(found, [Message::TooLong(2048), Message::Text("x".to_owned())]);
        assert!(Extension::read("x-unknown").is_err());
    }
}
