//! Parity's Socket.IO client against socketioxide, which shares nothing with the engine's own server: what both ends of this
//! project got wrong alike would show here. In-process, on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed assumption is a failed test"
)]

#[path = "../examples/peer.rs"]
mod peer;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Bytes;
use clap::Parser as _;
use parity::socket_io::{
    Client, CloseReason, ConnectError, ConnectOptions, Incoming, Limits, Stray, Transport, binary,
};
use serde_json::{Value, json};
use socketioxide::{
    SocketIo, TransportType,
    extract::{AckSender, Data, SocketRef},
    handler::ConnectHandler as _,
    socket::DisconnectReason,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

const WAYS: [&[Transport]; 3] = [
    &[Transport::WebSocket],
    &[Transport::Polling],
    &[Transport::Polling, Transport::WebSocket],
];

/// socketioxide at work.
struct Peer {
    address: SocketAddr,
    io: SocketIo,
}

impl Peer {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(flags: &[&str]) -> Self {
        let options = peer::Options::parse_from(["peer"].iter().chain(flags));
        let (routes, io) = peer::server(&options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, io }
    }

    fn options(&self, way: &[Transport]) -> ConnectOptions {
        ConnectOptions {
            transports: way.to_vec(),
            limits: Limits {
                connect: PATIENCE,
                disconnect: PATIENCE,
                ..Limits::default()
            },
            ..ConnectOptions::websocket(self.address)
        }
    }

    /// A client that has entered and been told `auth`, and the server's end of it.
    async fn connect(&self, way: &[Transport]) -> (Client, SocketRef) {
        let mut client = Client::connect(&self.options(way)).await.unwrap();
        assert_eq!(next(&mut client).await, event("auth", &[json!({})]), "{way:?}");
        let socket = self.io.get_socket(client.sid().parse().unwrap()).unwrap();
        (client, socket)
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

async fn next(client: &mut Client) -> Incoming {
    soon(client.next()).await
}

fn event(name: &str, arguments: &[Value]) -> Incoming {
    Incoming::Event {
        id: None,
        name: name.to_owned(),
        arguments: arguments.to_vec(),
    }
}

fn acknowledged(id: u64, arguments: &[Value]) -> Incoming {
    Incoming::Ack {
        id,
        arguments: arguments.to_vec(),
    }
}

/// The id under which this event wants to be acknowledged.
fn asked_for(incoming: Incoming, event: &str, with: &[Value]) -> u64 {
    match incoming {
        Incoming::Event {
            id: Some(id),
            name,
            arguments,
        } if name == event && arguments == with => id,
        other => panic!("{other:?} in place of {event} that asks for an acknowledgement"),
    }
}

#[tokio::test]
async fn what_a_client_shows_at_the_door_arrives() {
    let peer = Peer::start().await;
    for way in WAYS {
        let shown = json!({"token": "\u{e9}\u{1f512}", "roles": [1, null, true]});
        let options = ConnectOptions {
            auth: Some(shown.clone()),
            query: "who=agent&x=1".to_owned(),
            headers: vec![("X-Test".to_owned(), "1".to_owned())],
            ..peer.options(way)
        };
        let mut client = Client::connect(&options).await.unwrap();
        assert_eq!(next(&mut client).await, event("auth", &[shown]), "{way:?}");
        let socket = peer.io.get_socket(client.sid().parse().unwrap()).unwrap();
        let request = socket.req_parts();
        assert!(request.uri.query().unwrap().contains("who=agent&x=1"), "{way:?}");
        assert_eq!(request.headers["x-test"], "1", "{way:?}");
    }
}

#[tokio::test]
async fn a_refused_client_is_told_why() {
    let peer = Peer::start().await;
    peer.io.delete_ns("/");
    let refuse = async |Data::<Value>(shown)| match shown["token"].as_str() {
        Some("right") => Ok(()),
        _ => Err("not with that token"),
    };
    peer.io
        .ns("/", (async |socket: SocketRef| drop(socket)).with(refuse));
    for way in WAYS {
        let mut options = peer.options(way);
        options.auth = Some(json!({"token": "wrong"}));
        let refused = ConnectError::Namespace(json!({"message": "not with that token"}));
        assert_eq!(Client::connect(&options).await.unwrap_err(), refused, "{way:?}");
        options.auth = Some(json!({"token": "right"}));
        assert!(Client::connect(&options).await.is_ok(), "{way:?}");
    }
}

#[tokio::test]
async fn events_and_acknowledgements_come_back_by_every_transport() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (mut client, _socket) = peer.connect(way).await;
        for argument in [
            json!(null),
            json!({"text": "\u{e9} \u{1e} \u{1f512} \"\\", "list": [1, -2.5, [], {}], "none": null}),
            json!("451-[\"looks like a packet\",{\"_placeholder\":true}]"),
        ] {
            client
                .emit("message", std::slice::from_ref(&argument))
                .await
                .unwrap();
            assert_eq!(
                next(&mut client).await,
                event("message-back", std::slice::from_ref(&argument)),
                "{way:?}"
            );
            let id = client
                .emit_with_ack("message-with-ack", std::slice::from_ref(&argument))
                .await
                .unwrap();
            assert_eq!(next(&mut client).await, acknowledged(id, &[argument]), "{way:?}");
        }
    }
}

#[tokio::test]
async fn several_arguments_and_none_keep_their_number() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (mut client, socket) = peer.connect(way).await;
        socket.on(
            "two",
            async |Data::<(Value, Value)>((one, two)), ack: AckSender| {
                let _ = ack.send(&(two, one));
            },
        );
        socket.on("none", async |ack: AckSender| {
            let _ = ack.send::<[u8; 0]>(&[]);
        });
        let two = client
            .emit_with_ack("two", &[json!(1), json!([2])])
            .await
            .unwrap();
        assert_eq!(
            next(&mut client).await,
            acknowledged(two, &[json!([2]), json!(1)]),
            "{way:?}"
        );
        let none = client.emit_with_ack("none", &[]).await.unwrap();
        assert_eq!(next(&mut client).await, acknowledged(none, &[]), "{way:?}");
        socket.emit("pair", &(json!(null), json!("b"))).unwrap();
        assert_eq!(
            next(&mut client).await,
            event("pair", &[json!(null), json!("b")]),
            "{way:?}"
        );
    }
}

