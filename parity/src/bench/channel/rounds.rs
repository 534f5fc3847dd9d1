//! What is asked of either server.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    super::{
        BenchError, Figure,
        client::ClientError,
        crowd::{call, wait_for},
        raw::Raw,
    },
    Process,
};
use crate::socket_io::{Client, ConnectError, ConnectOptions, Incoming, Limits};

/// Clients that connect at the same time, unless all come at once.
const GENTLY: usize = 32;
/// How long a server is left alone before its memory is read.
const QUIET: Duration = Duration::from_secs(2);
/// How long a client tries to get in at one go.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tries of a client that comes back, and between two of them.
const TRIES: usize = 100;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);
/// Events of one client that are sent without waiting for what comes back.
const EVENTS: usize = 3000;
/// Nothing comes any more.
const SILENCE: Duration = Duration::from_secs(5);
const BROADCAST_BYTES: usize = 200_000;
/// Broadcasts beside a client that does not read: more bytes than anything may keep for it.
const BROADCASTS: usize = 1000;

/// All get in, some at a time; then they are idle.
pub(super) async fn connect(
    server: &Process,
    count: usize,
) -> Result<(Vec<Client>, Vec<Figure>), BenchError> {
    tokio::time::sleep(QUIET).await;
    let (empty, used) = (server.resident_megabytes()?, server.processor_time()?);
    let begin = Instant::now();
    let turns = Arc::new(Semaphore::new(GENTLY));
    let mut connecting = JoinSet::new();
    for _ in 0..count {
        let (turns, options) = (Arc::clone(&turns), options(server.address));
        connecting.spawn(async move {
            // The semaphore is never closed; without a turn the client would only be less gentle.
            let _turn = turns.acquire_owned().await;
            Client::connect(&options).await
        });
    }
    let mut clients = Vec::new();
    while let Some(client) = connecting.join_next().await {
        clients.push(client??);
    }
    let (took, used) = (begin.elapsed(), server.processor_time()?.saturating_sub(used));
    tokio::time::sleep(QUIET).await;
    let idle = server.resident_megabytes()?;
    let figures = vec![
        Figure::new("resident, empty", empty, "MB"),
        Figure::new("all connected after", milliseconds(took), "ms"),
        Figure::new(
            "processor time, each",
            used.as_secs_f64() * 1e6 / number(count),
            "us",
        ),
        Figure::new("idle client, each", (idle - empty) * 1000.0 / number(count), "kB"),
    ];
    Ok((clients, figures))
}

