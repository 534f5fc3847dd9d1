//! Long because its server says everything that a server may say.

use std::{
    future::ready,
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use futures_util::{FutureExt as _, SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::*;
use crate::{
    runner::connection::BARRIER,
    socket_io::packet::{Content, Decoder, Packet},
};

/// A server that sends `echo` back and then acknowledges it, does nothing about `mute`, sends `twins` back in another
/// order, hangs up at `die`, says `farewell` to whoever leaves, for `late` sends an `echo` by itself, so many barriers
/// later, and for `say` the messages that are its arguments.
async fn server(barriers: Barriers) -> ConnectOptions {
    server_that_opens(barriers, OPEN, &[]).await
}

/// How the legacy opens a session over a websocket.
const OPEN: &str = r#"0{"sid":"e2345678901234567890","upgrades":[],"pingTimeout":20000,"pingInterval":25000,"maxPayload":1000000}"#;

/// As [`server`]; it opens sessions with another packet, and says something before the namespace is joined.
async fn server_that_opens(
    barriers: Barriers,
    open: &'static str,
    early: &'static [&'static str],
) -> ConnectOptions {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap().0;
            tokio::spawn(serve(stream, barriers, open, early));
        }
    });
    ConnectOptions::websocket(address)
}

fn text(content: Content) -> String {
    format!("4{}", Packet::root(content).encode().0)
}

/// Which parts of a barrier the server answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Barriers {
    All,
    RefusalAlone,
    Nothing,
}

async fn serve(stream: TcpStream, barriers: Barriers, open: &str, early: &[&str]) {
    let mut peer = accept_async(stream).await.unwrap();
    for message in [&[open], early].concat() {
        peer.send(Message::text(message)).await.unwrap();
    }
    let mut late: Option<(u64, Vec<Value>)> = None;
    while let Some(Ok(Message::Text(message))) = peer.next().await {
        let packet = message
            .strip_prefix('4')
            .map(|text| Decoder::default().text(text));
        let Some(Ok(Some(packet))) = packet else { continue };
        let mut answers = Vec::new();
        match packet.content {
            Content::Connect(_) if packet.namespace != "/" && barriers == Barriers::Nothing => {}
            Content::Connect(_) if packet.namespace != "/" => {
                answers.push(format!("44{},\"Unable to connect\"", packet.namespace));
            }
            Content::Connect(_) => answers.push("40{\"sid\":\"s\"}".to_owned()),
            Content::Event { id, name, arguments } => {
                let event_with = |name: &str, arguments: Vec<Value>| {
                    text(Content::Event {
                        id: None,
                        name: name.to_owned(),
                        arguments,
                    })
                };
                let event = |name: &str| event_with(name, arguments.clone());
                match name.as_str() {
                    "late" => {
                        late = arguments
                            .first()
                            .and_then(Value::as_u64)
                            .map(|n| (n, arguments.clone()));
                    }
                    BARRIER => {
                        if let Some((1, arguments)) = &late {
                            answers.push(event_with("echo", arguments.clone()));
                        }
                        late = late.map(|(n, arguments)| (n.wrapping_sub(1), arguments));
                    }
                    "echo" => answers.push(event("echo")),
                    "twins" => answers.extend([event("second"), event("first")]),
                    "say" => {
                        let said = arguments.iter().filter_map(Value::as_str);
                        answers.extend(said.map(str::to_owned));
                    }
                    "die" => return,
                    _ => {}
                }
                let acknowledged = name == "echo" || (name == BARRIER && barriers == Barriers::All);
                if let (true, Some(id)) = (acknowledged, id) {
                    answers.push(text(Content::Ack {
                        id,
                        arguments: vec![json!("done")],
                    }));
                }
            }
            Content::Disconnect => answers.push(text(Content::Event {
                id: None,
                name: "farewell".to_owned(),
                arguments: vec![],
            })),
            _ => {}
        }
        for answer in answers {
            peer.send(Message::text(answer)).await.unwrap();
        }
    }
}

async fn connected(barriers: Barriers) -> Sockets {
    let mut sockets = Sockets::default();
    if barriers == Barriers::Nothing {
        // What a server sends at once must have come by then, also on a busy machine.
        sockets.patience.first_barrier = Duration::from_secs(1);
        sockets.patience.quiet = Duration::from_millis(500);
    }
    let seen = sockets.connect("ui", &server(barriers).await, 1).await;
    assert_eq!(
        seen,
        Seen::Connected {
            connected: true,
            error: None
        }
    );
    sockets
}

