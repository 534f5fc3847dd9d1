//! Socket.IO 5, packet by packet over real sockets, against the server of `examples/echo.rs`.

use clap::Parser as _;

use crate::{
    echo,
    support::{Server, Socket},
};

async fn server(options: &[&str]) -> Server {
    let options = echo::Options::parse_from(["echo"].iter().chain(options));
    Server::start(echo::routes(&options), "/socket.io/").await
}

/// A websocket in the main namespace.
async fn connected(server: &Server) -> Socket {
    let mut socket = server.open().await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{\"sid\":\""));
    assert_eq!(socket.text().await, "42[\"auth\",{}]");
    socket
}

fn placeholder(number: usize) -> String {
    format!("{{\"_placeholder\":true,\"num\":{number}}}")
}

#[tokio::test]
async fn clients_enter_namespaces_with_what_they_show() {
    let server = server(&[]).await;
    let mut socket = server.open().await;
    let mut ids = Vec::new();
    for (sent, namespace, auth) in [
        ("40", "", "{}"),
        ("40/custom,{\"token\":\"abc\"}", "/custom,", "{\"token\":\"abc\"}"),
    ] {
        socket.send(sent).await;
        let entered = socket.text().await;
        let json = entered.strip_prefix(&format!("40{namespace}")).unwrap();
        let entered: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(entered.as_object().unwrap().len(), 1);
        ids.push(entered["sid"].as_str().unwrap().to_owned());
        assert_eq!(socket.text().await, format!("42{namespace}[\"auth\",{auth}]"));
    }
    assert_ne!(ids[0], ids[1]);
    for (sent, refused) in [
        ("40/random", "44/random,{\"message\":\"Invalid namespace\"}"),
        ("40/random,{}", "44/random,{\"message\":\"Invalid namespace\"}"),
        ("40", "44{\"message\":\"Already connected\"}"),
    ] {
        socket.send(sent).await;
        assert_eq!(socket.text().await, refused);
    }
    socket.send("42[\"message\",1]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",1]");
}

#[tokio::test]
async fn whoever_enters_no_namespace_ends() {
    let server = server(&["--connect-timeout", "100"]).await;
    // On a busy machine one may come too late.
    let entered = loop {
        let mut socket = server.open().await;
        socket.send("40").await;
        if socket.next().await.is_some() {
            assert_eq!(socket.text().await, "42[\"auth\",{}]");
            break socket;
        }
    };
    let mut refused = server.open().await;
    refused.send("40/random").await;
    let idle = server.open().await;
    let polling = server.poller().await;
    assert!(idle.ends().await);
    assert!(refused.ends().await);
    assert_eq!(server.http("GET", &polling, "").await.0, 400);
    let mut entered = entered;
    entered.send("42[\"message\"]").await;
    assert_eq!(entered.text().await, "42[\"message-back\"]");
}

#[tokio::test]
async fn whoever_leaves_a_namespace_stays_in_the_others() {
    let server = server(&[]).await;
    let mut socket = connected(&server).await;
    socket.send("40/custom").await;
    socket.text().await;
    socket.text().await;
    socket.send("41").await;
    // Sent before the client knew that it has left: it means nothing.
    socket.send("42[\"message\",\"to main\"]").await;
    socket.send("42/custom,[\"message\",\"to custom\"]").await;
    assert_eq!(socket.text().await, "42/custom,[\"message-back\",\"to custom\"]");
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{\"sid\":\""));
    assert_eq!(socket.text().await, "42[\"auth\",{}]");
    socket.send("41/custom,").await;
    socket.send("42[\"message\",\"to main\"]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",\"to main\"]");
}

#[tokio::test]
async fn events_come_back_and_are_acknowledged() {
    let server = server(&[]).await;
    let mut socket = connected(&server).await;
    let arguments = "1,\"2\",{\"3\":[true]},null,\"\u{e9}\"";
    socket.send(&format!("42[\"message\",{arguments}]")).await;
    assert_eq!(socket.text().await, format!("42[\"message-back\",{arguments}]"));
    socket
        .send("42456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]")
        .await;
    assert_eq!(socket.text().await, "43456[1,\"2\",{\"3\":[false]}]");
    socket.send("420[\"message-with-ack\"]").await;
    assert_eq!(socket.text().await, "430[]");
    // Without a number nobody waits; an unknown event is nobody's.
    socket.send("42[\"message-with-ack\",1]").await;
    socket.send("427[\"unknown\",1]").await;
    socket.send("42[\"message\",\"last\"]").await;
    assert_eq!(socket.text().await, "42[\"message-back\",\"last\"]");
}