#[tokio::test]
async fn an_event_that_asks_for_an_acknowledgement_gets_it() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (mut client, socket) = peer.connect(way).await;
        let asked = socket
            .emit_with_ack::<_, (String, Value)>("run", &json!({"script": "x"}))
            .unwrap();
        let id = asked_for(next(&mut client).await, "run", &[json!({"script": "x"})]);
        let answer = (json!("done"), json!({"code": 0}));
        client
            .acknowledge(id, &[answer.0.clone(), answer.1.clone()])
            .await
            .unwrap();
        assert_eq!(
            soon(asked).await.unwrap(),
            ("done".to_owned(), answer.1),
            "{way:?}"
        );

        let asked = socket.emit_with_ack::<_, [Value; 0]>("noted", &1).unwrap();
        let id = asked_for(next(&mut client).await, "noted", &[json!(1)]);
        client.acknowledge(id, &[]).await.unwrap();
        assert!(soon(asked).await.is_ok(), "{way:?}");

        let asked = socket.emit_with_ack::<_, Bytes>("picture", &2).unwrap();
        let id = asked_for(next(&mut client).await, "picture", &[json!(2)]);
        client.acknowledge(id, &[binary::value(&[0, 255])]).await.unwrap();
        assert_eq!(soon(asked).await.unwrap(), vec![0, 255], "{way:?}");
    }
}

