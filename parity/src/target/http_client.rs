//! HTTP/1.1 as the scenario writes it: request line, headers and body leave exactly as given. Client libraries
//! tidy paths and headers up, and what they tidy up is part of what is compared.
//!
//! Long because it reads all that a server may answer, and tells what nobody could read for sure.

use crate::transcript::StatusLine;
use rustls::CertificateError;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::endpoint::{DialError, Endpoint};

/// A larger answer is not read.
pub const LARGEST_ANSWER: usize = 64 << 20;
/// A longer head is not read.
const LARGEST_HEAD: usize = 1 << 20;
/// How long a server may take to close a connection over which nothing more is asked.
const MOMENT: Duration = Duration::from_millis(250);
/// What is wrong where a connection goes on behind an answer.
const MORE_FOLLOWS: &str = "more follows than belongs to it";
/// What is wrong where an answer goes on that must end with its head.
const NO_BODY: &str = "its status allows no body, and one follows";
/// A longer line before a chunk is not read.
const LONGEST_CHUNK_LINE: usize = 8 << 10;

/// A request, ready to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// The request target.
    pub path: String,
    /// The headers as they are sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The first line.
    pub line: StatusLine,
    /// In the order they came, names as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The network failed.
    #[error("{doing}: {source}")]
    Io {
        /// During what.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Nothing within the time limit.
    #[error("no whole answer within {0} seconds")]
    Late(u64),
    /// The answer is no HTTP/1.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
}

impl HttpError {
    /// What to do about it, for people.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Dial(DialError::Connect(..)) => "check that the server runs there, and its log",
            Self::Dial(DialError::Late(_)) => "check the address, and what stands between",
            Self::Dial(error @ DialError::Tls(..)) => match error.refused_certificate() {
                None => "check that the server speaks TLS there, or write http:// in the URL",
                Some(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
                    "use a name or an address that is in its certificate, or pin the certificate (--pin SHA256)"
                }
                Some(_) => {
                    "name the authority that issued its certificate (--ca FILE; of one that a server made for itself, \
                     Certificates/Server/borealis-server-bundle.pem under its root folder), pin the certificate (--pin \
                     SHA256), or do not look at it (--insecure)"
                }
            },
            Self::Dial(DialError::Name(_)) => "use a name or an address",
            Self::Late(_) => "look why it hangs, or give it more time (--patience SECONDS)",
            Self::Io { .. } => "look into its log, and at what stands between",
            Self::Malformed(_) => {
                "look at the answer as it comes (`curl -v --raw`), and at what stands between"
            }
        }
    }

    /// Whether there is nothing to be hoped of the next request.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(self, Self::Dial(_) | Self::Late(_))
    }
}

impl Outgoing {
    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    fn bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.has("host") {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let sends_body = !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if sends_body && !self.has("content-length") && !self.has("transfer-encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), self.body.as_slice()].concat()
    }
}

/// Sends a request over a connection of its own and reads the answer.
///
/// # Errors
/// If there is no readable answer in time.
pub async fn send(endpoint: &Endpoint, request: &Outgoing) -> Result<Received, HttpError> {
    let exchange = async {
        let stream = endpoint.dial().await?;
        exchange_over(stream, &endpoint.authority(), request).await
    };
    let patience = endpoint.patience();
    match timeout(patience, exchange).await {
        Ok(result) => result,
        Err(_) => Err(HttpError::Late(patience.as_secs())),
    }
}

/// Sends a request over a fresh connection and reads the answer; how long that may take is the caller's matter.
///
/// # Errors
/// If there is no readable answer.
pub async fn exchange_over<S>(stream: S, host: &str, request: &Outgoing) -> Result<Received, HttpError>
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let bytes = request.bytes(host);
    // A server may refuse before it has read everything: its answer counts, not the broken write.
    let write = async move {
        let result = writer.write_all(&bytes).await;
        (writer, result)
    };
    let read = async move {
        let answer = read_answer(&mut reader, request).await;
        (reader, answer)
    };
    tokio::pin!(read);
    tokio::select! {
        biased;
        (_, answer) = &mut read => answer,
        (mut writer, result) = write => {
            let (mut reader, answer) = read.await;
            match (answer, result) {
                (Ok(answer), _) => after(answer, &mut reader, &mut writer, &request.method).await,
                (Err(_), Err(source)) => Err(HttpError::Io { doing: "writing", source }),
                // The write half has stayed open until here: closing it early reads as a vanished client.
                (Err(error), Ok(())) => Err(error),
            }
        }
    }
}

