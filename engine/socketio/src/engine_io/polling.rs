//! Polling: packets come in the bodies of POST requests and go out in the answers to GET requests.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use http::header;
use http_body_util::BodyExt as _;

use super::{
    BodyError, Client as _, Connection, Content, Handler, Permit, Server,
    answer::Answer,
    connection::{Over, State},
    frame::Frame,
    metered::{Delivery, MeteredBody},
    outbox::NoMore,
    payload::{self, Packet, Payload},
};
use crate::{environment::Clock, settings::Leniency};

/// Bytes of packets in one answer, unless one alone is longer.
const ANSWER: usize = 16 * 1024 * 1024;

/// How long a poll waits for the end of an upgrade: what the client sent over the websocket before it may be read after it.
const UPGRADE_SETTLES: Duration = Duration::from_millis(20);

/// The answer to a poll while its client moves to a websocket: refused once it has, else a packet that means nothing.
async fn answer_of_upgrade(clock: &dyn Clock, leniency: &Leniency, connection: &Connection) -> Answer {
    if leniency.replaces_polls {
        return Answer::noop();
    }
    tokio::select! {
        () = connection.upgrade_ended() => {}
        () = clock.sleep_until(clock.monotonic() + UPGRADE_SETTLES) => {}
    }
    match connection.state() {
        State::Websocket => Answer::Refused("Unexpected HTTP request".to_owned()),
        _ => Answer::noop(),
    }
}

/// A poll that waits. Where the protocol is kept strictly, one whose client hangs up ends the connection.
struct Waiting<'a> {
    connection: &'a Connection,
    ends_connection: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.connection.polls.fetch_sub(1, Ordering::AcqRel);
        if self.ends_connection {
            self.connection.end();
        }
    }
}

/// Waits for packets. Whether the client is alive is the heartbeat's business; a request that waits longer than any
/// client that answers pings is answered with a packet that means nothing, so that no proxy ends it.
pub(super) async fn poll<H: Handler>(server: &Server<H>, connection: &Arc<Connection>) -> Answer {
    if connection.state() == State::Upgrading {
        return answer_of_upgrade(&*server.clock, &server.settings.leniency, connection).await;
    }
    let settings = &server.settings;
    let is_strict = !settings.leniency.replaces_polls;
    if is_strict && connection.heartbeat.is_overdue() {
        connection.end();
        return Answer::bad_request();
    }
    let is_second = connection.polls.fetch_add(1, Ordering::AcqRel) > 0;
    let mut waiting = Waiting {
        connection,
        ends_connection: is_strict,
    };
    if is_second && is_strict {
        connection.dismiss();
        return Answer::bad_request();
    }
    let clock = &server.clock;
    let patience = clock.monotonic() + settings.ping_interval + settings.ping_timeout;
    let reader = connection.outbox.reader();
    let answer = tokio::select! {
        biased;
        portion = reader.take(settings.packets_per_answer, ANSWER) => match portion {
            Ok(portion) => Answer::Packets {
                packets: payload::encode(&portion.frames),
                delivery: Some(Delivery::new(Arc::clone(connection), portion)),
            },
            // A later request has taken over, or the client moves to a websocket.
            Err(NoMore::Superseded) => answer_of_upgrade(&**clock, &settings.leniency, connection).await,
            Err(NoMore::Closed) => Answer::bad_request(),
        },
        () = clock.sleep_until(patience) => Answer::noop(),
    };
    waiting.ends_connection = false;
    answer
}

/// Takes packets, and answers when they are handled: the answer says that all of them are.
pub(super) async fn post<H: Handler>(
    server: &Server<H>,
    client: &Arc<H::Client>,
    request: Request,
) -> Answer {
    let connection = client.connection();
    let leniency = &server.settings.leniency;
    let reading = connection.receive_budget.reading();
    let request = request.map(|body| MeteredBody::wrap(body, Arc::clone(connection), Arc::clone(&reading)));
    let timeout = server.settings.body_timeout;
    let body = match server.handler.read_body(client, request, timeout).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => {
            connection.dismiss();
            return Answer::bad_request();
        }
        Err(BodyError::Broken) => return Answer::bad_request(),
    };
    let payload = match Payload::read(body, leniency) {
        Ok(payload) => payload,
        // python-engineio answers OK and handles nothing of it.
        Err(_) if leniency.ignores_malformed => return Answer::bad_request(),
        Err(_) => {
            connection.dismiss();
            return Answer::bad_request();
        }
    };
    // The body is held until the last of its packets is handled.
    let Ok(permit) = connection.permit_for(payload.len(), &reading).await else {
        return Answer::bad_request();
    };
    for packet in payload.packets() {
        match take(connection, &payload, packet, &permit, leniency).await {
            Ok(()) => {}
            Err(Stop::Closed) => return Answer::Ok,
            Err(Stop::Over) => return Answer::bad_request(),
            Err(Stop::Unexpected) => {
                connection.dismiss();
                return Answer::bad_request();
            }
        }
    }
    match connection.settle().await {
        Ok(()) => Answer::Ok,
        Err(Over) => Answer::bad_request(),
    }
}

