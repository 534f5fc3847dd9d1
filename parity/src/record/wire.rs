//! The bytes of one connection become exchanges, and after an upgrade the messages of a websocket.
//!
//! Long because both directions of a connection know of each other: an answer's end follows from its request.

use bytes::{Buf as _, BytesMut};

use super::{
    journal::{Entry, Moment},
    tape::Side,
    websocket::{Extension, Frames},
};
use crate::transcript::StatusLine;

/// A longer head is none.
const LONGEST_HEAD: usize = 256 << 10;
/// A head with more headers is none.
const MOST_HEADERS: usize = 256;

/// What of a body was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub bytes: Vec<u8>,
    /// How long it was.
    pub length: u64,
    /// Whether all of it was kept.
    pub whole: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub method: String,
    /// As it stands in the first line.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Kept,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub line: StatusLine,
    pub headers: Vec<(String, String)>,
    pub body: Kept,
}

/// A request and what was answered.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub connection: u32,
    /// When the whole request had passed.
    pub begun: Moment,
    /// When the whole answer had.
    pub over: Moment,
    pub asked: Asked,
    pub answered: Answered,
}

/// The first value of a header.
pub(super) fn header<'a>(headers: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.as_str())
}

/// What of all bodies may still be kept.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) body: usize,
    pub(super) all: usize,
}

impl Kept {
    fn begin() -> Self {
        Self {
            whole: true,
            ..Self::default()
        }
    }

    fn take(&mut self, bytes: &[u8], room: &mut Room) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.whole && self.bytes.len().saturating_add(bytes.len()) <= room.body && bytes.len() <= room.all
        {
            room.all -= bytes.len();
            self.bytes.extend_from_slice(bytes);
        } else if self.whole {
            self.whole = false;
            room.all = room.all.saturating_add(self.bytes.len());
            self.bytes = Vec::new();
        }
    }
}

/// How the end of a body is known.
#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunks(Chunk),
    ToTheEnd,
}

/// Where in a chunked body the next byte stands.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Size,
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    Trailers,
}

/// Why a connection cannot be read.
type Unreadable = &'static str;

impl Framing {
    /// Takes what belongs to the body. Whether it is over.
    fn take(&mut self, input: &mut BytesMut, body: &mut Kept, room: &mut Room) -> Result<bool, Unreadable> {
        match self {
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                body.take(&input.split_to(count), room);
                *left -= count as u64;
                Ok(*left == 0)
            }
            Self::ToTheEnd => {
                body.take(&input.split(), room);
                Ok(false)
            }
            Self::Chunks(chunk) => loop {
                match chunk {
                    Chunk::Size => match httparse::parse_chunk_size(input) {
                        Ok(httparse::Status::Complete((used, size))) => {
                            input.advance(used);
                            *chunk = if size == 0 {
                                Chunk::Trailers
                            } else {
                                Chunk::Data(size)
                            };
                        }
                        Ok(httparse::Status::Partial) if input.len() <= LONGEST_HEAD => return Ok(false),
                        _ => return Err("a chunk has no size"),
                    },
                    Chunk::Data(left) => {
                        let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                        body.take(&input.split_to(count), room);
                        *left -= count as u64;
                        if *left > 0 {
                            return Ok(false);
                        }
                        *chunk = Chunk::DataEnd;
                    }
                    Chunk::DataEnd => {
                        if input.len() < 2 {
                            return Ok(false);
                        }
                        if !input.starts_with(b"\r\n") {
                            return Err("a chunk is longer than it says");
                        }
                        input.advance(2);
                        *chunk = Chunk::Size;
                    }
                    Chunk::Trailers => {
                        let Some(end) = input.windows(2).position(|two| two == b"\r\n") else {
                            return if input.len() <= LONGEST_HEAD {
                                Ok(false)
                            } else {
                                Err("trailers are too long")
                            };
                        };
                        input.advance(end + 2);
                        if end == 0 {
                            return Ok(true);
                        }
                    }
                }
            },
        }
    }
}

/// One direction: what has come and is not read yet, and where in a message the next byte stands.
#[derive(Debug, Default)]
struct Half {
    input: BytesMut,
    /// The body that is being read; a head comes next where there is none.
    body: Option<Framing>,
}

/// An exchange that is not over.
#[derive(Debug)]
struct Open {
    asked: Asked,
    begun: Option<Moment>,
    answered: Option<Answered>,
    over: Option<Moment>,
}

