//! The websocket transport, opened at once or taken over from polling.

use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue, Request},
        protocol::WebSocketConfig,
    },
};

use super::{Handshake, Link, OUTGOING, dial, polling, refused, target};
use crate::{
    socket_io::{CloseReason, ConnectError, ConnectOptions, Transport, engine_packet::EnginePacket},
    target::endpoint::Stream,
};

/// Bytes that a socket reads and writes at a time. The library's own buffers are of no use where thousands of clients
/// wait, and each read fills them with zeros first.
const BUFFER: usize = 4096;

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Opens a session over a websocket.
pub(super) async fn open(options: &ConnectOptions) -> Result<Link, ConnectError> {
    let mut socket = handshake(options, None).await?;
    match receive(&mut socket).await? {
        EnginePacket::Open(text) => {
            let handshake = Handshake::read(&text, Transport::WebSocket)?;
            Ok(start(options, handshake, socket, Vec::new()))
        }
        other => Err(ConnectError::Unusable(format!("{other:?} came first"))),
    }
}

/// Takes a polling session over to a websocket.
pub(super) async fn upgrade(
    options: &ConnectOptions,
    session: polling::Session,
) -> Result<Link, ConnectError> {
    let mut socket = handshake(options, Some(&session.handshake.sid)).await?;
    send(&mut socket, EnginePacket::Ping("probe".to_owned())).await?;
    match receive(&mut socket).await? {
        EnginePacket::Pong(text) if text == "probe" => {}
        other => {
            return Err(ConnectError::Unusable(format!(
                "the probe was answered with {other:?}"
            )));
        }
    }
    send(&mut socket, EnginePacket::Upgrade).await?;
    let link = start(options, session.handshake, socket, session.early);
    Ok(Link { noops: 1, ..link })
}

async fn handshake(options: &ConnectOptions, sid: Option<&str>) -> Result<Socket, ConnectError> {
    let url = format!(
        "ws://{}{}",
        options.server.authority(),
        target(options, "websocket", sid)
    );
    let unusable = |error: &dyn std::fmt::Display| ConnectError::Unusable(error.to_string());
    let mut request: Request<()> = url.into_client_request().map_err(|error| unusable(&error))?;
    for (name, value) in &options.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unusable(&error))?;
        let value = HeaderValue::from_str(value).map_err(|error| unusable(&error))?;
        request.headers_mut().append(name, value);
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(options.limits.packet_bytes))
        .max_frame_size(Some(options.limits.packet_bytes));
    match client_async_with_config(request, dial(options).await?, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) => {
            let body = answer.body().as_deref().unwrap_or_default();
            Err(refused(answer.status().as_u16(), body).into())
        }
        Err(error) => Err(CloseReason::Broken(error.to_string()).into()),
    }
}

fn start(options: &ConnectOptions, handshake: Handshake, socket: Socket, early: Vec<EnginePacket>) -> Link {
    let (sink, stream) = socket.split();
    let (arrived, incoming) = mpsc::channel(options.limits.packets);
    let (outgoing, waiting) = mpsc::channel(OUTGOING);
    let mut tasks = JoinSet::new();
    tasks.spawn(read(stream, arrived, early));
    tasks.spawn(write(sink, waiting));
    Link {
        handshake,
        incoming,
        outgoing,
        noops: 0,
        _tasks: tasks,
    }
}

/// A receiver that is full stops the reading; the client takes packets at once and tells an overflow itself.
async fn read(
    mut stream: SplitStream<Socket>,
    arrived: mpsc::Sender<Result<EnginePacket, CloseReason>>,
    early: Vec<EnginePacket>,
) {
    for packet in early {
        if arrived.send(Ok(packet)).await.is_err() {
            return;
        }
    }
    loop {
        let packet = next(&mut stream).await;
        let over = packet.is_err();
        if arrived.send(packet).await.is_err() || over {
            return;
        }
    }
}

async fn write(mut sink: SplitSink<Socket, Message>, mut waiting: mpsc::Receiver<Vec<EnginePacket>>) {
    while let Some(batch) = waiting.recv().await {
        for packet in batch {
            // A broken connection is the reader's to tell.
            if sink.send(message(packet)).await.is_err() {
                return;
            }
        }
    }
    let _ = sink.close().await;
}

fn message(packet: EnginePacket) -> Message {
    match packet {
        EnginePacket::Binary(bytes) => Message::Binary(Bytes::from(bytes)),
        other => Message::text(other.encode()),
    }
}

async fn send(socket: &mut Socket, packet: EnginePacket) -> Result<(), CloseReason> {
    let sent = socket.send(message(packet)).await;
    sent.map_err(|error| CloseReason::Broken(error.to_string()))
}

async fn receive(socket: &mut Socket) -> Result<EnginePacket, CloseReason> {
    next(socket).await
}

/// The next packet; websocket pings and pongs are not packets.
async fn next<S>(stream: &mut S) -> Result<EnginePacket, CloseReason>
where
    S: futures_util::Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
{
    loop {
        return match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                EnginePacket::decode(text.as_str()).map_err(|error| CloseReason::Malformed(error.to_string()))
            }
            Some(Ok(Message::Binary(bytes))) => Ok(EnginePacket::Binary(bytes.to_vec())),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(frame))) => Err(CloseReason::WebSocket {
                code: frame.as_ref().map_or(1005, |frame| frame.code.into()),
                reason: frame.map(|frame| frame.reason.to_string()).unwrap_or_default(),
            }),
            Some(Err(error)) => Err(CloseReason::Broken(error.to_string())),
            None => Err(CloseReason::Broken("the connection ended".to_owned())),
        };
    }
}
