//! HTTP/1.1 as the scenario writes it: request line, headers and body leave exactly as given. Client libraries
//! tidy paths and headers up, and what they tidy up is part of what is compared.

use std::{net::SocketAddr, time::Duration};

use crate::transcript::StatusLine;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// How long a whole exchange may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A larger answer is not read.
const LARGEST_ANSWER: usize = 64 << 20;

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
    /// The network failed.
    #[error("{doing}: {source}")]
    Io {
        /// During what.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// Nothing within the time limit.
    #[error("no answer within {} seconds", TIME_LIMIT.as_secs())]
    Late,
    /// The answer is no HTTP/1.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
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
pub async fn send(address: SocketAddr, request: &Outgoing) -> Result<Received, HttpError> {
    match tokio::time::timeout(TIME_LIMIT, exchange(address, request)).await {
        Ok(result) => result,
        Err(_) => Err(HttpError::Late),
    }
}

async fn exchange(address: SocketAddr, request: &Outgoing) -> Result<Received, HttpError> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| HttpError::Io {
            doing: "connecting",
            source,
        })?;
    exchange_over(stream, &address.to_string(), request).await
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
    let read = async {
        let mut input = Vec::new();
        let mut chunk = vec![0; 65_536];
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
            if let Some(answer) = parse(&input, &request.method, count == 0)? {
                return Ok(answer);
            }
            if count == 0 {
                return Err(HttpError::Malformed("the connection ended early"));
            }
        }
    };
    tokio::pin!(read);
    tokio::select! {
        biased;
        answer = &mut read => answer,
        (writer, result) = write => {
            let answer = read.await;
            // The write half stays open until the answer is there: closing it early reads as a vanished client.
            drop(writer);
            match (answer, result) {
                (Ok(answer), _) => Ok(answer),
                (Err(_), Err(source)) => Err(HttpError::Io { doing: "writing", source }),
                (Err(error), Ok(())) => Err(error),
            }
        }
    }
}

/// Reads the final answer once it is complete; interim answers are skipped.
fn parse(input: &[u8], method: &str, ended: bool) -> Result<Option<Received>, HttpError> {
    let mut rest = input;
    loop {
        let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, body) = rest.split_at_checked(end + 4).unwrap_or((rest, &[]));
        let (line, headers) = parse_head(head)?;
        if (100..200).contains(&line.status) {
            rest = body;
            continue;
        }
        let body = read_body(line.status, &headers, body, method, ended)?;
        return Ok(body.map(|body| Received { line, headers, body }));
    }
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
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
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

/// Header bytes as UTF-8 where they are, else as Latin-1: nothing is lost either way.
pub(crate) fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(
        |_| bytes.iter().map(|byte| char::from(*byte)).collect(),
        str::to_owned,
    )
}

fn read_body(
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
    method: &str,
    ended: bool,
) -> Result<Option<Vec<u8>>, HttpError> {
    let header = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
    };
    if method == "HEAD" || status == 204 || status == 304 {
        return Ok(Some(Vec::new()));
    }
    if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return read_chunks(body);
    }
    match header("content-length") {
        Some(length) => {
            let length: usize = length
                .parse()
                .map_err(|_| HttpError::Malformed("its content-length is no number"))?;
            Ok(body.get(..length).map(<[u8]>::to_vec))
        }
        None => Ok(ended.then(|| body.to_vec())),
    }
}

fn read_chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut out = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else {
            return Ok(None);
        };
        let line = text(rest.get(..end).unwrap_or_default());
        let size = line.split(';').next().unwrap_or_default().trim();
        let size =
            usize::from_str_radix(size, 16).map_err(|_| HttpError::Malformed("a chunk has no size"))?;
        rest = rest.get(end + 2..).unwrap_or_default();
        if size == 0 {
            // Trailers are not compared; the end of the last line is enough.
            return Ok(rest.windows(2).any(|window| window == b"\r\n").then_some(out));
        }
        let Some(chunk) = rest.get(..size) else {
            return Ok(None);
        };
        out.extend_from_slice(chunk);
        let Some(next) = rest.get(size.saturating_add(2)..) else {
            return Ok(None);
        };
        rest = next;
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
        fn an_answer_that_was_read_is_not_changed_by_what_follows(
            head in select(&["", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n"]),
            bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), "[0-3a\r\n]{0,30}".prop_map(String::into_bytes)],
            ended: bool,
        ) {
            let sent = [head.as_bytes(), &bytes].concat();
            match parse(&sent, "GET", ended) {
                Ok(Some(answer)) => {
                    prop_assert!(answer.body.len() <= bytes.len());
                    if !ended {
                        let more = parse(&[&sent[..], b"more"].concat(), "GET", false).unwrap();
                        prop_assert_eq!(more, Some(answer));
                    }
                }
                // Where it ended nothing can be missing but what was announced.
                Ok(None) => prop_assert!(!ended || head != "HTTP/1.1 200\r\n\r\n"),
                Err(error) => prop_assert!(matches!(error, HttpError::Malformed(_)), "{}", error),
            }
        }
    }
}
