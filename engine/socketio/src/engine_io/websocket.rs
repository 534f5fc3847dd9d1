//! Websockets: opened at once, or tried beside polling and then taken.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::derive_accept_key,
        protocol::{
            Role, WebSocketConfig,
            frame::{
                Frame as WebSocketFrame,
                coding::{Data, OpCode},
            },
        },
    },
};

use super::{
    Connection, Content, Handler, Server, Transport,
    answer::Answer,
    budget::Reading,
    connection::{Over, State},
    frame::Frame,
    metered::MeteredStream,
    payload::Packet,
};
use crate::settings::Leniency;

type Socket = WebSocketStream<MeteredStream<TokioIo<hyper::upgrade::Upgraded>>>;

/// A websocket, and what is being read of it.
struct Halves {
    sink: SplitSink<Socket, Message>,
    stream: SplitStream<Socket>,
    reading: Arc<Reading>,
}

/// Bytes that the websocket library reads at a time, out of what was read of the connection: few, because it keeps a
/// buffer of this size for every connection.
const READ_BUFFER: usize = 512;
/// Bytes that it collects before it writes them. It keeps the memory of what it writes at a time.
const WRITE_BUFFER: usize = 4096;
/// Bytes of a message that are written at a time.
const PIECE: usize = 16 * 1024;
/// Bytes of a control frame before what it carries: two, and its mask.
const CONTROL_HEADER: usize = 6;
/// Bytes taken from the outbox at a time.
const PORTION: usize = 256 * 1024;

/// Opens a connection over a websocket.
pub(super) fn open<H: Handler>(server: &Arc<Server<H>>, request: Request) -> Answer {
    let Some(switching) = switching(&request) else {
        return Answer::Refused("Invalid websocket upgrade".to_owned());
    };
    let (parts, body) = request.into_parts();
    let connection = match server.admit(&parts, Transport::Websocket) {
        Ok((connection, _)) => connection,
        Err(rejection) => return Answer::Rejected(rejection),
    };
    // The request goes at once: the task below would have room for it as long as the connection lasts.
    let upgrading = hyper::upgrade::on(Request::from_parts(parts, body));
    tokio::spawn(carry(Arc::clone(server), connection, upgrading));
    Answer::Switching(switching)
}

/// Carries a connection from its handshake's end to its own.
async fn carry<H: Handler>(server: Arc<Server<H>>, connection: Arc<Connection>, upgrading: OnUpgrade) {
    // What only comes and goes is on the heap, here and below: the rest stays as long as the connection lasts.
    if let Some(socket) = Box::pin(begin(&server, &connection, upgrading)).await {
        serve(&server, socket, &connection).await;
    }
    connection.end();
}

async fn begin<H: Handler>(
    server: &Server<H>,
    connection: &Arc<Connection>,
    upgrading: OnUpgrade,
) -> Option<Halves> {
    let reading = connection.receive_budget.reading();
    let Some(mut socket) = accept(upgrading, connection, &reading).await else {
        tracing::debug!(sid = %connection.id(), "socket.io upgrade failed");
        return None;
    };
    let packet = Frame::text(format!("0{}", server.open_packet(connection, false)));
    socket.send(message(packet)).await.ok()?;
    let (sink, stream) = socket.split();
    Some(Halves {
        sink,
        stream,
        reading,
    })
}

/// Tries a websocket for a connection that polls, and moves to it.
pub(super) fn upgrade<H: Handler>(
    server: &Arc<Server<H>>,
    connection: Arc<Connection>,
    request: Request,
) -> Answer {
    let Some(switching) = switching(&request) else {
        return Answer::Refused("Invalid websocket upgrade".to_owned());
    };
    if !connection.change_state(State::Polling, State::Probing) {
        return Answer::Refused("Unexpected HTTP request".to_owned());
    }
    let upgrading = hyper::upgrade::on(request);
    let server = Arc::clone(server);
    tokio::spawn(async move {
        if let Some(socket) = Box::pin(try_upgrade(&server, &connection, upgrading)).await {
            serve(&server, socket, &connection).await;
            connection.end();
        }
    });
    Answer::Switching(switching)
}

/// `None` where the client goes on polling, or is gone.
async fn try_upgrade<H: Handler>(
    server: &Server<H>,
    connection: &Arc<Connection>,
    upgrading: OnUpgrade,
) -> Option<Halves> {
    let reading = connection.receive_budget.reading();
    let socket = tokio::time::timeout(server.settings.upgrade_timeout, async {
        let mut socket = accept(upgrading, connection, &reading).await?;
        probe(&mut socket, connection).await.then_some(socket)
    })
    .await;
    let Ok(Some(mut socket)) = socket else {
        // Wherever the attempt ended.
        connection.change_state(State::Probing, State::Polling);
        connection.change_state(State::Upgrading, State::Polling);
        return None;
    };
    connection.change_state(State::Upgrading, State::Websocket);
    let answers = server.settings.leniency.answers_upgrades;
    if answers && socket.send(message(Frame::text("6"))).await.is_err() {
        connection.end();
        return None;
    }
    let (sink, stream) = socket.split();
    Some(Halves {
        sink,
        stream,
        reading,
    })
}

/// The client asks whether the websocket works, then says that it moves. Until it has asked, events go out by polling:
/// a proxy may open websockets and let nothing through.
async fn probe(socket: &mut Socket, connection: &Connection) -> bool {
    if !reads(socket, "2probe").await || !connection.change_state(State::Probing, State::Upgrading) {
        return false;
    }
    // Lets go a request that waits, before the client learns that it may move.
    connection.outbox.reader();
    socket.send(message(Frame::text("3probe"))).await.is_ok() && reads(socket, "5").await
}