impl Open {
    fn is_whole(&self) -> bool {
        self.begun.is_some() && self.over.is_some()
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    connection: u32,
    asks: Half,
    answers: Half,
    /// Requests in their order, until both they and their answers are over.
    open: std::collections::VecDeque<Open>,
    frames: Option<Box<(Frames, Frames)>>,
    unread: bool,
}

impl Wire {
    pub(super) fn new(connection: u32) -> Self {
        Self {
            connection,
            asks: Half::default(),
            answers: Half::default(),
            open: std::collections::VecDeque::new(),
            frames: None,
            unread: false,
        }
    }

    /// Takes bytes in, and adds what they bring to an end.
    pub(super) fn take(
        &mut self,
        from: Side,
        at: Moment,
        bytes: &[u8],
        room: &mut Room,
        out: &mut Vec<Entry>,
    ) {
        if self.unread {
            return;
        }
        if room.all == 0 {
            self.give_up("the recording is as large as it may be", out);
            return;
        }
        if let Err(why) = self.read(from, at, bytes, room, out) {
            self.give_up(why, out);
        }
    }

    /// Reads no more of it, and says why.
    pub(super) fn give_up(&mut self, why: &str, out: &mut Vec<Entry>) {
        if !std::mem::replace(&mut self.unread, true) {
            out.push(Entry::Unread {
                why: why.to_owned(),
                during: self
                    .open
                    .front()
                    .map(|open| format!("{} {}", open.asked.method, open.asked.target)),
            });
        }
        self.asks = Half::default();
        self.answers = Half::default();
        self.open.clear();
        self.frames = None;
    }

    /// The recording has ended.
    pub(super) fn finish(&mut self, out: &mut Vec<Entry>) {
        for open in self.open.drain(..) {
            let what = format!("{} {}", open.asked.method, open.asked.target);
            out.push(Entry::Unanswered { what });
        }
    }

    /// A side has ended.
    pub(super) fn end(&mut self, from: Side, at: Moment, out: &mut Vec<Entry>) {
        if self.frames.take().is_some() {
            out.push(Entry::Closed {
                connection: self.connection,
                from,
                at,
            });
            self.unread = true;
            return;
        }
        if from == Side::Client {
            return;
        }
        if let (Some(Framing::ToTheEnd), Some(open)) = (&self.answers.body, self.open.front_mut()) {
            open.over = Some(at);
            self.answers.body = None;
        }
        self.hand_over(out);
        self.finish(out);
    }

    fn read(
        &mut self,
        from: Side,
        at: Moment,
        bytes: &[u8],
        room: &mut Room,
        out: &mut Vec<Entry>,
    ) -> Result<(), Unreadable> {
        if self.frames.is_some() {
            return self.read_frames(from, at, bytes, room, out);
        }
        match from {
            Side::Client => {
                self.asks.input.extend_from_slice(bytes);
                self.read_requests(at, room)?;
            }
            Side::Server => {
                self.answers.input.extend_from_slice(bytes);
                self.read_answers(at, room, out)?;
            }
        }
        self.hand_over(out);
        if self.frames.is_some() {
            for side in [Side::Client, Side::Server] {
                let half = match side {
                    Side::Client => &mut self.asks,
                    Side::Server => &mut self.answers,
                };
                let early = half.input.split();
                self.read_frames(side, at, &early, room, out)?;
            }
        }
        Ok(())
    }

    fn read_requests(&mut self, at: Moment, room: &mut Room) -> Result<(), Unreadable> {
        loop {
            match (&mut self.asks.body, self.open.back_mut()) {
                (Some(framing), Some(open)) => {
                    if !framing.take(&mut self.asks.input, &mut open.asked.body, room)? {
                        return Ok(());
                    }
                    open.begun = Some(at);
                    self.asks.body = None;
                }
                (Some(_), None) => return Err("a body belongs to no request"),
                // What follows an upgrade is no request, whether it is granted or not.
                (None, Some(open)) if header(&open.asked.headers, "upgrade").is_some() => return Ok(()),
                (None, _) => {
                    // Empty lines before a request mean nothing.
                    while self.asks.input.starts_with(b"\r\n") {
                        self.asks.input.advance(2);
                    }
                    let Some((used, asked)) = read_request(&self.asks.input)? else {
                        return Ok(());
                    };
                    self.asks.input.advance(used);
                    room.all = room.all.saturating_sub(used);
                    self.asks.body = framing(&asked.headers, Some(0))?;
                    self.open.push_back(Open {
                        asked,
                        begun: self.asks.body.is_none().then_some(at),
                        answered: None,
                        over: None,
                    });
                }
            }
        }
    }

