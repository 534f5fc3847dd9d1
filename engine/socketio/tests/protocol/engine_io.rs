//! Engine.IO 4, packet by packet over real sockets, against the server of `examples/echo.rs`.

use clap::Parser as _;
use tokio::io::AsyncReadExt as _;

use crate::{echo, support::Server};

const OPEN: &str = "EIO=4&transport=polling";

async fn server(options: &[&str]) -> Server {
    let all = ["echo", "--protocol", "engine.io"].iter().chain(options);
    let options = echo::Options::parse_from(all);
    Server::start(echo::routes(&options), "/engine.io/").await
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[tokio::test]
async fn a_handshake_says_how_the_server_works() {
    let server = server(&["--ping-interval", "300", "--ping-timeout", "200"]).await;
    let (status, polled) = server.http("GET", OPEN, "").await;
    assert_eq!(status, 200);
    let mut socket = server.websocket("EIO=4&transport=websocket").await.unwrap();
    let mut ids = Vec::new();
    for (open, upgrades) in [(polled, vec!["websocket"]), (socket.text().await, vec![])] {
        let open: serde_json::Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let sid = open["sid"].as_str().unwrap().to_owned();
        let expected = serde_json::json!({
            "sid": sid,
            "upgrades": upgrades,
            "pingInterval": 300,
            "pingTimeout": 200,
            "maxPayload": 1_000_000,
        });
        assert_eq!(open, expected);
        ids.push(sid);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_handshake_that_asks_for_something_else_is_refused() {
    let server = server(&[]).await;
    for (method, query) in [
        ("GET", "transport=polling"),
        ("GET", "EIO=&transport=polling"),
        ("GET", "EIO=3&transport=polling"),
        ("GET", "EIO=abc&transport=polling"),
        ("GET", "EIO=4"),
        ("GET", "EIO=4&transport=abc"),
        ("GET", "EIO=4&transport=websocket"),
        ("GET", "EIO=4&transport=polling&sid=unknown"),
        ("POST", OPEN),
        ("POST", "EIO=4&transport=polling&sid=unknown"),
        ("PUT", OPEN),
        ("DELETE", OPEN),
        ("OPTIONS", OPEN),
    ] {
        let (status, _) = server.http(method, query, "").await;
        assert_eq!(status, 400, "{method} {query}");
    }
    for query in [
        "transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=websocket&sid=unknown",
    ] {
        assert!(server.websocket(query).await.is_none(), "{query}");
    }
    let (status, _) = Server::start(echo::routes(&echo::Options::parse_from(["echo"])), "/other/")
        .await
        .http("GET", OPEN, "")
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn messages_come_back_by_polling_in_their_order() {
    let server = server(&[]).await;
    let query = server.poller().await;
    for body in [
        "4hello",
        "4",
        "4\u{e9}\u{1f600}",
        "4one\u{1e}4two\u{1e}4three",
        "4hello\u{1e}bAQIDBA==\u{1e}b",
    ] {
        assert_eq!(server.http("POST", &query, body).await, answer(200, "ok"));
        assert_eq!(server.http("GET", &query, "").await, answer(200, body));
    }
    // A poll waits for what comes.
    let (polled, posted) = tokio::join!(
        server.http("GET", &query, ""),
        server.http("POST", &query, "4later")
    );
    assert_eq!((polled, posted), (answer(200, "4later"), answer(200, "ok")));
}

#[tokio::test]
async fn messages_come_back_over_a_websocket_in_their_order() {
    let server = server(&[]).await;
    let mut socket = server.open().await;
    for number in 0..1000 {
        socket.send(&format!("4{number}")).await;
    }
    for number in 0..1000 {
        assert_eq!(socket.text().await, format!("4{number}"));
    }
    socket.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(socket.binary().await, [1, 2, 3, 4]);
    let long = format!("4{}", "x".repeat(900_000));
    socket.send(&long).await;
    assert_eq!(socket.text().await, long);
}

#[tokio::test]
async fn malformed_packets_close_the_connection() {
    let server = server(&["--max-payload", "1000"]).await;
    let long = format!("4{}", "x".repeat(1000));
    for body in [
        "abc",
        "",
        "\u{1e}",
        "4x\u{1e}",
        "4x\u{1e}abc",
        "b===",
        "0",
        "2",
        "5",
        "6",
        "7",
        "d=4x",
        &long,
    ] {
        let query = server.poller().await;
        assert_eq!(server.http("POST", &query, body).await.0, 400, "{body:?}");
        assert_eq!(server.http("GET", &query, "").await.0, 400, "{body:?}");
    }
    for frame in ["abc", "", "b===", "0", "2", "5", "6", "7", &long] {
        let mut socket = server.open().await;
        socket.send(frame).await;
        assert!(socket.ends().await, "{frame:?}");
    }
}

#[tokio::test]
async fn a_second_poll_closes_the_connection() {
    let server = server(&[]).await;
    let query = server.poller().await;
    let (one, other) = tokio::join!(server.http("GET", &query, ""), server.http("GET", &query, ""));
    let mut answers = [one, other];
    answers.sort();
    assert_eq!(answers[0], answer(200, "1"));
    assert_eq!(answers[1].0, 400);
    assert_eq!(server.http("POST", &query, "4x").await.0, 400);
}

#[tokio::test]
async fn a_poll_whose_client_hangs_up_closes_the_connection() {
    let server = server(&[]).await;
    let query = server.poller().await;
    drop(server.begin("GET", &query, "").await);
    // The next one may come before the server knows.
    let (status, body) = server.http("GET", &query, "").await;
    assert!(status == 400 || body == "1", "{status} {body}");
    assert_eq!(server.http("GET", &query, "").await.0, 400);
}

#[tokio::test]
async fn pings_come_and_pongs_keep_the_connection() {
    let server = server(&["--ping-interval", "50", "--ping-timeout", "30000"]).await;
    let query = server.poller().await;
    let mut socket = server.open().await;
    for _ in 0..3 {
        assert_eq!(server.http("GET", &query, "").await, answer(200, "2"));
        assert_eq!(server.http("POST", &query, "3").await, answer(200, "ok"));
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
    }
}

#[tokio::test]
async fn whoever_does_not_answer_pings_ends() {
    let server = server(&["--ping-interval", "50", "--ping-timeout", "50"]).await;
    let query = server.poller().await;
    let socket = server.open().await;
    assert!(socket.ends().await);
    assert_eq!(server.http("GET", &query, "").await.0, 400);
    // A poll that waits hears of it; on a busy machine one may come too late even for its ping.
    let query = loop {
        let query = server.poller().await;
        match server.http("GET", &query, "").await {
            (400, _) => {}
            pinged => {
                assert_eq!(pinged, answer(200, "2"));
                break query;
            }
        }
    };
    assert_eq!(server.http("GET", &query, "").await.0, 400);
}

#[tokio::test]
async fn clients_close_their_connections() {
    let server = server(&[]).await;
    for _ in 0..20 {
        let query = server.poller().await;
        // Whichever comes first: the poll is let go, and the next one finds nobody.
        let (polled, posted) = tokio::join!(server.http("GET", &query, ""), server.http("POST", &query, "1"));
        assert_eq!((polled, posted), (answer(200, "6"), answer(200, "ok")));
        assert_eq!(server.http("GET", &query, "").await.0, 400);
        assert_eq!(server.http("POST", &query, "4x").await.0, 400);
    }
    let mut socket = server.open().await;
    socket.send("1").await;
    assert!(socket.ends().await);
}

#[tokio::test]
async fn a_client_moves_from_polling_to_a_websocket() {
    let server = server(&[]).await;
    let query = server.poller().await;
    let mut waiting = server.begin("GET", &query, "").await;
    let to_websocket = query.replace("polling", "websocket");
    let mut socket = server.websocket(&to_websocket).await.unwrap();
    // Until it has moved, messages go by polling.
    assert_eq!(server.http("POST", &query, "4early").await.0, 200);
    let mut early = String::new();
    waiting.read_to_string(&mut early).await.unwrap();
    assert!(early.ends_with("\r\n4early"), "{early}");
    let mut waiting = server.begin("GET", &query, "").await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    let mut released = String::new();
    waiting.read_to_string(&mut released).await.unwrap();
    assert!(released.ends_with("\r\n6"), "{released}");
    assert_eq!(server.http("GET", &query, "").await, answer(200, "6"));
    socket.send("5").await;
    socket.send("4hello").await;
    assert_eq!(socket.text().await, "4hello");
    // Nothing else speaks for it any more.
    assert_eq!(server.http("GET", &query, "").await.0, 400);
    assert_eq!(server.http("POST", &query, "4x").await.0, 400);
    assert!(server.websocket(&to_websocket).await.is_none());
    socket.send("4still here").await;
    assert_eq!(socket.text().await, "4still here");
}

#[tokio::test]
async fn a_websocket_that_does_not_work_leaves_the_client_polling() {
    let server = server(&[]).await;
    let query = server.poller().await;
    let to_websocket = query.replace("polling", "websocket");
    for sent in [&["2wrong"][..], &["4x"], &["2probe", "4x"]] {
        let mut socket = server.websocket(&to_websocket).await.unwrap();
        for packet in sent {
            socket.send(packet).await;
        }
        assert!(socket.ends().await, "{sent:?}");
    }
    assert_eq!(server.http("POST", &query, "4hello").await, answer(200, "ok"));
    assert_eq!(server.http("GET", &query, "").await, answer(200, "4hello"));
}