enum Stop {
    /// By the client.
    Closed,
    /// The connection ended before it had everything.
    Over,
    Unexpected,
}

impl From<Over> for Stop {
    fn from(_: Over) -> Self {
        Self::Over
    }
}

async fn take(
    connection: &Connection,
    payload: &Payload,
    packet: Packet<'_>,
    permit: &Arc<Permit>,
    leniency: &Leniency,
) -> Result<(), Stop> {
    match packet {
        Packet::Message(text) => {
            let text = Content::Text(payload.part(text));
            connection.receive(text, Arc::clone(permit)).await?;
        }
        Packet::Binary(bytes) => {
            connection
                .receive(Content::Binary(bytes), Arc::clone(permit))
                .await?;
        }
        Packet::Pong => connection.note_pong(),
        Packet::Close => {
            if !leniency.answers_as_python {
                // Lets a poll go that waits, or comes at the same time.
                connection.has_said_goodbye.store(true, Ordering::Release);
                connection.send(&[Frame::text("6")]);
            }
            connection.receive_close().await;
            if leniency.answers_as_python {
                // The next poll finds no connection that still works on what came before.
                let _backlog = connection.heartbeat.backlog();
                connection.ended().await;
            }
            return Err(Stop::Closed);
        }
        Packet::Upgrade if leniency.answers_upgrades => connection.send(&[Frame::text("6")]),
        Packet::Upgrade | Packet::Ping | Packet::Unexpected => return Err(Stop::Unexpected),
    }
    Ok(())
}

/// Reads the body of a request that must not be longer than this, nor stop coming for so long.
///
/// # Errors
/// It is, or did.
pub async fn read_body(request: Request, longest: usize, timeout: Duration) -> Result<Bytes, BodyError> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > longest as u64) {
        return Err(BodyError::TooLarge);
    }
    let mut body = request.into_body();
    let mut bytes = BytesMut::new();
    loop {
        match tokio::time::timeout(timeout, body.frame()).await {
            Ok(None) => return Ok(bytes.freeze()),
            Err(_) | Ok(Some(Err(_))) => return Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    if data.len() > longest.saturating_sub(bytes.len()) {
                        return Err(BodyError::TooLarge);
                    }
                    bytes.extend_from_slice(&data);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        Limits, Settings, engine_io::heartbeat::Heartbeat, environment::BoxFuture, environment::SystemClock,
    };

    /// Time that stands, or has run out.
    #[derive(Debug)]
    enum Still {
        Standing,
        RunOut,
    }

    impl Clock for Still {
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        fn sleep_until(&self, _: Duration) -> BoxFuture<'_> {
            match self {
                Self::Standing => Box::pin(pending()),
                Self::RunOut => Box::pin(async {}),
            }
        }
    }

    fn moving() -> Arc<Connection> {
        let heartbeat = Heartbeat::new(Arc::new(SystemClock::default()), &Settings::default());
        let limits = Limits::default();
        let (connection, _inbox) = Connection::new(
            "id".to_owned(),
            String::new(),
            limits,
            State::Upgrading,
            heartbeat,
        );
        connection
    }

    #[test]
    fn a_poll_waits_for_the_end_of_an_upgrade() {
        let strict = Leniency::default();
        for (end, is_refused) in [(State::Websocket, true), (State::Polling, false)] {
            let connection = moving();
            let mut answer = pin!(answer_of_upgrade(&Still::Standing, &strict, &connection));
            assert!((&mut answer).now_or_never().is_none());
            assert!(connection.change_state(State::Upgrading, end));
            let answer = answer.now_or_never().unwrap();
            assert_eq!(matches!(answer, Answer::Refused(_)), is_refused, "{end:?}");
        }
    }

    #[test]
    fn a_poll_that_waited_long_enough_is_answered_with_nothing() {
        let answer = answer_of_upgrade(&Still::RunOut, &Leniency::default(), &moving()).now_or_never();
        assert!(matches!(answer, Some(Answer::Packets { delivery: None, .. })));
        let lenient = Leniency {
            replaces_polls: true,
            ..Leniency::default()
        };
        let answer = answer_of_upgrade(&Still::Standing, &lenient, &moving()).now_or_never();
        assert!(matches!(answer, Some(Answer::Packets { delivery: None, .. })));
    }
}