    fn read_answers(&mut self, at: Moment, room: &mut Room, out: &mut Vec<Entry>) -> Result<(), Unreadable> {
        loop {
            if self.answers.input.is_empty() {
                return Ok(());
            }
            self.hand_over(out);
            let Some(open) = self.open.iter_mut().find(|open| open.over.is_none()) else {
                return Err("the server says something that nobody asked for");
            };
            if let Some(framing) = &mut self.answers.body {
                let Some(answered) = &mut open.answered else {
                    return Err("a body belongs to no answer");
                };
                if !framing.take(&mut self.answers.input, &mut answered.body, room)? {
                    return Ok(());
                }
                open.over = Some(at);
                self.answers.body = None;
                continue;
            }
            let Some((used, answered)) = read_answer(&self.answers.input)? else {
                return Ok(());
            };
            self.answers.input.advance(used);
            room.all = room.all.saturating_sub(used);
            let status = answered.line.status;
            if status == 101 {
                let deflate = header(&answered.headers, "sec-websocket-extensions");
                let extension = Extension::read(deflate.unwrap_or_default())?;
                let [client, server] = [Side::Client, Side::Server].map(|side| Frames::new(side, extension));
                self.frames = Some(Box::new((client, server)));
                open.begun.get_or_insert(at);
                open.over = Some(at);
                open.answered = Some(answered);
                return Ok(());
            }
            if (100..200).contains(&status) {
                continue;
            }
            let empty = open.asked.method == "HEAD" || status == 204 || status == 304;
            self.answers.body = if empty {
                None
            } else {
                framing(&answered.headers, None)?
            };
            if self.answers.body.is_none() {
                open.over = Some(at);
            }
            open.answered = Some(answered);
        }
    }

    /// Gives away the exchanges that are over.
    fn hand_over(&mut self, out: &mut Vec<Entry>) {
        while self.open.front().is_some_and(Open::is_whole) {
            if let Some(Open {
                asked,
                begun: Some(begun),
                answered: Some(answered),
                over: Some(over),
            }) = self.open.pop_front()
            {
                out.push(Entry::Exchange(Box::new(Exchange {
                    connection: self.connection,
                    begun,
                    over,
                    asked,
                    answered,
                })));
            }
        }
    }

    fn read_frames(
        &mut self,
        from: Side,
        at: Moment,
        bytes: &[u8],
        room: &mut Room,
        out: &mut Vec<Entry>,
    ) -> Result<(), Unreadable> {
        let Some(both) = &mut self.frames else {
            return Ok(());
        };
        let frames = match from {
            Side::Client => &mut both.0,
            Side::Server => &mut both.1,
        };
        frames.take(bytes, room, |message| {
            out.push(Entry::Message {
                connection: self.connection,
                from,
                at,
                message,
            });
        })
    }
}

/// How the end of a body is known; nothing where there is none. `otherwise` is the length where no header says any; where
/// that is unknown the body goes on to the end of the connection.
fn framing(headers: &[(String, String)], otherwise: Option<u64>) -> Result<Option<Framing>, Unreadable> {
    let chunked = headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("transfer-encoding")
            && value
                .rsplit(',')
                .next()
                .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
    });
    if chunked {
        return Ok(Some(Framing::Chunks(Chunk::Size)));
    }
    let mut lengths = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map(|(_, value)| value.trim());
    let first = lengths.next();
    if lengths.any(|other| Some(other) != first) {
        return Err("two content-lengths contradict each other");
    }
    let length = match first {
        Some(text) => Some(text.trim().parse().map_err(|_| "a content-length is no number")?),
        None => otherwise,
    };
    Ok(match length {
        Some(0) => None,
        Some(length) => Some(Framing::Length(length)),
        None => Some(Framing::ToTheEnd),
    })
}

fn read_request(input: &[u8]) -> Result<Option<(usize, Asked)>, Unreadable> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Complete(used)) => Ok(Some((
            used,
            Asked {
                method: request.method.unwrap_or_default().to_owned(),
                target: request.path.unwrap_or_default().to_owned(),
                headers: owned(request.headers),
                body: Kept::begin(),
            },
        ))),
        Ok(httparse::Status::Partial) if input.len() <= LONGEST_HEAD => Ok(None),
        Ok(httparse::Status::Partial) => Err("the head of a request is too long"),
        Err(_) => Err("what a client says is no HTTP/1"),
    }
}