async fn read_answer(
    reader: &mut (impl AsyncRead + Unpin),
    request: &Outgoing,
) -> Result<Received, HttpError> {
    let mut input = Vec::new();
    let mut chunk = vec![0; 65_536];
    let mut reading = Reading::of(&request.method, request.has("expect"));
    loop {
        let count = match reader.read(&mut chunk).await {
            Ok(count) => count,
            Err(_) if !input.is_empty() => 0,
            Err(source) => {
                return Err(HttpError::Io {
                    doing: "reading",
                    source,
                });
            }
        };
        input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if input.len() > LARGEST_ANSWER {
            return Err(HttpError::Malformed("it is too long"));
        }
        if let Some(answer) = reading.next(&input, count == 0)? {
            return Ok(answer);
        }
        if count == 0 {
            return Err(HttpError::Malformed(reading.cut_short(&input)));
        }
    }
}

/// Whether a status allows no body, whatever the headers say.
fn forbids_body(status: u16) -> bool {
    matches!(status, 204 | 304)
}

/// An answer that is over, once nothing follows it. What follows the head of an answer to HEAD is kept as its body: the
/// legacy's Socket.IO server sends one, and clients that close the connection never see it.
async fn after(
    mut answer: Received,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    method: &str,
) -> Result<Received, HttpError> {
    let is_head = method == "HEAD";
    let most = if is_head { LARGEST_HEAD } else { 1 };
    let more = what_follows(reader, writer, most).await;
    if !is_head && !more.is_empty() {
        let is_too_much = forbids_body(answer.line.status);
        let wrong = if is_too_much { NO_BODY } else { MORE_FOLLOWS };
        return Err(HttpError::Malformed(wrong));
    }
    answer.body.extend(more);
    Ok(answer)
}

/// The first bytes of what follows an answer that is over. The server is told that nothing more is asked, so that it closes
/// the connection, and is waited for no longer than a moment.
async fn what_follows(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    most: usize,
) -> Vec<u8> {
    let mut found = Vec::new();
    let look = async {
        // Where it has closed already, this fails, and what it has sent can be read all the same.
        let _ = writer.shutdown().await;
        let _ = reader.take(most as u64).read_to_end(&mut found).await;
    };
    let _ = timeout(MOMENT, look).await;
    found
}

/// An answer on its way: what has been read is not read again with each piece that comes.
struct Reading<'a> {
    method: &'a str,
    /// Whether the client has asked to be told that it may go on.
    expects: bool,
    head: Option<Head>,
    body: Framing,
    /// Where in the input what follows begins.
    from: usize,
}

/// How the end of a body is known.
enum Framing {
    /// There is none: what has come behind the head of an answer to HEAD belongs to it all the same.
    Head,
    Length(usize),
    Chunks(Chunks),
    /// By the end of the connection.
    End,
}

impl<'a> Reading<'a> {
    fn of(method: &'a str, expects: bool) -> Self {
        Self {
            method,
            expects,
            head: None,
            body: Framing::End,
            from: 0,
        }
    }

    /// What is wrong where the connection has ended and the answer has not.
    fn cut_short(&self, input: &[u8]) -> &'static str {
        // A record of TLS: an alert, or what comes of a handshake.
        const TLS: [&[u8]; 2] = [b"\x15\x03", b"\x16\x03"];
        if TLS.iter().any(|record| input.starts_with(record)) {
            "it is TLS, so the URL begins with https://"
        } else if self.head.is_none()
            && self.from == 0
            && !input.is_empty()
            && !b"HTTP/".starts_with(input)
            && !input.starts_with(b"HTTP/")
        {
            "its first line is no status line"
        } else {
            "the connection ended early"
        }
    }

    /// The final answer once it is complete; an interim answer that was asked for is skipped. The input grows from call to
    /// call.
    fn next(&mut self, input: &[u8], ended: bool) -> Result<Option<Received>, HttpError> {
        while self.head.is_none() {
            let rest = input.get(self.from..).unwrap_or_default();
            let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
                if rest.len() > LARGEST_HEAD {
                    return Err(HttpError::Malformed("its headers are too long"));
                }
                return Ok(None);
            };
            let (head, body) = rest.split_at_checked(end + 4).unwrap_or((rest, &[]));
            let (line, headers) = parse_head(head)?;
            self.from += end + 4;
            match line.status {
                100 if self.expects => continue,
                100..200 => {
                    return Err(HttpError::Malformed(
                        "an interim answer came that nobody asked for",
                    ));
                }
                _ => {}
            }
            self.body = framing(line.status, &headers, body, self.method)?;
            self.head = Some((line, headers));
        }
        let rest = input.get(self.from..).unwrap_or_default();
        // The body, and how many bytes it took.
        let body = match &mut self.body {
            Framing::Head => Some((rest.to_vec(), rest.len())),
            Framing::Length(length) => rest.get(..*length).map(|body| (body.to_vec(), *length)),
            Framing::Chunks(chunks) => chunks
                .next(rest)?
                .then(|| (std::mem::take(&mut chunks.out), chunks.at)),
            Framing::End => ended.then(|| (rest.to_vec(), rest.len())),
        };
        let Some((body, length)) = body else {
            return Ok(None);
        };
        if rest.len() > length {
            return Err(HttpError::Malformed(MORE_FOLLOWS));
        }
        Ok(self
            .head
            .take()
            .map(|(line, headers)| Received { line, headers, body }))
    }
}

