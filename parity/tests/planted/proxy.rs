//! A proxy in front of the engine and a hook behind it, which change what it shows.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parity::runner::Between;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// An answer on its way to the client.
pub(crate) struct Answer {
    /// First line and headers, without the empty line.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A fault of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// In the answer to the request whose first line begins so, the only one or the one of this index.
    Answer(&'static str, usize, fn(&mut Answer, &Path)),
    /// In what goes over a socket: what goes in place of a packet.
    Packet(fn(&str, &Path) -> Vec<String>),
    /// In what lies under the root, or in the database, once the last step is over.
    Left(fn(&Path, &Path)),
}

/// The engine with a fault.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) fault: Fault,
    /// How many requests the fault is for that have come.
    seen: Arc<AtomicUsize>,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            seen: Arc::default(),
        }
    }
}

impl Between for Faulty {
    fn in_front(&self, engine: SocketAddr, root: &Path) -> SocketAddr {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (fault, seen, root) = (self.fault, Arc::clone(&self.seen), root.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, root) = (Arc::clone(&seen), root.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect(engine).await.ok()?;
                    converse(client, server, fault, &seen, &root).await
                });
            }
        });
        address
    }

    fn behind(&self, root: &Path, database: &Path) {
        if let Fault::Left(change) = self.fault {
            change(root, database);
        }
    }
}

/// Passes requests and answers on, until one side leaves.
async fn converse(
    mut client: TcpStream,
    mut server: TcpStream,
    fault: Fault,
    seen: &AtomicUsize,
    root: &Path,
) -> Option<()> {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    loop {
        let (head, body) = message(&mut client, &mut asked, false).await?;
        server
            .write_all(format!("{head}\r\n\r\n").as_bytes())
            .await
            .ok()?;
        server.write_all(&body).await.ok()?;
        let (answer, body) = message(&mut server, &mut answered, head.starts_with("HEAD ")).await?;
        if answer.starts_with("HTTP/1.1 101") {
            client
                .write_all(format!("{answer}\r\n\r\n").as_bytes())
                .await
                .ok()?;
            return packets(client, server, answered, fault, root.to_owned()).await;
        }
        let mut changed = match String::from_utf8(body) {
            Ok(body) => Answer { head: answer, body },
            Err(bytes) => {
                client
                    .write_all(format!("{answer}\r\n\r\n").as_bytes())
                    .await
                    .ok()?;
                client.write_all(bytes.as_bytes()).await.ok()?;
                continue;
            }
        };
        let length = changed.body.len();
        match fault {
            Fault::Answer(begin, index, change)
                if head.starts_with(begin) && seen.fetch_add(1, Ordering::Relaxed) == index =>
            {
                change(&mut changed, root);
            }
            Fault::Packet(change) if head.contains("/socket.io/") => {
                let packets = changed
                    .body
                    .split('\u{1e}')
                    .flat_map(|packet| change(packet, root));
                changed.body = packets.collect::<Vec<_>>().join("\u{1e}");
            }
            _ => {}
        }
        let new = format!("Content-Length: {}", changed.body.len());
        let text = changed
            .head
            .replacen(&format!("Content-Length: {length}"), &new, 1);
        client
            .write_all(format!("{text}\r\n\r\n{}", changed.body).as_bytes())
            .await
            .ok()?;
    }
}

/// Head and body of a message; `rest` keeps what has come of the next one.
async fn message(
    stream: &mut TcpStream,
    rest: &mut Vec<u8>,
    without_body: bool,
) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        more(stream, rest).await?;
    };
    let head = String::from_utf8(rest.drain(..end + 4).collect())
        .ok()?
        .trim_end()
        .to_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let length: usize = length.filter(|_| !without_body).unwrap_or(0);
    while rest.len() < length {
        more(stream, rest).await?;
    }
    Some((head, rest.drain(..length).collect()))
}

async fn more(stream: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(into).await.ok()? > 0).then_some(())
}

/// Passes the frames of a websocket on; those of the server are text and not masked.
async fn packets(
    client: TcpStream,
    server: TcpStream,
    mut input: Vec<u8>,
    fault: Fault,
    root: PathBuf,
) -> Option<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asks = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    loop {
        while let Some((first, payload)) = frame(&mut input) {
            let text = String::from_utf8_lossy(&payload).into_owned();
            let payloads = match fault {
                Fault::Packet(change) if first & 0x0f == 1 => {
                    change(&text, &root).into_iter().map(String::into_bytes).collect()
                }
                _ => vec![payload],
            };
            for payload in payloads {
                let mut out = vec![first];
                match u16::try_from(payload.len()) {
                    Ok(short @ ..126) => out.push(short as u8),
                    Ok(length) => out.extend([&[126][..], &length.to_be_bytes()].concat()),
                    Err(_) => out.extend([&[127][..], &(payload.len() as u64).to_be_bytes()].concat()),
                }
                out.extend(payload);
                to_client.write_all(&out).await.ok()?;
            }
        }
        if more(&mut from_server, &mut input).await.is_none() {
            asks.abort();
            return None;
        }
    }
}

/// The next whole frame: its first byte and its payload.
fn frame(input: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (first, short) = (*input.first()?, usize::from(*input.get(1)?));
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (head, length) = match short {
        126 => (4, number(input.get(2..4)?)),
        127 => (10, number(input.get(2..10)?)),
        short => (2, short),
    };
    let payload = input.get(head..head + length)?.to_vec();
    input.drain(..head + length);
    Some((first, payload))
}
