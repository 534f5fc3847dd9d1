//! Sessions over polling, and what the endpoint refuses.

use std::io::Read as _;

use futures_util::future::select;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::testkit::{server::Server, socket::Client};

const OPEN: &str = "EIO=4&transport=polling";

struct Poller<'a> {
    server: &'a Server,
    query: String,
}

impl<'a> Poller<'a> {
    async fn open(server: &'a Server) -> Self {
        let (status, _, body) = server.poll("GET", OPEN, &[], "").await;
        assert_eq!(status, 200);
        let packet: serde_json::Value = serde_json::from_slice(body.strip_prefix(b"0").unwrap()).unwrap();
        assert_eq!(packet["upgrades"], serde_json::json!(["websocket"]));
        let sid = packet["sid"].as_str().unwrap();
        Self {
            server,
            query: format!("{OPEN}&sid={sid}"),
        }
    }

    async fn join(server: &'a Server) -> Self {
        let poller = Self::open(server).await;
        assert_eq!(poller.post("40").await, (200, "OK".to_owned()));
        assert!(poller.get().await.1.starts_with("40{\"sid\""));
        poller
    }

    async fn get(&self) -> (u16, String) {
        let (status, _, body) = self.server.poll("GET", &self.query, &[], "").await;
        (status, String::from_utf8(body).unwrap())
    }

    /// Polls twice. Gives the newer request, which waits: the older one has been answered, as it is once the newer has come.
    async fn get_twice(&self) -> impl Future<Output = (u16, String)> {
        let both = select(Box::pin(self.get()), Box::pin(self.get())).await;
        let (older, newer) = both.factor_first();
        assert_eq!(older, (200, "6".to_owned()));
        newer
    }

    async fn post(&self, body: &str) -> (u16, String) {
        let (status, headers, body) = self.server.poll("POST", &self.query, &[], body).await;
        assert_eq!(headers["content-type"], "text/plain");
        (status, String::from_utf8(body).unwrap())
    }
}

fn ok() -> (u16, String) {
    (200, "OK".to_owned())
}

#[tokio::test]
async fn events_come_and_go_by_polling() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    assert_eq!(poller.post("").await, ok());
    let both = "421[\"list_agent_windows\",{\"a\":1}]\u{1e}42[\"list_agent_windows\",null]";
    assert_eq!(poller.post(both).await, ok());
    assert_eq!(
        poller.get().await,
        (
            200,
            "42[\"list_agent_windows\",{\"a\":1}]\u{1e}431[]\u{1e}42[\"list_agent_windows\"]".to_owned()
        )
    );
    // A waiting request is answered as soon as there is something.
    let (came, sent) = tokio::join!(poller.get(), async {
        let mut other = Client::join_new(&server, &[]).await;
        other.send("42[\"agent_window_list\",2]").await;
    });
    assert_eq!(came, (200, "42[\"agent_window_list\",2]".to_owned()));
    let () = sent;
    assert_eq!(poller.post("1").await, ok());
    // Told once, as python-engineio tells it.
    let sid = poller.query.rsplit_once('=').unwrap().1;
    for words in ["'Session is disconnected'", "Invalid session", "Invalid session"] {
        assert_eq!(poller.get().await, (400, format!("\"{words} {sid}\"")));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_is_handled_or_refused_and_never_lost() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    let event = "42[\"agent_window_list\",1]";
    let refused = (400, "\"Bad Request\"".to_owned());
    for unreadable in [
        "x",
        "\u{1e}",
        &format!("{event}\u{1e}"),
        &format!("{event}\u{1e}b==="),
    ] {
        assert_eq!(poller.post(unreadable).await, refused, "{unreadable:?}");
    }
    // The legacy answers OK and forgets all of them; its own library reads no more than sixteen.
    assert_eq!(poller.post(&vec![event; 40].join("\u{1e}")).await, ok());
    for count in [16, 16, 8] {
        assert_eq!(poller.get().await.1, vec![event; count].join("\u{1e}"));
    }
    // What comes behind an event that breaks the session off is not said to be done.
    let broken = format!("451-[\"screenshot\",{{}}]\u{1e}{event}\u{1e}{event}");
    assert_eq!(poller.post(&broken).await, refused);
    server.stop().await;
}