#[tokio::test]
async fn attachments_go_both_ways() {
    let peer = Peer::start().await;
    let (one, two) = (vec![0_u8, 1, 30, 255], vec![7_u8; 70_000]);
    for way in WAYS {
        let (mut client, socket) = peer.connect(way).await;
        socket.on(
            "swap",
            async |socket: SocketRef, Data::<(Bytes, String, Bytes)>((one, text, two)), ack: AckSender| {
                socket.emit("swapped", &(&two, &text, &one)).unwrap();
                ack.send(&two).unwrap();
            },
        );
        let arguments = [binary::value(&one), json!("between"), binary::value(&two)];
        let id = client.emit_with_ack("swap", &arguments).await.unwrap();
        let [one, text, two] = arguments;
        assert_eq!(
            next(&mut client).await,
            event("swapped", &[two.clone(), text, one]),
            "{way:?}"
        );
        assert_eq!(next(&mut client).await, acknowledged(id, &[two]), "{way:?}");
    }
}

#[tokio::test]
async fn other_namespaces_are_refused_or_keep_to_themselves() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (mut client, _socket) = peer.connect(way).await;
        client.ask_for_namespace("/unknown").await.unwrap();
        let refused = Incoming::Refused {
            namespace: "/unknown".to_owned(),
        };
        assert_eq!(next(&mut client).await, refused, "{way:?}");

        client.ask_for_namespace("/custom").await.unwrap();
        let custom = || peer.io.of("/custom").unwrap();
        soon(async {
            while custom().sockets().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Its own `auth`, an attachment and its end say nothing about `/`, and are shown as what they are.
        custom()
            .emit("picture", &(Bytes::from_static(&[1]),))
            .await
            .unwrap();
        custom().disconnect().await.unwrap();
        let event = |name: &str, with: Value| json!({ "namespace": "/custom", "event": name, "arguments": [with], "asks": false });
        for says in [
            json!({ "namespace": "/custom", "joined": { "sid": "<16 characters>" } }),
            event("auth", json!({})),
            event("picture", binary::value(&[1])),
            json!({ "namespace": "/custom", "left": true }),
        ] {
            let kind = Stray::Packet;
            assert_eq!(next(&mut client).await, Incoming::Stray { kind, says }, "{way:?}");
        }
        client.emit("message", &[json!(1)]).await.unwrap();
        assert_eq!(
            next(&mut client).await,
            self::event("message-back", &[json!(1)]),
            "{way:?}"
        );
    }
}

#[tokio::test]
async fn a_client_uses_the_transport_that_was_asked_for() {
    let peer = Peer::start().await;
    for (way, transport) in WAYS.into_iter().zip([
        TransportType::Websocket,
        TransportType::Polling,
        TransportType::Websocket,
    ]) {
        let (_client, socket) = peer.connect(way).await;
        assert_eq!(socket.transport_type(), transport, "{way:?}");
    }
}

#[tokio::test]
async fn what_is_sent_during_an_upgrade_arrives_in_order() {
    let peer = Peer::start().await;
    peer.io.delete_ns("/");
    peer.io.ns("/", async |socket: SocketRef| {
        for number in 0..100 {
            socket.emit("number", &number).unwrap();
        }
    });
    for way in WAYS {
        let mut client = Client::connect(&peer.options(way)).await.unwrap();
        for number in 0..100 {
            assert_eq!(
                next(&mut client).await,
                event("number", &[json!(number)]),
                "{way:?}"
            );
        }
    }
}

#[tokio::test]
async fn order_is_kept_both_ways() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (mut client, socket) = peer.connect(way).await;
        let handled = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&handled);
        // Handlers are tasks; on one thread they run in the order in which they were started.
        socket.on("number", move |Data::<u64>(number)| {
            noted.lock().unwrap().push(number);
            std::future::ready(())
        });
        for number in 0..1000 {
            client.emit("number", &[json!(number)]).await.unwrap();
        }
        let last = client
            .emit_with_ack("message-with-ack", &[json!("last")])
            .await
            .unwrap();
        assert_eq!(next(&mut client).await, acknowledged(last, &[json!("last")]));
        assert_eq!(*handled.lock().unwrap(), (0..1000).collect::<Vec<_>>(), "{way:?}");
        // Fewer at a time than its buffer takes.
        for round in 0..10 {
            for number in 0..100 {
                socket.emit("number", &(round * 100 + number)).unwrap();
            }
            for number in 0..100 {
                let number = json!(round * 100 + number);
                assert_eq!(next(&mut client).await, event("number", &[number]), "{way:?}");
            }
        }
    }
}

