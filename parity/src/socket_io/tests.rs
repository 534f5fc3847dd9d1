use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

use super::*;
use crate::{
    scenario::model::Scenario,
    target::{Beginning, Target as _, embedded::Embedded},
};

type Peer = WebSocketStream<tokio::net::TcpStream>;

/// A server for one websocket client, which joins the namespace first; then the script goes on.
async fn server<F>(script: impl FnOnce(Peer) -> F + Send + 'static) -> (ConnectOptions, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    server_with_patience(20_000, script).await
}

async fn server_with_patience<F>(
    milliseconds: u32,
    script: impl FnOnce(Peer) -> F + Send + 'static,
) -> (ConnectOptions, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let open =
        format!("0{{\"sid\":\"e\",\"upgrades\":[],\"pingTimeout\":{milliseconds},\"pingInterval\":0}}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ConnectOptions::websocket(listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut peer = accept_async(listener.accept().await.unwrap().0).await.unwrap();
        say(&mut peer, &open).await;
        assert_eq!(hear(&mut peer).await, Message::text("40"));
        say(&mut peer, "40{\"sid\":\"s\"}").await;
        script(peer).await;
    });
    (options, task)
}

async fn say(peer: &mut Peer, text: &str) {
    peer.send(Message::text(text)).await.unwrap();
}

async fn hear(peer: &mut Peer) -> Message {
    peer.next().await.unwrap().unwrap()
}

fn event(name: &str, arguments: &[Value]) -> Incoming {
    Incoming::Event {
        id: None,
        name: name.to_owned(),
        arguments: arguments.to_vec(),
    }
}

#[tokio::test]
async fn events_and_acknowledgements_come_in_the_order_of_arrival() {
    let (options, server) = server(async |mut peer| {
        assert_eq!(hear(&mut peer).await, Message::text("42[\"none\"]"));
        assert_eq!(hear(&mut peer).await, Message::text("420[\"two\",null,1]"));
        assert_eq!(
            hear(&mut peer).await,
            Message::text("451-1[\"image\",{\"_placeholder\":true,\"num\":0}]")
        );
        assert_eq!(hear(&mut peer).await, Message::binary(vec![0, 1]));
        say(&mut peer, "42[\"first\"]").await;
        say(&mut peer, "430[]").await;
        say(&mut peer, "451-[\"second\",{\"_placeholder\":true,\"num\":0},2]").await;
        peer.send(Message::binary(vec![7])).await.unwrap();
        say(&mut peer, "431[1.50,null]").await;
        let _ = peer.next().await;
    })
    .await;
    let mut client = Client::connect(&options).await.unwrap();
    assert_eq!(client.sid(), "s");
    client.emit("none", &[]).await.unwrap();
    assert_eq!(client.emit_with_ack("two", &[json!(null), json!(1)]).await, Ok(0));
    assert_eq!(
        client.emit_with_ack("image", &[binary::value(&[0, 1])]).await,
        Ok(1)
    );
    assert_eq!(client.next().await, event("first", &[]));
    assert_eq!(
        client.next().await,
        Incoming::Ack {
            id: 0,
            arguments: vec![]
        }
    );
    assert_eq!(
        client.next().await,
        event("second", &[binary::value(&[7]), json!(2)])
    );
    let Incoming::Ack { id: 1, arguments } = client.next().await else {
        panic!("an acknowledgement")
    };
    assert_eq!(arguments[0].to_string(), "1.50", "numbers keep their text");
    drop(client);
    server.await.unwrap();
}

/// Sends work, and tells once the client has answered the ping behind it.
async fn send_work(peer: &mut Peer, told: tokio::sync::oneshot::Sender<()>) {
    say(peer, "42[\"work\",1]").await;
    say(peer, "2").await;
    assert_eq!(hear(peer).await, Message::text("3"));
    told.send(()).unwrap();
}

#[tokio::test]
async fn what_was_answered_for_and_not_looked_at_comes_back_at_the_end() {
    let (told, answered) = tokio::sync::oneshot::channel();
    let (options, server) = server(async |mut peer| {
        send_work(&mut peer, told).await;
        assert_eq!(hear(&mut peer).await, Message::text("41"));
        say(&mut peer, "42[\"late\"]").await;
        let _ = peer.next().await;
    })
    .await;
    let client = Client::connect(&options).await.unwrap();
    answered.await.unwrap();
    let left = client.disconnect().await;
    assert!(
        left.starts_with(&[event("work", &[json!(1)])]),
        "the server was told that it has come: {left:?}"
    );
    server.await.unwrap();
}

#[tokio::test]
async fn what_had_come_before_the_cable_was_cut_is_not_lost() {
    let (told, answered) = tokio::sync::oneshot::channel();
    let (options, server) = server(async |mut peer| {
        send_work(&mut peer, told).await;
        // No good-bye comes.
        assert!(!matches!(peer.next().await, Some(Ok(Message::Text(_)))));
    })
    .await;
    let client = Client::connect(&options).await.unwrap();
    answered.await.unwrap();
    assert_eq!(client.cut().await, [event("work", &[json!(1)])]);
    server.await.unwrap();
}