#[tokio::test]
async fn attachments_come_back() {
    let server = server(&[]).await;
    let mut socket = connected(&server).await;
    socket.send("40/custom,").await;
    socket.text().await;
    socket.text().await;
    let both = format!("{},{}", placeholder(0), placeholder(1));
    for namespace in ["", "/custom,"] {
        for (sent, back) in [
            (
                format!("452-{namespace}[\"message\",{both}]"),
                format!("452-{namespace}[\"message-back\",{both}]"),
            ),
            (
                format!("452-{namespace}789[\"message-with-ack\",{both}]"),
                format!("462-{namespace}789[{both}]"),
            ),
        ] {
            socket.send(&sent).await;
            socket.send_binary(&[1, 2, 3]).await;
            socket.send_binary(&[4, 5, 6]).await;
            assert_eq!(socket.text().await, back);
            assert_eq!(socket.binary().await, [1, 2, 3]);
            assert_eq!(socket.binary().await, [4, 5, 6]);
        }
    }
}

#[tokio::test]
async fn everything_works_by_polling_too() {
    let server = server(&[]).await;
    let query = server.poller().await;
    let post = async |body: &str| assert_eq!(server.http("POST", &query, body).await.0, 200, "{body}");
    post("40").await;
    let (_, entered) = server.http("GET", &query, "").await;
    assert!(entered.ends_with("}\u{1e}42[\"auth\",{}]"), "{entered}");
    let event = format!("451-7[\"message-with-ack\",{}]\u{1e}bAQID", placeholder(0));
    post(&event).await;
    let acknowledged = format!("461-7[{}]\u{1e}bAQID", placeholder(0));
    assert_eq!(server.http("GET", &query, "").await, (200, acknowledged));
    assert_eq!(server.http("POST", &query, "4abc").await.0, 400);
    assert_eq!(server.http("POST", &query, "42[\"message\"]").await.0, 400);
}

#[tokio::test]
async fn malformed_packets_close_the_connection() {
    let server = server(&[]).await;
    let too_many = format!("4511-[\"message\",{}]", placeholder(0));
    for frames in [
        &["4"][..],
        &["4abc"],
        &["49"],
        &["44{}"],
        &["47"],
        &["42"],
        &["42{}"],
        &["42[]"],
        &["42[1]"],
        &["42\"message\""],
        &["42[\"message\""],
        &["42[\"message\",]"],
        &["42[\"disconnect\"]"],
        &["42abc[\"message\"]"],
        &["42-1[\"message\"]"],
        &["43[]"],
        &["431{}"],
        &["45[\"message\"]"],
        // What their types do not have.
        &["421-[\"message\",1]"],
        &["41{\"a\":1}"],
        &["401-/custom,{}"],
        &["450-[\"message\"]"],
        &["45-[\"message\"]"],
        &["451-{}"],
        &[
            "451-[\"message\",{\"_placeholder\":true,\"num\":0}]",
            "42[\"message\"]",
        ],
        &["40/custom,[]"],
        &["40/custom,{"],
        &["42/custom,[\"message\"]"],
        &["41/custom,"],
        &[&too_many],
    ] {
        let mut socket = connected(&server).await;
        for frame in frames {
            socket.send(frame).await;
        }
        assert!(socket.ends().await, "{frames:?}");
    }
    // An attachment that nothing announced, and a placeholder for which none came.
    let mut socket = connected(&server).await;
    socket.send_binary(b"x").await;
    assert!(socket.ends().await);
    let mut socket = connected(&server).await;
    socket
        .send(&format!("451-[\"message\",{}]", placeholder(1)))
        .await;
    socket.send_binary(b"x").await;
    assert!(socket.ends().await);
    let mut before = server.open().await;
    before.send("42[\"message\"]").await;
    assert!(before.ends().await);
}