#[tokio::test]
async fn large_messages_pass_whole_and_larger_ones_end_the_connection() {
    let peer = Peer::start_with(&["--max-payload", "3000000"]).await;
    for way in WAYS {
        let (mut client, socket) = peer.connect(way).await;
        let text = json!("\u{e9}x".repeat(900_000));
        client.emit("message", std::slice::from_ref(&text)).await.unwrap();
        assert_eq!(next(&mut client).await, event("message-back", &[text]), "{way:?}");
        socket.emit("more", &"y".repeat(10_000_000)).unwrap();
        assert_eq!(
            next(&mut client).await,
            event("more", &[json!("y".repeat(10_000_000))]),
            "{way:?}"
        );
        client
            .emit("message", &[json!("z".repeat(4_000_000))])
            .await
            .unwrap();
        let Incoming::Closed(reason) = next(&mut client).await else {
            panic!("{way:?}: the end")
        };
        assert_ne!(reason, CloseReason::Client, "{way:?}");
    }
}

#[tokio::test]
async fn a_client_that_the_server_sends_away_knows_it() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (mut client, socket) = peer.connect(way).await;
        socket.emit("last", &()).unwrap();
        socket.disconnect().unwrap();
        assert_eq!(next(&mut client).await, event("last", &[json!(null)]), "{way:?}");
        assert_eq!(
            next(&mut client).await,
            Incoming::Closed(CloseReason::Disconnected),
            "{way:?}"
        );
        assert_eq!(
            client.emit("late", &[]).await,
            Err(CloseReason::Disconnected),
            "{way:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_stops_is_noticed() {
    for way in WAYS {
        let peer = Peer::start().await;
        let (mut client, _socket) = peer.connect(way).await;
        soon(peer.io.close()).await;
        let Incoming::Closed(reason) = next(&mut client).await else {
            panic!("{way:?}: the end")
        };
        assert_ne!(reason, CloseReason::Silent, "{way:?}");
    }
}

#[tokio::test]
async fn the_server_sees_how_a_client_left() {
    let peer = Peer::start().await;
    for way in WAYS {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (client, socket) = peer.connect(way).await;
        socket.on_disconnect(async move |reason: DisconnectReason| tell.send(reason).unwrap());
        client.disconnect().await;
        assert_eq!(
            soon(told.recv()).await,
            Some(DisconnectReason::ClientNSDisconnect),
            "{way:?}"
        );
    }
}

/// Passes everything on, and tells what came from the server.
async fn relay(server: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                    let _ = tell.send(buffer[..count].to_vec());
                    if to_client.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (address, told)
}

#[tokio::test]
async fn pings_are_answered_by_every_transport() {
    // A ping follows only once the one before was answered: the third tells of two pongs.
    let peer = Peer::start_with(&["--ping-interval", "20", "--ping-timeout", "30000"]).await;
    for way in WAYS {
        let (address, mut told) = relay(peer.address).await;
        let options = ConnectOptions {
            server: address.into(),
            ..peer.options(way)
        };
        let mut client = Client::connect(&options).await.unwrap();
        let by_polling = way == [Transport::Polling];
        let mut heard: Vec<u8> = Vec::new();
        let pings = |heard: &[u8]| match by_polling {
            true => heard.windows(5).filter(|part| part == b"\r\n\r\n2").count(),
            // A text frame of one byte.
            false => heard.windows(3).filter(|part| *part == [0x81, 1, b'2']).count(),
        };
        while pings(&heard) < 3 {
            heard.extend(soon(told.recv()).await.unwrap());
        }
        client.emit("message", &[json!(1)]).await.unwrap();
        assert_eq!(next(&mut client).await, event("auth", &[json!({})]), "{way:?}");
        assert_eq!(
            next(&mut client).await,
            event("message-back", &[json!(1)]),
            "{way:?}"
        );
    }
}