/// The server never does nothing by itself.
const BUSY: &Rests<'static> = &|| ready(false).boxed();
const AT_REST: &Rests<'static> = &|| ready(true).boxed();

fn acknowledged(arguments: Option<Vec<Value>>) -> Result<Option<Seen>, String> {
    Ok(Some(Seen::Acknowledged { arguments }))
}

#[tokio::test]
async fn what_came_and_what_did_not_is_told_apart() {
    for barriers in [Barriers::All, Barriers::RefusalAlone, Barriers::Nothing] {
        let mut sockets = connected(barriers).await;
        let data = [json!({"a": 1})];
        assert_eq!(
            sockets.emit("ui", 2, "echo", &data, true).await,
            acknowledged(Some(vec![json!("done")]))
        );
        assert_eq!(
            sockets.emit("ui", 3, "mute", &data, true).await,
            acknowledged(None)
        );
        assert_eq!(sockets.emit("ui", 4, "mute", &data, false).await, Ok(None));
        assert_eq!(
            sockets.expect("ui", 5, "echo", BUSY).await,
            Ok(Some(data.to_vec()))
        );
        assert_eq!(sockets.silence("ui", 6, "echo", true, BUSY).await, Ok(None));
        assert_eq!(sockets.emit("ui", 7, "echo", &[], false).await, Ok(None));
        assert_eq!(
            sockets.silence("ui", 8, "echo", false, BUSY).await,
            Ok(Some(vec![]))
        );
        let (notices, _) = sockets.finish().await;
        let names: Vec<_> = notices.iter().map(|notice| notice.event.as_str()).collect();
        assert_eq!(names, ["farewell"]);
    }
}

#[tokio::test]
async fn what_a_server_does_by_itself_is_waited_for_until_it_rests() {
    let mut sockets = connected(Barriers::All).await;
    assert_eq!(sockets.expect("ui", 2, "echo", AT_REST).await, Ok(None));
    assert_eq!(sockets.silence("ui", 3, "echo", true, AT_REST).await, Ok(None));
    // What it was at until it rested is there one barrier later.
    sockets.emit("ui", 4, "late", &[json!(2)], false).await.unwrap();
    let came = Ok(Some(vec![json!(2)]));
    assert_eq!(sockets.expect("ui", 5, "echo", AT_REST).await, came);
    // It is at it for longer.
    sockets.emit("ui", 6, "late", &[json!(4)], false).await.unwrap();
    let asked = AtomicU32::new(0);
    let rests = || ready(asked.fetch_add(1, Ordering::Relaxed) > 9).boxed();
    assert_eq!(
        sockets.expect("ui", 7, "echo", &rests).await,
        Ok(Some(vec![json!(4)]))
    );
}