#[tokio::test]
async fn an_upgrade_that_a_proxy_stripped_is_refused_and_eats_nothing() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    assert_eq!(poller.post("42[\"list_agent_windows\",1]").await, ok());
    let upgrade = poller.query.replace("transport=polling", "transport=websocket");
    for left in [
        &[][..],
        &[("upgrade", "websocket")],
        &[("connection", "upgrade")],
        &[("upgrade", "h2c"), ("connection", "upgrade")],
    ] {
        let origin = [("origin", "http://ui.example")];
        let headers = [left, &origin].concat();
        let (status, headers, body) = server.poll("GET", &upgrade, &headers, "").await;
        assert_eq!(
            (status, body.as_slice()),
            (400, &b"\"Invalid transport\""[..]),
            "{left:?}"
        );
        assert_eq!(headers["access-control-allow-origin"], "http://ui.example");
    }
    assert_eq!(
        poller.get().await,
        (200, "42[\"list_agent_windows\",1]".to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn the_newest_of_several_polls_gets_the_events() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    let event = "42[\"agent_window_list\",1]";
    // The older one stands for a request whose client has gone without the server's knowing.
    let newer = poller.get_twice().await;
    let mut sender = Client::join_new(&server, &[]).await;
    sender.send(event).await;
    assert_eq!(newer.await, (200, event.to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_whose_client_hangs_up_is_given_again() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    let event = format!("42[\"list_agent_windows\",\"{}\"]", "x".repeat(12_000_000));
    assert_eq!(
        poller
            .post(&format!("{event}\u{1e}42[\"list_agent_windows\",2]"))
            .await,
        ok()
    );
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let head = format!("GET /socket.io/?{} HTTP/1.1\r\nHost: a\r\n\r\n", poller.query);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 1000];
    stream.read_exact(&mut start).await.unwrap();
    assert!(start.starts_with(b"HTTP/1.1 200 "));
    drop(stream);
    // A new request may come before the server knows that the first one is gone; then it waits.
    let again = poller.get().await;
    assert_eq!(again.0, 200);
    assert!(
        again.1 == format!("{event}\u{1e}42[\"list_agent_windows\",2]"),
        "{} bytes",
        again.1.len()
    );
    server.stop().await;
}

#[tokio::test]
async fn a_poll_that_still_waits_after_the_move_to_a_websocket_eats_nothing() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    let sid = poller.query.rsplit_once('=').unwrap().1;
    let waiting = poller.get_twice().await;
    let (waited, ()) = tokio::join!(waiting, async {
        let mut socket = Client::open_at(&server, &format!("&sid={sid}"), &[]).await;
        socket.send("2probe").await;
        assert_eq!(socket.frame().await, "3probe");
        socket.send("5").await;
        assert_eq!(socket.frame().await, "6");
        socket.send("421[\"list_agent_windows\",1]").await;
        assert_eq!(socket.frame().await, "42[\"list_agent_windows\",1]");
        assert_eq!(socket.frame().await, "431[]");
    });
    assert_eq!(waited, (200, "6".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn an_answer_holds_no_more_packets_than_clients_take() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    for _ in 0..3 {
        assert_eq!(
            poller
                .post(&["42[\"list_agent_windows\",1]"; 10].join("\u{1e}"))
                .await,
            ok()
        );
    }
    for count in [16, 14] {
        assert_eq!(poller.get().await.1.split('\u{1e}').count(), count);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_packet_that_no_client_sends_ends_the_session() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    assert_eq!(poller.post("6").await, (400, "\"Bad Request\"".to_owned()));
    assert_eq!(poller.get().await.0, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_at_once_and_ends_the_session() {
    let server = Server::start("strict", "").await;
    let poller = Poller::join(&server).await;
    let (waiting, refused) = tokio::join!(poller.get(), async {
        // The other request waits, or comes too late for a session that is gone.
        poller.post(&"x".repeat(1_000_001)).await
    });
    assert_eq!(refused, (400, "\"Bad Request\"".to_owned()));
    assert!(
        waiting == (200, "1".to_owned()) || waiting.0 == 400,
        "{waiting:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_session_moves_to_a_websocket() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    let sid = poller.query.rsplit_once('=').unwrap().1;
    let mut socket = Client::open_at(&server, &format!("&sid={sid}"), &[]).await;
    socket.send("2probe").await;
    assert_eq!(socket.frame().await, "3probe");
    assert_eq!(poller.get().await, (200, "6".to_owned()));
    socket.send("5").await;
    assert_eq!(socket.frame().await, "6");
    socket.send("421[\"list_agent_windows\",1]").await;
    assert_eq!(socket.frame().await, "42[\"list_agent_windows\",1]");
    assert_eq!(socket.frame().await, "431[]");
    let unexpected = (400, "\"Unexpected HTTP request\"".to_owned());
    assert_eq!(poller.get().await, unexpected);
    assert_eq!(poller.post("40").await, unexpected);
    server.stop().await;
}

#[tokio::test]
async fn a_failed_upgrade_leaves_the_session_polling() {
    let server = Server::start("legacy", "").await;
    let poller = Poller::join(&server).await;
    let sid = poller.query.rsplit_once('=').unwrap().1;
    let mut socket = Client::open_at(&server, &format!("&sid={sid}"), &[]).await;
    socket.send("2wrong").await;
    assert!(socket.is_closed().await);
    assert_eq!(poller.post("421[\"list_agent_windows\",1]").await, ok());
    assert_eq!(poller.get().await.1, "42[\"list_agent_windows\",1]\u{1e}431[]");
    server.stop().await;
}

#[tokio::test]
async fn requests_are_refused_in_the_contracts_order_and_words() {
    let server = Server::start("legacy", "").await;
    let version = "\"The client is using an unsupported version of the Socket.IO or Engine.IO protocols\"";
    for (method, query, status, body, has_cors) in [
        ("GET", "EIO=3&transport=x", 400, "\"Invalid transport\"", false),
        ("POST", "transport=polling", 400, version, false),
        ("OPTIONS", "EIO=4&EIO=4", 400, version, false),
        ("GET", "EIO=4&j=x", 400, "\"Invalid JSONP index number\"", true),
        (
            "GET",
            "EIO=4&transport=websocket",
            400,
            "\"Invalid websocket upgrade\"",
            true,
        ),
        ("GET", "sid=n\u{e9}", 400, "\"Invalid session n\\u00e9\"", true),
        ("POST", "EIO=4", 400, "\"Invalid session None\"", true),
        ("POST", "EIO=4&sid=", 400, "\"Invalid session None\"", true),
        ("OPTIONS", "EIO=4", 200, "OK", true),
        ("PUT", "EIO=4", 405, "Method Not Found", true),
        ("HEAD", "EIO=4", 405, "", true),
    ] {
        let origin = [("origin", "http://ui.example")];
        let (answered, headers, text) = server.poll(method, query, &origin, "").await;
        assert_eq!(
            (answered, String::from_utf8(text).unwrap().as_str()),
            (status, body),
            "{method} {query}"
        );
        assert_eq!(
            headers.contains_key("access-control-allow-origin"),
            has_cors,
            "{method} {query}"
        );
    }
    let (status, headers, body) = server
        .poll("GET", OPEN, &[("origin", "http://evil.example")], "")
        .await;
    assert_eq!(status, 400);
    assert_eq!(body, b"\"http://evil.example is not an accepted origin.\"");
    assert!(!headers.contains_key("access-control-allow-credentials"));
    server.stop().await;
}

#[tokio::test]
async fn the_servers_own_page_may_open_sockets_whatever_the_setting_lists() {
    let server = Server::start("legacy", "").await;
    let address = server.address();
    for (origin, status) in [
        (format!("http://{address}"), 200),
        // Where a proxy ends TLS the scheme is another one.
        (format!("https://{address}"), 200),
        (format!("http://{}", address.ip()), 400),
        (format!("http://{}:{}", address.ip(), address.port() ^ 1), 400),
    ] {
        let (answered, headers, _) = server.poll("GET", OPEN, &[("origin", &origin)], "").await;
        assert_eq!(answered, status, "{origin}");
        let allowed = headers.get("access-control-allow-origin");
        assert_eq!(allowed.is_some_and(|allowed| *allowed == *origin), status == 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn answers_are_wrapped_and_packed_as_asked() {
    let server = Server::start("legacy", "").await;
    let (_, _, body) = server.poll("GET", "EIO=4&j=3", &[], "").await;
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.starts_with("___eio[3](\"0{\\\"sid\\\":") && body.ends_with("}\");"),
        "{body}"
    );
    let poller = Poller::join(&server).await;
    let event = format!("42[\"list_agent_windows\",\"{}\"]", "x".repeat(2000));
    for coding in ["gzip", "deflate"] {
        poller.post(&event).await;
        let asked = format!("br;q=1, {coding};q=0.5");
        let (_, headers, packed) = server
            .poll("GET", &poller.query, &[("accept-encoding", &asked)], "")
            .await;
        assert_eq!(headers["content-encoding"], coding);
        let mut text = String::new();
        if coding == "gzip" {
            flate2::read::GzDecoder::new(packed.as_slice())
                .read_to_string(&mut text)
                .unwrap();
        } else {
            flate2::read::ZlibDecoder::new(packed.as_slice())
                .read_to_string(&mut text)
                .unwrap();
        }
        assert_eq!(text, event);
    }
    server.stop().await;
}
