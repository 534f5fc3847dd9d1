//! Polling: packets come in the bodies of POST requests and go out in the answers to GET requests.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Request};

use super::{
    SocketServer,
    moving::{Delivery, MovingBody},
    outbox::NoMore,
    packet::Frame,
    payload::{self, MOST_PACKETS, Packet, Payload},
    room::Place,
    session::{Over, Session, Transport},
    transport::Answer,
};
use crate::interfaces::http::compat::body::{BodyError, RawBody};

/// Bytes of packets in one answer, unless one alone is longer.
const ANSWER: usize = 16 * 1024 * 1024;

/// Waits for packets. Whether the client is alive is the heartbeat's business; a request that waits longer than any
/// client that answers pings is answered with a packet that means nothing, so that no proxy ends it.
pub(super) async fn poll(server: &SocketServer, session: &Arc<Session>) -> Answer {
    if session.transport() == Transport::Upgrading {
        return Answer::noop();
    }
    let clock = &server.real_clock;
    let patience = clock.monotonic() + server.timing.ping_interval + server.timing.ping_timeout;
    let reader = session.outbox.reader();
    tokio::select! {
        biased;
        portion = reader.take(MOST_PACKETS, ANSWER) => match portion {
            Ok(portion) => Answer::Packets {
                packets: payload::encode(&portion.frames),
                delivery: Some(Delivery::new(Arc::clone(session), portion)),
            },
            // A later request has taken over, or the client moves to a websocket.
            Err(NoMore::Superseded) => Answer::noop(),
            Err(NoMore::Closed) => Answer::bad_request(),
        },
        _ = clock.sleep_until(patience) => Answer::noop(),
    }
}

/// Takes packets, and answers when they are handled: `OK` says that all of them are.
pub(super) async fn post(session: &Arc<Session>, request: Request) -> Answer {
    let request = request.map(|body| MovingBody::wrap(body, Arc::clone(session)));
    let body = match RawBody::from_request(request, &()).await {
        Ok(body) => {
            let is_anonymous = session.bounds.is_anonymous;
            let body = body.limit(session.bounds.message);
            let body = if is_anonymous {
                body.of_anybody(|bounds| bounds.message)
            } else {
                body
            };
            body.bytes().await
        }
        Err(never) => match never {},
    };
    let body = match body {
        Ok(body) => body,
        Err(BodyError::TooLarge) => {
            session.dismiss();
            return Answer::bad_request();
        }
        Err(_) => return Answer::bad_request(),
    };
    // The legacy says OK and does nothing; so it does with more than sixteen packets, which are read here.
    let Ok(payload) = Payload::read(body) else {
        return Answer::bad_request();
    };
    // The body is held until the last of its packets is handled.
    let Ok(place) = session.place_for(payload.len()).await else {
        return Answer::bad_request();
    };
    let place = Arc::new(place);
    for packet in payload.packets() {
        match take(session, &payload, packet, &place).await {
            Ok(()) => {}
            Err(Stop::Closed) => return Answer::Ok,
            Err(Stop::Over) => return Answer::bad_request(),
            Err(Stop::Unexpected) => {
                session.dismiss();
                return Answer::bad_request();
            }
        }
    }
    match session.settle().await {
        Ok(()) => Answer::Ok,
        Err(Over) => Answer::bad_request(),
    }
}

enum Stop {
    /// By the client.
    Closed,
    /// The session ended before it had everything.
    Over,
    Unexpected,
}

impl From<Over> for Stop {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

async fn take(
    session: &Session,
    payload: &Payload,
    packet: Packet<'_>,
    place: &Arc<Place>,
) -> Result<(), Stop> {
    match packet {
        Packet::Message(text) => {
            session
                .receive_message(payload.part(text), Arc::clone(place))
                .await?;
        }
        Packet::Binary(bytes) => session.receive_binary(bytes, Arc::clone(place)).await?,
        Packet::Pong => session.note_pong(),
        Packet::Close => {
            session.receive_close().await;
            return Err(Stop::Closed);
        }
        Packet::Upgrade => session.send(&[Frame::text("6")]),
        Packet::Ping | Packet::Unexpected => return Err(Stop::Unexpected),
    }
    Ok(())
}