fn read_answer(input: &[u8]) -> Result<Option<(usize, Answered)>, Unreadable> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match answer.parse(input) {
        Ok(httparse::Status::Complete(used)) => Ok(Some((
            used,
            Answered {
                line: StatusLine {
                    version: format!("1.{}", answer.version.unwrap_or(1)),
                    status: answer.code.unwrap_or_default(),
                    reason: answer.reason.unwrap_or_default().to_owned(),
                },
                headers: owned(answer.headers),
                body: Kept::begin(),
            },
        ))),
        Ok(httparse::Status::Partial) if input.len() <= LONGEST_HEAD => Ok(None),
        Ok(httparse::Status::Partial) => Err("the head of an answer is too long"),
        Err(_) => Err("what the server says is no HTTP/1"),
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|one| (one.name.to_owned(), crate::target::http_client::text(one.value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a conversation gives, both sides cut into pieces of this length.
    fn read(asked: &[u8], answered: &[u8], step: usize) -> Vec<String> {
        let mut room = Room {
            body: 1 << 20,
            all: 1 << 20,
        };
        let (mut wire, mut out) = (Wire::new(1), Vec::new());
        let at = Moment { number: 1, at_us: 1 };
        for (side, bytes) in [(Side::Client, asked), (Side::Server, answered)] {
            for part in bytes.chunks(step) {
                wire.take(side, at, part, &mut room, &mut out);
            }
        }
        wire.end(Side::Server, at, &mut out);
        let shown = out.into_iter().map(|entry| match entry {
            Entry::Exchange(exchange) => {
                let Exchange { asked, answered, .. } = *exchange;
                let body = |kept: &Kept| String::from_utf8_lossy(&kept.bytes).into_owned();
                let (sent, came) = (body(&asked.body), body(&answered.body));
                format!(
                    "{} {} {sent:?} {} {came:?}",
                    asked.method, asked.target, answered.line.status
                )
            }
            Entry::Message { from, message, .. } => format!("{from:?} {message:?}"),
            Entry::Unanswered { what } => format!("{what}: no answer"),
            Entry::Unread { why, .. } => why,
            Entry::Closed { .. } => "closed".to_owned(),
        });
        shown.collect()
    }

    #[test]
    fn a_conversation_is_read_wherever_it_is_cut() {
        let asked = b"POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
            HEAD /b HTTP/1.1\r\n\r\nPUT /c HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /d HTTP/1.1\r\n\r\n\
            GET /e HTTP/1.1\r\n\r\nGET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x81\0\0\0\0x";
        let answered = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
            HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 NO CONTENT\r\n\r\n\
            HTTP/1.1 304 NOT MODIFIED\r\nContent-Length: 5\r\n\r\n\
            HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\nT: t\r\n\r\n\
            HTTP/1.1 101 SWITCHING\r\n\r\n\x81\x02yo";
        let expected = [
            "POST /a \"hi\" 200 \"ok\"",
            "HEAD /b \"\" 200 \"\"",
            "PUT /c \"abc\" 204 \"\"",
            "GET /d \"\" 304 \"\"",
            "GET /e \"\" 200 \"a\"",
            "GET /ws \"\" 101 \"\"",
            "Client Text(\"x\")",
            "Server Text(\"yo\")",
            "closed",
        ];
        for step in (1..40).chain([asked.len()]) {
            assert_eq!(read(asked, answered, step), expected, "{step}");
        }
    }

    #[test]
    fn what_is_no_http_is_told_once_and_an_answer_that_never_came_too() {
        let why = |asked: &[u8], answered: &[u8]| read(asked, answered, 7).join("; ");
        let get = b"GET /a HTTP/1.1\r\n\r\n";
        assert_eq!(
            why(b"\x16\x03\x01\x02\0\x01", b""),
            "what a client says is no HTTP/1"
        );
        assert_eq!(
            why(get, b"SSH-2.0-OpenSSH\r\n\r\n"),
            "what the server says is no HTTP/1"
        );
        assert_eq!(
            why(get, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"),
            "GET /a: no answer"
        );
        assert_eq!(
            why(
                get,
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            ),
            "a chunk has no size"
        );
        assert_eq!(
            why(get, b"HTTP/1.1 204 NO CONTENT\r\n\r\nmore and more"),
            "GET /a \"\" 204 \"\"; the server says something that nobody asked for"
        );
    }
}
