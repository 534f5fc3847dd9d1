//! Long frames of a client, split into fragments before the websocket library reads them.
//!
//! The library makes its read buffer as long as the longest frame that a header announces, and keeps it for as long as
//! the connection lasts. Of fragments it collects a message in memory that goes with the message.

/// The longest frame that the library reads, in bytes; longer ones are split into such. A multiple of the mask's four
/// bytes, so that every fragment begins with the mask's first.
const LONGEST: u64 = 4 * 1024;

const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0;
const MASKED: u8 = 0x80;

/// Splits what one client sends.
#[derive(Debug)]
pub(super) struct Fragments {
    /// Longer frames are left to the library, which refuses them by their headers.
    longest_message: u64,
    /// The part of a header that has come.
    header: Vec<u8>,
    /// Bytes of the present frame or fragment that are still to come.
    fragment_left: u64,
    /// What follows that fragment.
    rest: Option<Rest>,
}

/// The fragments of a frame that are still to come.
#[derive(Debug)]
struct Rest {
    bytes: u64,
    /// Whether the frame ends its message.
    is_final: bool,
    mask: Vec<u8>,
}

/// What a frame's header says.
struct Header<'a> {
    first: u8,
    length: u64,
    mask: &'a [u8],
}

impl Fragments {
    pub(super) fn new(longest_message: usize) -> Self {
        Self {
            longest_message: longest_message as u64,
            header: Vec::new(),
            fragment_left: 0,
            rest: None,
        }
    }

    /// Adds to `output` what the library is to read for these bytes. A header goes out once it is complete.
    pub(super) fn split(&mut self, mut input: &[u8], output: &mut Vec<u8>) {
        while !input.is_empty() {
            if self.fragment_left > 0 {
                let length =
                    usize::try_from(self.fragment_left).map_or(input.len(), |left| left.min(input.len()));
                let (payload, behind) = input.split_at(length);
                output.extend(payload);
                self.fragment_left -= length as u64;
                input = behind;
            } else if let Some(rest) = self.rest.take() {
                self.begin(CONTINUATION, rest, output);
            } else if let Some((byte, behind)) = input.split_first() {
                self.header.push(*byte);
                input = behind;
                self.read_header(output);
            }
        }
    }

    fn read_header(&mut self, output: &mut Vec<u8>) {
        let header = std::mem::take(&mut self.header);
        match Header::read(&header) {
            None => self.header = header,
            Some(Header { first, length, mask })
                if (LONGEST + 1..=self.longest_message).contains(&length) =>
            {
                let rest = Rest {
                    bytes: length,
                    is_final: first & FINAL != 0,
                    mask: mask.to_vec(),
                };
                self.begin(first & !FINAL, rest, output);
            }
            Some(Header { length, .. }) => {
                output.extend(&header);
                self.fragment_left = length;
            }
        }
    }

    /// Begins the next fragment.
    fn begin(&mut self, kind: u8, mut rest: Rest, output: &mut Vec<u8>) {
        let length = rest.bytes.min(LONGEST);
        rest.bytes -= length;
        let is_last = rest.bytes == 0;
        output.push(if is_last && rest.is_final {
            kind | FINAL
        } else {
            kind
        });
        let masked = if rest.mask.is_empty() { 0 } else { MASKED };
        // No fragment is longer than two bytes can say.
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => output.push(masked | short),
            (_, length) => {
                output.push(masked | 126);
                output.extend(length.unwrap_or(u16::MAX).to_be_bytes());
            }
        }
        output.extend(&rest.mask);
        self.fragment_left = length;
        self.rest = (!is_last).then_some(rest);
    }
}

impl<'a> Header<'a> {
    /// `None` while it is incomplete.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second & !MASKED {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (short.into(), rest),
        };
        let mask = if second & MASKED == 0 {
            &[]
        } else {
            rest.split_first_chunk::<4>()?.0.as_slice()
        };
        Some(Self { first, length, mask })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::{
        Message, WebSocket,
        protocol::{Role, WebSocketConfig, frame::FrameSocket},
    };

    use super::*;

    const LARGEST: usize = 100_000;

    /// What a client sends: messages of these lengths, masked.
    fn sent(messages: &[Message]) -> Vec<u8> {
        let mut client = WebSocket::from_raw_socket(Cursor::new(Vec::new()), Role::Client, None);
        for message in messages {
            client.send(message.clone()).unwrap();
        }
        client.into_inner().into_inner()
    }

    fn split(bytes: &[u8], at_a_time: usize) -> Vec<u8> {
        let mut fragments = Fragments::new(LARGEST);
        let mut output = Vec::new();
        for piece in bytes.chunks(at_a_time) {
            fragments.split(piece, &mut output);
        }
        output
    }

    fn read(bytes: Vec<u8>) -> Vec<Message> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let mut server = WebSocket::from_raw_socket(Cursor::new(bytes), Role::Server, Some(config));
        std::iter::from_fn(|| server.read().ok()).collect()
    }

    fn longest_frame(bytes: Vec<u8>) -> usize {
        let mut frames = FrameSocket::new(Cursor::new(bytes));
        let lengths = std::iter::from_fn(|| frames.read(None).unwrap());
        lengths.map(|frame| frame.payload().len()).max().unwrap_or(0)
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let length = prop_oneof![0..200_usize, 16_000..17_000_usize, 30_000..=LARGEST];
        (length, any::<bool>()).prop_map(|(length, is_text)| match is_text {
            true => Message::text(
                "a\u{e9}\u{1f600}"
                    .chars()
                    .cycle()
                    .take(length / 4)
                    .collect::<String>(),
            ),
            false => Message::binary((0_u8..=255).cycle().take(length).collect::<Vec<_>>()),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn messages_stay_as_they_were_and_no_frame_is_long(
            messages in prop::collection::vec(any_message(), 0..5),
            at_a_time in 1..20_000_usize,
        ) {
            let split = split(&sent(&messages), at_a_time);
            prop_assert!(longest_frame(split.clone()) as u64 <= LONGEST);
            prop_assert_eq!(read(split), messages);
        }

        #[test]
        fn short_frames_pass_unchanged_whatever_they_are(bytes in prop::collection::vec(0..125_u8, 0..300)) {
            let split = split(&bytes, 7);
            prop_assert!(bytes.starts_with(&split));
            prop_assert!(bytes.len() - split.len() < 14);
        }
    }

    #[test]
    fn a_message_that_its_client_splits_stays_whole() {
        let text = "b".repeat(50_000);
        let mut bytes = sent(&[Message::text("a".repeat(20_000))]);
        // Not the end of its message.
        bytes[0] &= !FINAL;
        let end = bytes.len();
        bytes.extend(sent(&[
            Message::Ping(b"x".as_slice().into()),
            Message::text(&text),
        ]));
        let second = end + 2 + 4 + 1;
        bytes[second] = FINAL | CONTINUATION;
        let messages = read(split(&bytes, 4096));
        let whole = Message::text("a".repeat(20_000) + &text);
        assert_eq!(messages, [Message::Ping(b"x".as_slice().into()), whole]);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_by_its_header() {
        let bytes = sent(&[Message::text("a".repeat(LARGEST + 1))]);
        let header = split(&bytes[..14], 14);
        assert_eq!(header, bytes[..14]);
        assert_eq!(read(header), []);
    }
}