/// What one client sends without waiting comes back: how much, in which order, and after which time.
pub(super) async fn order(server: &Process) -> Result<Vec<Figure>, BenchError> {
    let mut client = Client::connect(&options(server.address)).await?;
    let begin = Instant::now();
    for number in 0..EVENTS {
        client.emit("message", &[json!(number)]).await?;
    }
    let (mut come, mut latest) = (Vec::new(), begin.elapsed());
    while come.len() < EVENTS {
        match tokio::time::timeout(SILENCE, client.next()).await {
            Ok(Incoming::Event { arguments, name, .. }) if name == "message-back" => {
                come.extend(arguments.first().and_then(Value::as_u64));
                latest = begin.elapsed();
            }
            Ok(Incoming::Closed(_)) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let inversions = come
        .iter()
        .zip(come.iter().skip(1))
        .filter(|(one, next)| one > next)
        .count();
    Ok(vec![
        Figure::new("3,000 events back after", milliseconds(latest), "ms"),
        Figure::new("  after a later one", number(inversions), ""),
        Figure::new("  never", number(EVENTS.saturating_sub(come.len())), ""),
    ])
}

/// Something long for everybody, until the last one has it.
pub(super) async fn broadcast(
    server: &Process,
    clients: Vec<Client>,
) -> Result<(Vec<Client>, Vec<Figure>), BenchError> {
    let mut sender = Client::connect(&options(server.address)).await?;
    let before = server.resident_megabytes()?;
    server.forget_peak()?;
    let begin = Instant::now();
    let mut waiting = JoinSet::new();
    for mut client in clients {
        waiting.spawn(async move { wait_for(&mut client, "broadcast").await.map(|()| client) });
    }
    call(&mut sender, "broadcast", json!("x".repeat(BROADCAST_BYTES))).await?;
    let mut clients = Vec::new();
    while let Some(client) = waiting.join_next().await {
        clients.push(client??);
    }
    let took = begin.elapsed();
    let peak = server.peak_megabytes()?;
    tokio::time::sleep(QUIET).await;
    let figures = vec![
        Figure::new("200 kB to all after", milliseconds(took), "ms"),
        Figure::new("  more resident, worst", peak - before, "MB"),
        Figure::new(
            "  more resident, later",
            server.resident_megabytes()? - before,
            "MB",
        ),
    ];
    Ok((clients, figures))
}

/// All connections break at once, and all come back at once.
pub(super) async fn drop_and_return(
    server: &Process,
    clients: Vec<Client>,
) -> Result<Vec<Figure>, BenchError> {
    let count = clients.len();
    drop(clients);
    let begin = Instant::now();
    let mut returning = JoinSet::new();
    for _ in 0..count {
        let options = options(server.address);
        returning.spawn(async move {
            let mut failed = 0;
            loop {
                match Client::connect(&options).await {
                    Ok(client) => return Ok::<_, ConnectError>((client, failed)),
                    Err(error) if failed >= TRIES => return Err(error),
                    Err(_) => failed += 1,
                }
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        });
    }
    let (mut clients, mut failures) = (Vec::new(), 0);
    while let Some(returned) = returning.join_next().await {
        let (client, failed) = returned??;
        clients.push(client);
        failures += failed;
    }
    let took = begin.elapsed();
    tokio::time::sleep(QUIET).await;
    Ok(vec![
        Figure::new("all back after", milliseconds(took), "ms"),
        Figure::new("  tries that failed", number(failures), ""),
        Figure::new("  resident then", server.resident_megabytes()?, "MB"),
    ])
}

/// A client that does not read while much is sent to all: what it costs, what it does to others, and what it finds when
/// it reads at last.
pub(super) async fn not_reading(server: &Process) -> Result<Vec<Figure>, BenchError> {
    let mut listener = Client::connect(&options(server.address)).await?;
    let mut sender = Client::connect(&options(server.address)).await?;
    let mut reader = Raw::websocket(server.address).await.map_err(ClientError::from)?;
    tokio::time::sleep(QUIET).await;
    let before = server.resident_megabytes()?;
    server.forget_peak()?;
    let text = "x".repeat(BROADCAST_BYTES);
    let mut slowest = Duration::ZERO;
    for _ in 0..BROADCASTS {
        let begin = Instant::now();
        call(&mut sender, "broadcast", json!(text)).await?;
        wait_for(&mut listener, "broadcast").await?;
        slowest = slowest.max(begin.elapsed());
    }
    let peak = server.peak_megabytes()?;
    let rest = reader.rest().await;
    Ok(vec![
        Figure::new("one does not read: more resident", peak - before, "MB"),
        Figure::new("  slowest to the others", milliseconds(slowest), "ms"),
        Figure::new(
            "  of 1,000 it missed",
            number(BROADCASTS.saturating_sub(rest.bytes / BROADCAST_BYTES)),
            "",
        ),
        Figure::new("  ended (1) or not (0)", f64::from(u8::from(rest.is_over)), ""),
    ])
}

fn options(address: SocketAddr) -> ConnectOptions {
    ConnectOptions {
        limits: Limits {
            connect: PATIENCE,
            ..Limits::default()
        },
        ..ConnectOptions::websocket(address)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "thousands at most")]
fn number(count: usize) -> f64 {
    count as f64
}