#[tokio::test]
async fn behind_a_step_the_server_in_this_process_comes_to_rest_and_others_are_not_waited_for() {
    let mut sockets = connected(Barriers::All).await;
    let asked = AtomicU32::new(0);
    let rests = || ready(asked.fetch_add(1, Ordering::Relaxed) > 2).boxed();
    sockets.settle_at_rest(2, &rests).await;
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    sockets.patience = Patience::live();
    sockets.settle_at_rest(3, &rests).await;
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_server_that_does_not_come_to_rest_is_waited_for_once() {
    let mut sockets = connected(Barriers::All).await;
    sockets.patience.background = sockets.patience.swift * 5;
    let asked = AtomicU32::new(0);
    let rests = || ready(asked.fetch_add(1, Ordering::Relaxed) == 7).boxed();
    sockets.settle_at_rest(2, &rests).await;
    assert_eq!(asked.load(Ordering::Relaxed), 6);
    sockets.settle_at_rest(3, &rests).await;
    assert_eq!(asked.load(Ordering::Relaxed), 7, "one look, no waiting");
    // At the next look it rests; what begins after that is waited for again.
    for (step, looks) in [(4, 8), (5, 14)] {
        sockets.settle_at_rest(step, &rests).await;
        assert_eq!(asked.load(Ordering::Relaxed), looks);
    }
}

#[tokio::test]
async fn what_no_step_asks_for_is_noted() {
    let mut sockets = connected(Barriers::All).await;
    sockets.emit("ui", 2, "twins", &[], false).await.unwrap();
    assert_eq!(sockets.expect("ui", 3, "first", BUSY).await, Ok(Some(vec![])));
    assert_eq!(sockets.expect("ui", 4, "second", BUSY).await, Ok(Some(vec![])));
    sockets.emit("ui", 5, "echo", &[json!(1)], false).await.unwrap();
    sockets.emit("ui", 6, "die", &[], false).await.unwrap();
    let error = sockets.emit("ui", 7, "echo", &[], false).await.unwrap_err();
    assert!(error.contains("ui cannot emit"), "{error}");
    assert!(sockets.expect("nobody", 8, "x", BUSY).await.is_err());
    let (notices, _) = sockets.finish().await;
    let kinds: Vec<_> = notices
        .iter()
        .map(|notice| (notice.kind, notice.event.as_str(), notice.step))
        .collect();
    assert_eq!(
        kinds,
        [
            (NoticeKind::Early, "second", 2),
            (NoticeKind::NotWaitedFor, "echo", 5),
            (NoticeKind::Closed, "", 7),
        ]
    );
}

#[tokio::test]
async fn what_comes_while_a_client_leaves_is_heard_and_noted() {
    let mut sockets = connected(Barriers::All).await;
    sockets.emit("ui", 2, "mute", &[], false).await.unwrap();
    let (notices, heard) = sockets.finish().await;
    let noted: Vec<_> = notices
        .iter()
        .map(|notice| (notice.kind, notice.event.as_str(), notice.step))
        .collect();
    assert_eq!(noted, [(NoticeKind::NotWaitedFor, "farewell", 2)]);
    let events: Vec<_> = heard[0].events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(events, ["farewell"]);
    assert_eq!(heard[0].closed, None, "it went by itself");
}

/// What a connection heard: names and data.
fn events(heard: &[Heard]) -> Vec<(&str, Value)> {
    let events = heard.iter().flat_map(|one| &one.events);
    events
        .map(|event| (event.event.as_str(), event.data.clone()))
        .collect()
}

const PACKET: &str = "<packet that nobody asked for>";
const EARLY: &str = "<packet before the namespace was joined>";
const TRANSPORT: &str = "<transport packet that nobody asked for>";

#[tokio::test]
async fn what_nobody_asked_for_is_heard() {
    let cases = [
        // The emit was the first, so its id is 0; the second barrier's is 2.
        (
            "430[7]",
            PACKET,
            json!({"namespace": "/", "acknowledgement": [7], "of": "one that was acknowledged or given up"}),
        ),
        (
            "431[]",
            PACKET,
            json!({"namespace": "/", "acknowledgement": [], "of": "one that was acknowledged or given up"}),
        ),
        (
            "4399[]",
            PACKET,
            json!({"namespace": "/", "acknowledgement": [], "of": "nothing"}),
        ),
        (
            "42/x,[\"e\",1]",
            PACKET,
            json!({"namespace": "/x", "event": "e", "arguments": [1], "asks": false}),
        ),
        (
            "43/x,0[1]",
            PACKET,
            json!({"namespace": "/x", "acknowledgement": [1]}),
        ),
        ("41/x,", PACKET, json!({"namespace": "/x", "left": true})),
        ("44/x,\"no\"", PACKET, json!({"namespace": "/x", "refused": true})),
        (
            "44/no-such-namespace,\"no\"",
            PACKET,
            json!({"namespace": "/no-such-namespace", "refused": true}),
        ),
        ("44\"no\"", PACKET, json!({"namespace": "/", "refused": "no"})),
        (
            "40{\"sid\":\"abc\"}",
            PACKET,
            json!({"namespace": "/", "joined": {"sid": "<3 characters>"}}),
        ),
        (
            "0{\"sid\":\"abc\"}",
            TRANSPORT,
            json!({"open": {"sid": "<3 characters>"}}),
        ),
        ("3probe", TRANSPORT, json!({"pong": "probe"})),
        ("5", TRANSPORT, json!("upgrade")),
        ("6", TRANSPORT, json!("noop")),
    ];
    for (message, name, data) in cases {
        let mut sockets = connected(Barriers::All).await;
        let done = sockets.emit("ui", 2, "mute", &[], true).await;
        assert_eq!(done, acknowledged(None));
        sockets
            .emit("ui", 3, "say", &[json!(message)], false)
            .await
            .unwrap();
        let (notices, heard) = sockets.finish().await;
        let farewell = ("farewell", Value::Null);
        assert_eq!(events(&heard), [(name, data), farewell], "{message}");
        assert!(notices.iter().any(|notice| notice.event == name), "{message}");
        assert_eq!(heard[0].events[0].after_step, 3);
    }
}

#[tokio::test]
async fn what_comes_before_the_namespace_was_joined_is_heard() {
    let early = &["42[\"e\",1]", "430[2]", "42/x,[\"e\"]"];
    let options = server_that_opens(Barriers::All, OPEN, early).await;
    let mut sockets = Sockets::default();
    sockets.connect("ui", &options, 1).await;
    let (_, heard) = sockets.finish().await;
    assert_eq!(
        events(&heard)[..3],
        [
            (
                EARLY,
                json!({"namespace": "/", "event": "e", "arguments": [1], "asks": false})
            ),
            (EARLY, json!({"namespace": "/", "acknowledgement": [2]})),
            (
                EARLY,
                json!({"namespace": "/x", "event": "e", "arguments": [], "asks": false})
            ),
        ]
    );

    let options = server_that_opens(Barriers::All, OPEN, &["42[\"e\"]", "44\"no\""]).await;
    let mut sockets = Sockets::default();
    sockets.connect("ui", &options, 1).await;
    let (_, heard) = sockets.finish().await;
    assert_eq!(
        events(&heard)[0].0,
        EARLY,
        "also where the namespace is refused then"
    );
}

#[tokio::test]
async fn an_event_that_is_called_as_something_else_is_an_event() {
    let mut sockets = connected(Barriers::All).await;
    let said = json!(format!("42[\"{PACKET}\",{{\"namespace\":\"/\"}}]"));
    sockets
        .emit("ui", 2, "say", &[said.clone(), said], false)
        .await
        .unwrap();
    // A step may take it, and cannot take what is none.
    assert!(sockets.expect("ui", 3, PACKET, BUSY).await.unwrap().is_some());
    sockets.emit("ui", 4, "say", &[json!("6")], false).await.unwrap();
    assert_eq!(sockets.silence("ui", 5, TRANSPORT, false, BUSY).await, Ok(None));
    let (_, heard) = sockets.finish().await;
    let names: Vec<_> = events(&heard).into_iter().map(|(name, _)| name).collect();
    let real = format!("<event>{PACKET}");
    assert_eq!(names, [&real, &real, TRANSPORT, "farewell"]);
}

#[tokio::test]
async fn how_a_session_was_opened_is_kept() {
    const ODD: &str = r#"0{"sid":"e", "pingInterval":1000,"pingTimeout":20000}"#;
    let mut shown = Vec::new();
    for open in [OPEN, ODD] {
        let mut sockets = Sockets::default();
        let options = server_that_opens(Barriers::All, open, &[]).await;
        sockets.connect("ui", &options, 1).await;
        let (_, heard) = sockets.finish().await;
        shown.push(
            serde_json::to_value(&heard[0]).unwrap()["opened"]
                .take()
                .to_string(),
        );
    }
    assert_eq!(
        shown,
        [
            r#"{"over":"websocket","says":{"sid":"<20 characters>","upgrades":[],"pingTimeout":20000,"pingInterval":25000,"maxPayload":1000000},"written":"compact"}"#,
            r#"{"over":"websocket","says":{"sid":"<1 characters>","pingInterval":1000,"pingTimeout":20000},"written":"{\"sid\":\"*\", \"pingInterval\":0,\"pingTimeout\":0}"}"#,
        ]
    );
}

#[tokio::test]
async fn a_refused_connection_is_no_failed_step() {
    let mut options = server(Barriers::All).await;
    options.transports.clear();
    let mut sockets = Sockets::default();
    assert!(matches!(
        sockets.connect("ui", &options, 1).await,
        Seen::Connected {
            connected: false,
            error: Some(_)
        }
    ));
}

#[test]
fn a_machine_on_which_the_start_took_long_is_given_more_time() {
    for (start_ms, background_s) in [(90, 3), (800, 8), (90_000, 30)] {
        let sockets = Sockets::new(false, Duration::from_millis(start_ms));
        assert_eq!(sockets.patience.background.as_secs(), background_s);
    }
    let live = Sockets::new(true, Duration::from_secs(9));
    assert_eq!(
        live.patience.background.as_secs(),
        10,
        "others start for other reasons"
    );
}
