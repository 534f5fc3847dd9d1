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
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
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
    SocketServer,
    moving::MovingStream,
    packet::Frame,
    payload::Packet,
    room::Place,
    session::{Inbound, Over, Session, Transport},
    transport::{Answer, new_session, open_packet},
};

type Socket = WebSocketStream<MovingStream<TokioIo<hyper::upgrade::Upgraded>>>;

/// Bytes that a socket reads and writes at a time: few, because every connection has both buffers.
const BUFFER: usize = 4096;
/// Bytes of a message that are written at a time.
const PIECE: usize = 64 * 1024;
/// Bytes taken from the outbox at a time.
const PORTION: usize = 256 * 1024;

/// Opens a session over a websocket.
pub(super) fn open(server: &Arc<SocketServer>, request: Request) -> Answer {
    let Some(switching) = switching(&request) else {
        return Answer::Refused("Invalid websocket upgrade".to_owned());
    };
    let Some(session) = new_session(server, &request, Transport::Websocket) else {
        return Answer::Full;
    };
    let server = Arc::clone(server);
    tokio::spawn(async move {
        match accept(request, &session).await {
            Some(mut socket) => {
                let packet = Frame::text(format!("0{}", open_packet(&session, &server.timing, false)));
                if socket.send(message(packet)).await.is_ok() {
                    serve(&server, socket, &session).await;
                }
            }
            None => tracing::debug!("socket.io upgrade of {} failed", session.id),
        }
        session.end();
    });
    Answer::Switching(switching)
}

/// Tries a websocket for a session that polls, and moves to it.
pub(super) fn upgrade(server: &Arc<SocketServer>, session: Arc<Session>, request: Request) -> Answer {
    let Some(switching) = switching(&request) else {
        return Answer::Refused("Invalid websocket upgrade".to_owned());
    };
    if !session.change_transport(Transport::Polling, Transport::Probing) {
        return Answer::Refused("Unexpected HTTP request".to_owned());
    }
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let socket = tokio::time::timeout(server.timing.upgrade_deadline, async {
            let mut socket = accept(request, &session).await?;
            probe(&mut socket, &session).await.then_some(socket)
        })
        .await;
        let Ok(Some(mut socket)) = socket else {
            // The session goes on polling, wherever the attempt ended.
            session.change_transport(Transport::Probing, Transport::Polling);
            session.change_transport(Transport::Upgrading, Transport::Polling);
            return;
        };
        session.change_transport(Transport::Upgrading, Transport::Websocket);
        if socket.send(message(Frame::text("6"))).await.is_ok() {
            serve(&server, socket, &session).await;
        }
        session.end();
    });
    Answer::Switching(switching)
}

/// The client asks whether the websocket works, then says that it moves. Until it has asked, events go out by polling:
/// a proxy may open websockets and let nothing through.
async fn probe(socket: &mut Socket, session: &Session) -> bool {
    if !reads(socket, "2probe").await || !session.change_transport(Transport::Probing, Transport::Upgrading) {
        return false;
    }
    // Lets go a request that waits, before the client learns that it may move.
    session.outbox.reader();
    socket.send(message(Frame::text("3probe"))).await.is_ok() && reads(socket, "5").await
}

async fn reads(socket: &mut Socket, packet: &str) -> bool {
    matches!(socket.next().await, Some(Ok(Message::Text(text))) if text == packet)
}

/// Carries frames both ways until either side ends the session.
async fn serve(server: &SocketServer, socket: Socket, session: &Session) {
    let (sink, stream) = socket.split();
    tokio::join!(
        async {
            read(stream, session).await;
            session.receive_close().await;
        },
        write(server, sink, session)
    );
}

async fn read(mut stream: SplitStream<Socket>, session: &Session) {
    loop {
        let received = tokio::select! {
            received = stream.next() => received,
            () = session.ended.cancelled() => return,
        };
        let message = match received {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                tracing::debug!("socket.io websocket of {} ended: {error}", session.id);
                return;
            }
            None => return,
        };
        let goes_on = match message {
            Message::Text(text) => match Packet::parse(&text) {
                Ok(Packet::Message(message)) => {
                    let message = Bytes::from(text.clone()).slice_ref(message.as_bytes());
                    drop(text);
                    hand_on(session, message, Inbound::Message).await
                }
                Ok(Packet::Binary(bytes)) => hand_on(session, bytes, Inbound::Binary).await,
                Ok(Packet::Pong) => {
                    session.note_pong();
                    true
                }
                Ok(Packet::Upgrade) => {
                    session.send(&[Frame::text("6")]);
                    true
                }
                Ok(Packet::Ping | Packet::Unexpected) => true,
                Ok(Packet::Close) | Err(_) => false,
            },
            Message::Binary(bytes) => hand_on(session, bytes, Inbound::Binary).await,
            Message::Close(_) => false,
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => true,
        };
        if !goes_on {
            return;
        }
    }
}

/// Hands on what was read, once there is a place for it; whether the session goes on.
async fn hand_on(
    session: &Session,
    bytes: Bytes,
    as_what: impl FnOnce(Bytes, Arc<Place>) -> Inbound,
) -> bool {
    match session.place_for(bytes.len()).await {
        Ok(place) => session.receive(as_what(bytes, Arc::new(place))).await.is_ok(),
        Err(Over) => false,
    }
}

async fn write(server: &SocketServer, mut sink: SplitSink<Socket, Message>, session: &Session) {
    let writing = async {
        let reader = session.outbox.last_reader();
        while let Ok(portion) = reader.take(usize::MAX, PORTION).await {
            for frame in portion.frames {
                for piece in pieces(frame) {
                    if sink.feed(piece).await.is_err() {
                        return;
                    }
                }
            }
            if session.outbox.is_empty() && sink.flush().await.is_err() {
                return;
            }
        }
        // The client sees an orderly end; one that is gone does not matter.
        let _ = sink.close().await;
    };
    let patience = async {
        session.ended.cancelled().await;
        let clock = &server.real_clock;
        let _ = clock
            .sleep_until(clock.monotonic() + server.timing.farewell_deadline)
            .await;
    };
    tokio::select! {
        // Where the client takes nothing more, what it has sent may still be read.
        () = writing => session.outbox.close(),
        () = patience => {}
    }
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

async fn accept(request: Request, session: &Arc<Session>) -> Option<Socket> {
    let upgraded = hyper::upgrade::on(request).await.ok()?;
    let largest = session.bounds.message;
    let stream = MovingStream::new(TokioIo::new(upgraded), Arc::clone(session));
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    Some(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await)
}