#[cfg(test)]
fn parse(input: &[u8], method: &str, ended: bool) -> Result<Option<Received>, HttpError> {
    Reading::of(method, true).next(input, ended)
}

type Head = (StatusLine, Vec<(String, String)>);

fn parse_head(head: &[u8]) -> Result<Head, HttpError> {
    let text = text(head);
    let mut lines = text.split("\r\n");
    let first = status_line(lines.next().unwrap_or_default())
        .ok_or(HttpError::Malformed("its first line is no status line"))?;
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line
            .split_once(':')
            .ok_or(HttpError::Malformed("a header has no colon"))?;
        if name.is_empty() || name.contains(|one: char| one.is_whitespace() || one.is_control()) {
            return Err(HttpError::Malformed(
                "white space begins a header, or stands before its colon",
            ));
        }
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok((first, headers))
}

fn status_line(text: &str) -> Option<StatusLine> {
    let (version, rest) = text.strip_prefix("HTTP/")?.split_once(' ')?;
    let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = version.starts_with("1.").then(|| status.parse().ok())??;
    Some(StatusLine {
        version: version.to_owned(),
        status,
        reason: reason.to_owned(),
    })
}

/// Bytes of a head as text, a character a byte (Latin-1), as recordings have them: other bytes are another text, whatever
/// they may have meant.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// How the body ends of which `begin` has come already.
fn framing(
    status: u16,
    headers: &[(String, String)],
    begin: &[u8],
    method: &str,
) -> Result<Framing, HttpError> {
    let all = |wanted: &'static str| {
        let values = headers
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
        values.flat_map(|(_, value)| value.split(',')).map(str::trim)
    };
    if method == "HEAD" {
        return Ok(Framing::Head);
    }
    if forbids_body(status) {
        let framing = begin.is_empty().then_some(Framing::Length(0));
        return framing.ok_or(HttpError::Malformed(NO_BODY));
    }
    // The last coding is the one on the wire.
    if all("transfer-encoding")
        .next_back()
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        return Ok(Framing::Chunks(Chunks::default()));
    }
    let mut lengths = all("content-length");
    let Some(length) = lengths.next() else {
        return Ok(Framing::End);
    };
    if lengths.any(|other| other != length) {
        return Err(HttpError::Malformed("it names two lengths"));
    }
    // A sign before it is no part of a number here.
    let digits = length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse() {
        _ if !digits => Err(HttpError::Malformed("its content-length is no number")),
        Ok(length) if length <= LARGEST_ANSWER => Ok(Framing::Length(length)),
        Ok(_) => Err(HttpError::Malformed("it is too long")),
        Err(_) => Err(HttpError::Malformed("its content-length is no number")),
    }
}

/// The chunks of a body, as far as they have come.
#[derive(Default)]
struct Chunks {
    out: Vec<u8>,
    /// Where in the body the next chunk begins.
    at: usize,
}