#[tokio::test]
async fn pings_are_answered_and_closing_tells_why() {
    let (options, server) = server(async |mut peer| {
        say(&mut peer, "2").await;
        assert_eq!(hear(&mut peer).await, Message::text("3"));
        say(&mut peer, "42[\"last\"]").await;
        say(&mut peer, "41").await;
    })
    .await;
    let mut client = Client::connect(&options).await.unwrap();
    assert_eq!(client.next().await, event("last", &[]));
    assert_eq!(client.next().await, Incoming::Closed(CloseReason::Disconnected));
    assert_eq!(
        client.try_next(),
        Some(Incoming::Closed(CloseReason::Disconnected))
    );
    assert_eq!(client.emit("late", &[]).await, Err(CloseReason::Disconnected));
    server.await.unwrap();
}

#[tokio::test]
async fn a_ping_that_comes_while_much_waits_to_be_sent_is_answered_after_it() {
    let (full, is_full) = tokio::sync::oneshot::channel();
    let (options, server) = server(async |mut peer| {
        // Until then it reads nothing.
        is_full.await.unwrap();
        say(&mut peer, "2").await;
        say(&mut peer, "42[\"after\"]").await;
        while hear(&mut peer).await != Message::text("3") {}
    })
    .await;
    let mut client = Client::connect(&options).await.unwrap();
    let much = [json!("x".repeat(65_536))];
    let mut waited = 0;
    while waited < 1000 {
        match client.emit("much", &much).now_or_never() {
            Some(sent) => {
                sent.unwrap();
                waited = 0;
            }
            None => {
                waited += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    full.send(()).unwrap();
    assert_eq!(client.next().await, event("after", &[]));
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_falls_silent_is_reported() {
    let (options, _server) = server_with_patience(2000, async |peer| {
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    let mut client = Client::connect(&options).await.unwrap();
    assert_eq!(client.next().await, Incoming::Closed(CloseReason::Silent));
}

#[tokio::test]
async fn a_server_that_dies_is_reported() {
    let (options, server) = server(async |peer| drop(peer)).await;
    let mut client = Client::connect(&options).await.unwrap();
    assert!(matches!(
        client.next().await,
        Incoming::Closed(CloseReason::Broken(_))
    ));
    server.await.unwrap();
    assert!(matches!(
        Client::connect(&options).await,
        Err(ConnectError::Closed(CloseReason::Unreachable(_)))
    ));
}

#[tokio::test]
async fn more_than_the_bounds_allow_closes_the_connection() {
    let (mut options, server) = server(async |mut peer| {
        for _ in 0..64 {
            // The client may have gone already.
            let _ = peer.send(Message::text("42[\"much\"]")).await;
        }
    })
    .await;
    options.limits.packets = 4;
    let mut client = Client::connect(&options).await.unwrap();
    server.await.unwrap();
    let mut events = 0;
    let reason = loop {
        tokio::task::yield_now().await;
        if events == 0 && client.emit("?", &[]).await.is_ok() {
            continue;
        }
        match client.next().await {
            Incoming::Closed(reason) => break reason,
            _ => events += 1,
        }
    };
    assert_eq!((events, reason), (4, CloseReason::Overflow));
}

/// The engine, as scenarios run over it.
async fn engine() -> Embedded {
    let scenario = "format: 2\ntitle: T\narea: A\nstarted_at: 1800000000\nsteps:\n  - get: /health\n";
    let scenario = Scenario::read("realtime/client", scenario).unwrap();
    let beginning = Beginning {
        scenario: &scenario,
        files: &[],
        github: "http://127.0.0.1:9",
    };
    Embedded::start(beginning).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_reaches_the_engine_and_sees_its_end() {
    let mut engine = engine().await;
    let ways = [
        vec![Transport::WebSocket],
        vec![Transport::Polling],
        vec![Transport::Polling, Transport::WebSocket],
    ];
    let mut clients = Vec::new();
    for transports in ways {
        let options = ConnectOptions {
            transports,
            query: "who=agent&x=1".to_owned(),
            headers: vec![("X-Test".to_owned(), "1".to_owned())],
            ..ConnectOptions::websocket(engine.endpoint().unwrap().address().unwrap())
        };
        let leaving = Client::connect(&options).await.unwrap();
        assert!(!leaving.sid().is_empty());
        leaving.disconnect().await;
        clients.push(Client::connect(&options).await.unwrap());
    }
    engine.stop().await;
    for client in &mut clients {
        assert!(matches!(client.next().await, Incoming::Closed(_)));
    }
}

#[tokio::test]
async fn refusals_are_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = ConnectOptions::websocket(listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let mut stream = listener.accept().await.unwrap().0;
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nnope";
            stream.write_all(answer).await.unwrap();
        }
    });
    let refused = CloseReason::Refused {
        status: 400,
        body: "nope".to_owned(),
    };
    for transport in [Transport::WebSocket, Transport::Polling] {
        options.transports = vec![transport];
        let error = Client::connect(&options).await.unwrap_err();
        assert_eq!(error, ConnectError::Closed(refused.clone()));
    }
    options.transports = Vec::new();
    assert!(matches!(
        Client::connect(&options).await,
        Err(ConnectError::Unusable(_))
    ));
}
