//! Polling: packets come in the bodies of POST requests and go out in the answers to GET requests.

use std::sync::Arc;

use axum::extract::{FromRequest as _, Request};

use super::{
    SocketServer,
    packet::Frame,
    payload::{self, MOST_PACKETS, Packet},
    session::{Over, PING_INTERVAL, PING_TIMEOUT, Session, Transport},
    transport::Answer,
};
use crate::{
    interfaces::http::compat::body::{BodyError, RawBody},
    repositories::Store,
};

/// Bytes of packets in one answer, unless one alone is longer.
const ANSWER: usize = 16 * 1024 * 1024;

/// Waits for packets.
pub(super) async fn poll<S: Store>(server: &SocketServer<S>, session: &Session) -> Answer {
    if session.transport() == Transport::Upgrading {
        return Answer::Packets("6".to_owned());
    }
    let clock = &server.real_clock;
    let patience = clock.monotonic() + PING_INTERVAL + PING_TIMEOUT;
    tokio::select! {
        biased;
        frames = session.outbox.take(MOST_PACKETS, ANSWER) => {
            Answer::Packets(payload::encode(&frames.unwrap_or_default()))
        }
        _ = clock.sleep_until(patience) => {
            session.end();
            Answer::Refused("Bad Request".to_owned())
        }
    }
}

/// Takes packets, and answers when they are handled.
pub(super) async fn post(session: &Arc<Session>, request: Request) -> Answer {
    let body = match RawBody::from_request(request, &()).await {
        Ok(body) => body.limit(session.limit).bytes().await,
        Err(never) => match never {},
    };
    let body = match body {
        Ok(body) => body,
        Err(BodyError::TooLarge) => {
            session.dismiss();
            return Answer::Refused("Bad Request".to_owned());
        }
        Err(_) => return Answer::Refused("Bad Request".to_owned()),
    };
    // What cannot be read means nothing at all.
    let Ok(packets) = payload::decode(&body) else {
        return Answer::Ok;
    };
    for packet in packets {
        match take(session, packet).await {
            Ok(()) => {}
            Err(Stop::Over) => return Answer::Ok,
            Err(Stop::Unexpected) => {
                session.dismiss();
                return Answer::Refused("Bad Request".to_owned());
            }
        }
    }
    session.settle().await;
    Answer::Ok
}

enum Stop {
    Over,
    Unexpected,
}

impl From<Over> for Stop {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

async fn take(session: &Session, packet: Packet) -> Result<(), Stop> {
    match packet {
        Packet::Message(text) => session.receive_message(text).await?,
        Packet::Binary(bytes) => session.receive_binary(bytes).await?,
        Packet::Pong => session.note_pong(),
        Packet::Close => {
            session.receive_close().await;
            return Err(Stop::Over);
        }
        Packet::Upgrade => session.send(&[Frame::text("6")]),
        Packet::Ping(_) | Packet::Unexpected => return Err(Stop::Unexpected),
    }
    Ok(())
}
