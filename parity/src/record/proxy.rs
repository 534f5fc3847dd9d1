//! The proxy: one connection to the server for each of a client, and every byte passes as it came. HTTP libraries tidy up
//! what goes through them, and what they tidy up is part of what is recorded.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::Semaphore,
    task::{JoinError, JoinHandle, JoinSet},
    time::timeout,
};

use super::{
    journal::{Journal, keep},
    tape::{Clock, Limits, Side, Tape, tape},
    tls::{Front, Stream, Upstream},
};

/// What is read at once.
const CHUNK: usize = 64 << 10;
/// So many connections pass at a time; further ones wait until one ends.
const MOST_CONNECTIONS: usize = 2048;
/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Where no file descriptor is left for a connection, how long until the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("the proxy cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// The task that reads the tape.
    #[error("the recording broke off: {0}")]
    Broken(#[from] JoinError),
}

/// A proxy that records. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    tape: Tape,
    journal: JoinHandle<Journal>,
    listening: std::sync::Mutex<JoinSet<()>>,
    connections: Arc<std::sync::atomic::AtomicU32>,
}

impl Proxy {
    /// Begins a recording. Wants a runtime around it.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let started_at_us = clock.now_us();
        let (tape, reader) = tape(clock, limits);
        Self {
            tape,
            journal: tokio::spawn(keep(reader, limits, started_at_us)),
            listening: std::sync::Mutex::default(),
            connections: Arc::default(),
        }
    }

    /// Passes on what comes to `listener`. A recording may have several listeners, one after the other.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub fn serve(
        &self,
        listener: std::net::TcpListener,
        front: Front,
        upstream: Upstream,
    ) -> Result<SocketAddr, ProxyError> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let shared = Shared {
            tape: self.tape.clone(),
            front,
            upstream,
            numbers: Arc::clone(&self.connections),
        };
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        listening.spawn(accept(listener, Arc::new(shared)));
        Ok(address)
    }

    /// Ends the recording; what passes from now on is no part of it.
    pub fn end(&self) {
        self.tape.end();
    }

    /// Ends the proxy too, and gives what was recorded.
    ///
    /// # Errors
    /// If the task that reads the tape has ended early.
    pub async fn finish(self) -> Result<Journal, ProxyError> {
        self.end();
        let listening = std::mem::take(
            &mut *self
                .listening
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        drop(listening);
        Ok(self.journal.await?)
    }
}

#[derive(Debug)]
struct Shared {
    tape: Tape,
    front: Front,
    upstream: Upstream,
    numbers: Arc<std::sync::atomic::AtomicU32>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let turns = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut passing = JoinSet::new();
    loop {
        while passing.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                let shared = Arc::clone(&shared);
                passing.spawn(async move {
                    let _turn = turn;
                    // Small packets must not wait for each other; without that it is slower, and no less right.
                    let _ = client.set_nodelay(true);
                    if let Ok(Some(client)) = timeout(HANDSHAKE, shared.front.accept(client)).await {
                        pass(client, &shared).await;
                    }
                });
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "a real listener is given real time until a descriptor is free"
            )]
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Passes on what one client and the server say to each other, until both have ended or one is gone.
async fn pass(client: Box<dyn Stream>, shared: &Shared) {
    let number = shared
        .numbers
        .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        .saturating_add(1);
    let server = match shared.upstream.dial().await {
        Ok(server) => server,
        Err(error) => {
            shared.tape.no_upstream(error.to_string());
            refuse(client, &error.to_string()).await;
            return;
        }
    };
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let tape = &shared.tape;
    let asks = pump(&mut from_client, &mut to_server, number, Side::Client, tape);
    let answers = pump(&mut from_server, &mut to_client, number, Side::Server, tape);
    tokio::pin!(asks, answers);
    // A side that says no more may still listen; one that is gone ends both.
    let (mut asking, mut answering) = (true, true);
    while asking || answering {
        let whole = tokio::select! {
            whole = &mut asks, if asking => { asking = false; whole }
            whole = &mut answers, if answering => { answering = false; whole }
        };
        if whole.is_none() {
            break;
        }
    }
    for side in [Side::Client, Side::Server] {
        tape.ended(number, side);
    }
    tape.over(number);
}

/// Passes one direction on until it ends; nothing where it breaks. What passed is on the tape before it goes on.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    connection: u32,
    side: Side,
    tape: &Tape,
) -> Option<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        let count = from.read_buf(&mut buffer).await.ok()?;
        if count == 0 {
            tape.ended(connection, side);
            // Whoever does not listen any more need not be told.
            let _ = to.shutdown().await;
            return Some(());
        }
        let bytes: Bytes = buffer.split().freeze();
        tape.bytes(connection, side, bytes.clone());
        to.write_all(&bytes).await.ok()?;
        to.flush().await.ok()?;
    }
}

/// Tells a client that the server cannot be reached.
async fn refuse(mut client: Box<dyn Stream>, reason: &str) {
    let body = format!("parity record: the server cannot be reached: {reason}\n");
    let answer = format!(
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that is gone already need not be told.
    let _ = timeout(HANDSHAKE, async {
        client.write_all(answer.as_bytes()).await?;
        client.shutdown().await?;
        // What it asked is read, or the answer could be lost with it.
        let mut rest = [0; 4096];
        while client.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    })
    .await;
}
