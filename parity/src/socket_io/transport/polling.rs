//! The polling transport: one task waits for packets, one carries them.

use std::time::Duration;

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{Handshake, Link, OUTGOING, dial, refused, target};
use crate::{
    socket_io::{
        CloseReason, ConnectError, ConnectOptions, Transport,
        engine_packet::{EnginePacket, decode_payload, encode_payload},
    },
    target::http_client::{Outgoing, exchange_over},
};

/// The legacy ignores a request with more packets.
const MOST_PACKETS: usize = 16;
/// How long carrying packets may take.
const CARRY: Duration = Duration::from_secs(10);

/// A session that was opened and not started yet, so that it can still be upgraded.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) handshake: Handshake,
    /// Packets that came together with the open packet.
    pub(super) early: Vec<EnginePacket>,
}

pub(super) async fn open(options: &ConnectOptions) -> Result<Session, ConnectError> {
    let mut packets = poll(options, None).await?.into_iter();
    match packets.next() {
        Some(EnginePacket::Open(text)) => Ok(Session {
            handshake: Handshake::read(&text, Transport::Polling)?,
            early: packets.collect(),
        }),
        other => Err(ConnectError::Unusable(format!("{other:?} came first"))),
    }
}

impl Session {
    /// Goes on polling.
    pub(super) fn start(self, options: &ConnectOptions) -> Link {
        let (arrived, incoming) = mpsc::channel(options.limits.packets);
        let (outgoing, waiting) = mpsc::channel(OUTGOING);
        let mut tasks = JoinSet::new();
        let sid = self.handshake.sid.clone();
        let patience = Duration::from_millis(
            self.handshake
                .ping_interval
                .saturating_add(self.handshake.ping_timeout)
                .saturating_add(10_000),
        );
        let failed = arrived.clone();
        tasks.spawn(read(options.clone(), sid.clone(), patience, arrived, self.early));
        tasks.spawn(write(options.clone(), sid, failed, waiting));
        Link {
            handshake: self.handshake,
            incoming,
            outgoing,
            noops: 0,
            _tasks: tasks,
        }
    }
}

async fn read(
    options: ConnectOptions,
    sid: String,
    patience: Duration,
    arrived: mpsc::Sender<Result<EnginePacket, CloseReason>>,
    early: Vec<EnginePacket>,
) {
    let mut packets = Ok(early);
    loop {
        match packets {
            Ok(packets) => {
                for packet in packets {
                    let over = packet == EnginePacket::Close;
                    if arrived.send(Ok(packet)).await.is_err() || over {
                        return;
                    }
                }
            }
            Err(reason) => {
                // Nobody left to tell is as good as told.
                let _ = arrived.send(Err(reason)).await;
                return;
            }
        }
        packets = timeout(patience, poll(&options, Some(&sid)))
            .await
            .unwrap_or(Err(CloseReason::Silent));
    }
}

async fn write(
    options: ConnectOptions,
    sid: String,
    failed: mpsc::Sender<Result<EnginePacket, CloseReason>>,
    mut waiting: mpsc::Receiver<Vec<EnginePacket>>,
) {
    while let Some(batch) = waiting.recv().await {
        for packets in batch.chunks(MOST_PACKETS) {
            let carried = timeout(CARRY, carry(&options, &sid, packets)).await;
            if let Err(reason) = carried.unwrap_or(Err(CloseReason::Silent)) {
                let _ = failed.send(Err(reason)).await;
                return;
            }
        }
    }
}

async fn poll(options: &ConnectOptions, sid: Option<&str>) -> Result<Vec<EnginePacket>, CloseReason> {
    let body = ask(options, "GET", sid, Vec::new()).await?;
    let text = String::from_utf8(body).map_err(|error| CloseReason::Malformed(error.to_string()))?;
    decode_payload(&text).map_err(|error| CloseReason::Malformed(error.to_string()))
}

async fn carry(options: &ConnectOptions, sid: &str, packets: &[EnginePacket]) -> Result<(), CloseReason> {
    let body = encode_payload(packets).into_bytes();
    ask(options, "POST", Some(sid), body).await.map(drop)
}

async fn ask(
    options: &ConnectOptions,
    method: &str,
    sid: Option<&str>,
    body: Vec<u8>,
) -> Result<Vec<u8>, CloseReason> {
    let mut headers = options.headers.clone();
    if !body.is_empty() {
        headers.push(("Content-Type".to_owned(), "text/plain;charset=UTF-8".to_owned()));
    }
    let request = Outgoing {
        method: method.to_owned(),
        path: target(options, "polling", sid),
        headers,
        body,
    };
    let stream = dial(options).await?;
    let answer = exchange_over(stream, &options.server.authority(), &request).await?;
    if answer.line.status == 200 {
        Ok(answer.body)
    } else {
        Err(refused(answer.line.status, &answer.body))
    }
}