async fn reads(socket: &mut Socket, packet: &str) -> bool {
    matches!(socket.next().await, Some(Ok(Message::Text(text))) if text == packet)
}

/// Carries frames both ways until either side ends the connection.
async fn serve<H: Handler>(server: &Server<H>, halves: Halves, connection: &Connection) {
    let Halves {
        sink,
        stream,
        reading,
    } = halves;
    tokio::join!(
        async {
            read(stream, &reading, connection, &server.settings.leniency).await;
            connection.receive_close().await;
        },
        write(server, sink, connection)
    );
}

async fn read(
    mut stream: SplitStream<Socket>,
    reading: &Reading,
    connection: &Connection,
    leniency: &Leniency,
) {
    loop {
        let received = tokio::select! {
            received = stream.next() => received,
            () = connection.ended.cancelled() => return,
        };
        let message = match received {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                tracing::debug!(sid = %connection.id(), %error, "socket.io websocket ended");
                return;
            }
            None => return,
        };
        let goes_on = match message {
            Message::Text(text) => match Packet::parse(&text) {
                Ok(Packet::Message(message)) => {
                    let message = Bytes::from(text.clone()).slice_ref(message.as_bytes());
                    drop(text);
                    Box::pin(hand_on(
                        connection,
                        reading,
                        message.len(),
                        Content::Text(message),
                    ))
                    .await
                }
                Ok(Packet::Binary(bytes)) => {
                    Box::pin(hand_on(connection, reading, bytes.len(), Content::Binary(bytes))).await
                }
                // What others took to be read is given back: nobody handles them.
                other => {
                    drop(reading.take());
                    match other {
                        Ok(Packet::Pong) => {
                            connection.note_pong();
                            true
                        }
                        Ok(Packet::Upgrade) if leniency.answers_upgrades => {
                            connection.send(&[Frame::text("6")]);
                            true
                        }
                        Ok(Packet::Close) | Err(_) => false,
                        Ok(_) => leniency.ignores_malformed,
                    }
                }
            },
            Message::Binary(bytes) => {
                Box::pin(hand_on(connection, reading, bytes.len(), Content::Binary(bytes))).await
            }
            Message::Close(_) => false,
            // They may come between the fragments of a message, which goes on.
            Message::Ping(payload) | Message::Pong(payload) => {
                reading.forget(CONTROL_HEADER + payload.len());
                true
            }
            Message::Frame(_) => true,
        };
        if !goes_on {
            return;
        }
    }
}

/// Hands on what was read, once there is a permit for it; whether the connection goes on.
async fn hand_on(connection: &Connection, reading: &Reading, bytes: usize, content: Content) -> bool {
    match connection.permit_for(bytes, reading).await {
        Ok(permit) => connection.receive(content, permit).await.is_ok(),
        Err(Over) => false,
    }
}

async fn write<H: Handler>(
    server: &Server<H>,
    mut sink: SplitSink<Socket, Message>,
    connection: &Connection,
) {
    let writing = async {
        let reader = connection.outbox.last_reader();
        while let Ok(portion) = reader.take(usize::MAX, PORTION).await {
            if Box::pin(feed(&mut sink, portion.frames)).await.is_err() {
                return;
            }
            if connection.outbox.is_empty() && sink.flush().await.is_err() {
                return;
            }
        }
        // The client sees an orderly end; one that is gone does not matter.
        let _ = sink.close().await;
    };
    let patience = async {
        connection.ended.cancelled().await;
        let clock = &server.clock;
        clock
            .sleep_until(clock.monotonic() + server.settings.farewell_timeout)
            .await;
    };
    tokio::select! {
        // Where the client takes nothing more, what it has sent may still be read.
        () = writing => connection.outbox.close(),
        () = patience => {}
    }
}

async fn feed(sink: &mut SplitSink<Socket, Message>, frames: Vec<Frame>) -> Result<(), Error> {
    for piece in frames.into_iter().flat_map(pieces) {
        sink.feed(piece).await?;
    }
    Ok(())
}

/// A frame as messages, a long one in fragments: the websocket library copies what it writes, and keeps the memory.
fn pieces(frame: Frame) -> impl Iterator<Item = Message> {
    let (mut rest, kind) = match frame {
        Frame::Text(text) => (Bytes::from(text), Data::Text),
        Frame::Binary(bytes) => (bytes, Data::Binary),
    };
    let mut next = Some(kind);
    std::iter::from_fn(move || {
        let kind = next.take()?;
        let piece = rest.split_to(rest.len().min(PIECE));
        let is_last = rest.is_empty();
        next = (!is_last).then_some(Data::Continue);
        Some(Message::Frame(WebSocketFrame::message(
            piece,
            OpCode::Data(kind),
            is_last,
        )))
    })
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Text(text) => Message::Text(text),
        Frame::Binary(bytes) => Message::Binary(bytes),
    }
}

/// The answer that ends HTTP on this connection; `None` where the request lacks its key.
fn switching(request: &Request) -> Option<Response> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    Some(
        (
            StatusCode::SWITCHING_PROTOCOLS,
            [
                (header::CONNECTION, HeaderValue::from_static("Upgrade")),
                (header::UPGRADE, HeaderValue::from_static("websocket")),
                (header::SEC_WEBSOCKET_ACCEPT, accept),
            ],
            Body::empty(),
        )
            .into_response(),
    )
}

async fn accept(
    upgrading: OnUpgrade,
    connection: &Arc<Connection>,
    reading: &Arc<Reading>,
) -> Option<Socket> {
    let upgraded = upgrading.await.ok()?;
    let largest = connection.limits.message;
    let stream = MeteredStream::new(
        TokioIo::new(upgraded),
        Arc::clone(connection),
        Arc::clone(reading),
    );
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
}
