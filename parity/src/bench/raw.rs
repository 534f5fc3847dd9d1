//! Connections that keep no rule but those of TCP.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long something is waited for that may take long.
const LONG_PATIENCE: Duration = Duration::from_secs(30);
/// A write that takes longer than this is not taken.
const STALLED: Duration = Duration::from_secs(2);

/// What a connection still had to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) bytes: usize,
    /// Whether the server has ended it.
    pub(super) is_over: bool,
}

pub(super) struct Raw(TcpStream);

impl Raw {
    /// Connects and says this.
    pub(super) async fn open(address: SocketAddr, text: &[u8]) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(text).await?;
        Ok(Self(stream))
    }

    /// Opens a websocket of nobody, whose open packet is not read.
    pub(super) async fn websocket(address: SocketAddr) -> std::io::Result<Self> {
        Self::websocket_with(address, "").await
    }

    /// Opens a websocket with further header lines.
    pub(super) async fn websocket_with(address: SocketAddr, lines: &str) -> std::io::Result<Self> {
        let head = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\n{lines}Upgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let mut raw = Self::open(address, head.as_bytes()).await?;
        raw.frame(0x81, b"40").await?;
        Ok(raw)
    }

    /// Sends a websocket frame, masked with zeros.
    pub(super) async fn frame(&mut self, kind: u8, payload: &[u8]) -> std::io::Result<()> {
        self.say(&frame(kind, payload)).await
    }

    /// Sends, unless it is not taken.
    pub(super) async fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match tokio::time::timeout(STALLED, self.0.write_all(bytes)).await {
            Ok(sent) => sent,
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    /// Sends something long, as it is taken.
    pub(super) async fn say_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        for piece in bytes.chunks(1_000_000) {
            self.0.write_all(piece).await?;
        }
        Ok(())
    }

    /// Whether this comes, among whatever else.
    pub(super) async fn hears(&mut self, wanted: &[u8]) -> bool {
        let mut heard: Vec<u8> = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match tokio::time::timeout(LONG_PATIENCE, self.0.read(&mut buffer)).await {
                Err(_) | Ok(Ok(0) | Err(_)) => return false,
                Ok(Ok(bytes)) => heard.extend(buffer.iter().take(bytes)),
            }
            if heard.windows(wanted.len()).any(|part| part == wanted) {
                return true;
            }
        }
    }

    /// What comes first: a status, or what else it is.
    pub(super) async fn answer(&mut self) -> String {
        let mut head = [0; 12];
        match tokio::time::timeout(PATIENCE, self.0.read_exact(&mut head)).await {
            Err(_) => "no answer".to_owned(),
            Ok(Err(_)) => "closed".to_owned(),
            Ok(Ok(_)) if head.starts_with(b"HTTP/1.") => {
                String::from_utf8_lossy(head.get(9..).unwrap_or_default()).into_owned()
            }
            Ok(Ok(_)) => "answered in HTTP/2".to_owned(),
        }
    }

    /// Reads this many bytes; whether they came.
    pub(super) async fn takes(&mut self, bytes: usize) -> bool {
        let mut buffer = vec![0; 1_000_000];
        let mut left = bytes;
        while left > 0 {
            match tokio::time::timeout(LONG_PATIENCE, self.0.read(&mut buffer)).await {
                Ok(Ok(more @ 1..)) => left = left.saturating_sub(more),
                _ => return false,
            }
        }
        true
    }

    /// Reads until nothing more comes.
    pub(super) async fn rest(&mut self) -> Rest {
        let mut buffer = vec![0; 65_536];
        let mut bytes = 0;
        loop {
            match tokio::time::timeout(STALLED, self.0.read(&mut buffer)).await {
                Ok(Ok(more @ 1..)) => bytes += more,
                ended => {
                    let is_over = ended.is_ok();
                    return Rest { bytes, is_over };
                }
            }
        }
    }

    /// Whether the server has ended it.
    pub(super) async fn is_over(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match tokio::time::timeout(Duration::from_millis(10), self.0.read(&mut buffer)).await {
                Err(_) => return false,
                Ok(Ok(0) | Err(_)) => return true,
                Ok(Ok(_)) => {}
            }
        }
    }
}

/// A websocket frame, masked with zeros.
pub(super) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