impl Chunks {
    /// Takes in whole chunks; whether the last one has come.
    fn next(&mut self, body: &[u8]) -> Result<bool, HttpError> {
        loop {
            let rest = body.get(self.at..).unwrap_or_default();
            let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
                if rest.len() > LONGEST_CHUNK_LINE {
                    return Err(HttpError::Malformed("a chunk has no size"));
                }
                return Ok(false);
            };
            let line = text(rest.get(..end).unwrap_or_default());
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = size
                .bytes()
                .all(|digit| digit.is_ascii_hexdigit())
                .then(|| usize::from_str_radix(size, 16).ok())
                .flatten()
                .ok_or(HttpError::Malformed("a chunk has no size"))?;
            let rest = rest.get(end + 2..).unwrap_or_default();
            let Some(after) = rest.get(size..).filter(|after| after.len() >= 2) else {
                return Ok(false);
            };
            if !after.starts_with(b"\r\n") {
                return Err(HttpError::Malformed(match size {
                    0 => "it has trailers, which are not compared",
                    _ => "a chunk is longer than its size",
                }));
            }
            if size == 0 {
                self.at += end + 4;
                return Ok(true);
            }
            self.out.extend_from_slice(rest.get(..size).unwrap_or_default());
            self.at += end + 2 + size + 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    #[test]
    fn answers_are_read_with_length_chunks_and_to_the_end() {
        let read = |text: &str, ended| {
            parse(text.as_bytes(), "GET", ended)
                .unwrap()
                .map(|answer| answer.body)
        };
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false).unwrap(),
            b"hi"
        );
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", false),
            None
        );
        let chunks = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n";
        assert_eq!(read(chunks, false).unwrap(), b"hi!");
        assert_eq!(read("HTTP/1.1 400\r\n\r\nrest", true).unwrap(), b"rest");
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", false)
                .unwrap()
                .unwrap()
                .body,
            b""
        );
        assert!(parse(b"nonsense\r\n\r\n", "GET", false).is_err());
        let odd = "HTTP/1.1 200 OK\r\nTRANSFER-encoding: gzip, CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        assert_eq!(read(odd, false).unwrap(), b"hi");
        let twice = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2, 2\r\n\r\nhi";
        assert_eq!(read(twice, false).unwrap(), b"hi");
    }

    #[allow(clippy::disallowed_methods, reason = "a body that comes late comes later")]
    /// What comes of these pieces, each some time after the one before; the connection ends behind them.
    async fn exchanged(method: &str, pieces: &'static [&'static [u8]]) -> Result<Received, HttpError> {
        let (client, mut server) = tokio::io::duplex(1 << 10);
        tokio::spawn(async move {
            let _ = server.read(&mut [0; 1000]).await;
            for piece in pieces {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = server.write_all(piece).await;
            }
        });
        let request = Outgoing {
            method: method.to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        exchange_over(client, "h", &request).await
    }

    #[tokio::test]
    async fn a_body_where_there_may_be_none_is_noticed_whenever_it_comes() {
        let head: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert!(exchanged("HEAD", Box::leak(Box::new([head]))).await.is_ok());
        let bodies: [&'static [&'static [u8]]; 2] = [
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"hi"],
            &[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
        ];
        for pieces in bodies {
            assert_eq!(exchanged("HEAD", pieces).await.unwrap().body, b"hi");
        }
        let empty: &[u8] = b"HTTP/1.1 204 NO CONTENT\r\n\r\n";
        assert!(exchanged("GET", Box::leak(Box::new([empty]))).await.is_ok());
        assert!(
            exchanged("GET", Box::leak(Box::new([empty, b"hi"])))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn what_follows_an_answer_is_noticed_whenever_it_comes() {
        let whole: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        assert!(exchanged("GET", Box::leak(Box::new([whole]))).await.is_ok());
        let more = exchanged("GET", Box::leak(Box::new([whole, b"!"]))).await;
        assert_eq!(
            more.unwrap_err().to_string(),
            "the answer is malformed: more follows than belongs to it"
        );
    }

    #[test]
    fn other_bytes_of_a_header_are_another_text() {
        let value = |bytes: &[u8]| {
            let head = [b"HTTP/1.1 200 OK\r\nA: ", bytes, b"\r\n\r\n"].concat();
            parse(&head, "GET", true).unwrap().unwrap().headers[0].1.clone()
        };
        assert_eq!(value(b"caf\xe9"), "café");
        assert_eq!(value("café".as_bytes()), "cafÃ©");
    }

    #[tokio::test]
    async fn what_is_no_http_at_all_is_told_as_what_it_is() {
        for (said, told) in [
            (
                &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
                "its first line is no status line",
            ),
            (
                b"\x15\x03\x01\x00\x02\x02\x46",
                "it is TLS, so the URL begins with https://",
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Le", "the connection ended early"),
            (b"HTT", "the connection ended early"),
            (b"", "the connection ended early"),
        ] {
            let pieces: &'static [&'static [u8]] = Box::leak(Box::new([said]));
            let error = exchanged("GET", pieces).await.unwrap_err().to_string();
            assert_eq!(error, format!("the answer is malformed: {told}"));
        }
    }

    #[test]
    fn what_no_client_could_read_for_sure_is_no_answer() {
        let no_end = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(200_000));
        let no_chunk = format!(
            "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "0".repeat(9000)
        );
        for (text, method, reason) in [
            (
                "HTTP/1.1 200\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
                "GET",
                "two lengths",
            ),
            (
                "HTTP/1.1 200\r\nContent-Length: 2, 3\r\n\r\nhi",
                "GET",
                "two lengths",
            ),
            (
                "HTTP/1.1 200\r\nContent-Length: 99999999999\r\n\r\n",
                "GET",
                "too long",
            ),
            ("HTTP/1.1 200\r\nContent-Length: -1\r\n\r\n", "GET", "no number"),
            ("HTTP/1.1 200\r\nContent-Length: +1\r\n\r\n1", "GET", "no number"),
            (
                "HTTP/1.1 204\r\nContent-Length: 1\r\n\r\n1",
                "GET",
                "allows no body",
            ),
            (
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200\r\n\r\n",
                "GET",
                "interim answer",
            ),
            (
                "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi!",
                "GET",
                "more follows",
            ),
            (
                "HTTP/1.1 304\r\nContent-Length: 2\r\n\r\nhi",
                "GET",
                "allows no body",
            ),
            (
                "HTTP/1.1 200\r\nA: b\r\n c: d\r\n\r\n",
                "GET",
                "white space begins a header",
            ),
            ("HTTP/1.1 200\r\nA : b\r\n\r\n", "GET", "before its colon"),
            ("HTTP/1.1 200\r\nA: b\r\n: c\r\n\r\n", "GET", "before its colon"),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n0\r\n\r\n",
                "GET",
                "longer than its size",
            ),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
                "GET",
                "no size",
            ),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
                "GET",
                "trailers",
            ),
            (
                "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore",
                "GET",
                "more follows",
            ),
            (no_end.as_str(), "GET", "headers are too long"),
            (no_chunk.as_str(), "GET", "no size"),
        ] {
            let error = parse(text.as_bytes(), method, false).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let unasked =
            Reading::of("GET", false).next(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\n\r\n", true);
        assert!(unasked.unwrap_err().to_string().contains("nobody asked for"));
    }

    #[test]
    fn requests_leave_as_they_are_written() {
        let request = Outgoing {
            method: "POST".to_owned(),
            path: "//a/%zz?x=%".to_owned(),
            headers: vec![("X-a".to_owned(), "1".to_owned())],
            body: b"{}".to_vec(),
        };
        assert_eq!(
            String::from_utf8(request.bytes("h:1")).unwrap(),
            "POST //a/%zz?x=% HTTP/1.1\r\nHost: h:1\r\nX-a: 1\r\nContent-Length: 2\r\n\r\n{}"
        );
    }

    proptest! {
        #[test]
        fn chunks_are_read_once_all_have_come_wherever_they_were_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..5), cut in any::<prop::sample::Index>(),
        ) {
            let mut sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in &chunks {
                sent.extend(format!("{:x};e=1\r\n", chunk.len()).bytes());
                sent.extend(chunk);
                sent.extend(b"\r\n");
            }
            sent.extend(b"0\r\n\r\n");
            let read = |bytes: &[u8], ended| parse(bytes, "GET", ended).unwrap().map(|answer| answer.body);
            prop_assert_eq!(read(&sent, false), Some(chunks.concat()));
            let cut = &sent[..cut.index(sent.len())];
            prop_assert_eq!(read(cut, false), None);
            prop_assert_eq!(read(cut, true), None);
        }

        #[test]
        fn an_answer_that_was_read_is_whole_and_nothing_follows_it(
            head in select(&["", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n"]),
            bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), "[0-3a\r\n]{0,30}".prop_map(String::into_bytes)],
            ended: bool,
        ) {
            let sent = [head.as_bytes(), &bytes].concat();
            match parse(&sent, "GET", ended) {
                Ok(Some(answer)) => {
                    prop_assert!(answer.body.len() <= bytes.len());
                    if !ended {
                        let more = parse(&[&sent[..], b"more"].concat(), "GET", false);
                        prop_assert!(matches!(more, Err(HttpError::Malformed(_))), "{:?}", more);
                    }
                }
                // Where it ended nothing can be missing but what was announced.
                Ok(None) => prop_assert!(!ended || head != "HTTP/1.1 200\r\n\r\n"),
                Err(error) => prop_assert!(matches!(error, HttpError::Malformed(_)), "{}", error),
            }
        }
    }
}
