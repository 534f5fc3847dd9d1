//! What those may take whom nobody knows: of bodies, of sockets, of the log. Nothing that they do keeps others out.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::testkit::{
    AGENT, GUID, START, enrollment,
    rows::{Device, install_code},
    server::Server,
    socket::Client,
};

/// How long something may take that comes at once; never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(30);
const KIB: usize = 1024;

const DEVICE: Device = Device::new(GUID, "WIN-1", "ab12").with_token_version(2);

/// A body of this size that says `{}`.
fn blank(size: usize) -> String {
    format!("{{{}}}", " ".repeat(size - 2))
}

#[tokio::test]
async fn a_stranger_s_body_is_short() {
    let too_large = "<title>413 Request Entity Too Large</title>";
    for (policy, path, most) in [
        ("strict", "/api/auth/login", 64 * KIB),
        ("strict", "/api/agent/enroll/poll", 64 * KIB),
        ("strict", "/api/agent/token/refresh", 64 * KIB),
        ("strict", "/api/agent/enroll/request", KIB * KIB),
        ("legacy", "/api/auth/login", 16 * KIB * KIB),
        ("legacy", "/api/agent/enroll/poll", KIB * KIB),
        ("legacy", "/api/agent/token/refresh", KIB * KIB),
    ] {
        let server = Server::start(policy, "").await;
        let (status, body) = server.ask("POST", path, &[], &blank(most)).await;
        assert_eq!(status, 400, "{policy} {path}: {body}");
        let (status, body) = server.ask("POST", path, &[], &blank(most + 1)).await;
        assert_eq!(status, 413, "{policy} {path}");
        assert!(body.contains(too_large), "{body}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_code_s_body_is_short_too() {
    let server = Server::start("strict", "UPDATE users SET mfa_enabled = 1").await;
    let pending = cookies(&server).await;
    let verify = async |size| {
        let headers = [("cookie", pending.as_str())];
        server
            .ask("POST", "/api/auth/mfa/verify", &headers, &blank(size))
            .await
            .0
    };
    assert_eq!(verify(64 * KIB).await, 401);
    assert_eq!(verify(64 * KIB + 1).await, 413);
    server.stop().await;
}

/// What a login sets.
async fn cookies(server: &Server) -> String {
    server.log_in().await
}

/// One byte now and then kept a body, and what was read of it, for as long as its sender liked.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "a test's own pause")]
async fn a_stranger_s_body_has_to_come_at_a_pace() {
    let server = Server::start_with("strict", "", |settings| {
        settings.timing.body_deadline = Duration::from_secs(3600);
        settings.timing.anonymous_body_deadline = Duration::from_millis(300);
    })
    .await;
    for path in [
        "/api/auth/login",
        "/api/agent/enroll/request",
        "/api/agent/enroll/poll",
        "/api/agent/token/refresh",
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let trickle = tokio::spawn(async move {
            while to.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = String::new();
        let ended = tokio::time::timeout(PATIENCE, from.read_to_string(&mut answer)).await;
        assert!(ended.is_ok(), "{path}: the body is waited for");
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
        trickle.abort();
    }
    server.stop().await;
}

/// Only so many are read at the same time: they are held in memory until they are whole.
#[tokio::test]
async fn of_many_unfinished_bodies_from_one_address_the_oldest_end() {
    let server = Server::start_with("strict", "", |settings| {
        settings.timing.anonymous_body_deadline = Duration::from_secs(3600);
        settings.bounds.anonymous.bodies_per_address = 2;
    })
    .await;
    let mut unfinished = Vec::new();
    for address in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let head = format!(
            "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        );
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Once this comes the body is waited for.
        let mut asked = [0; 25];
        stream.read_exact(&mut asked).await.unwrap();
        assert!(asked.starts_with(b"HTTP/1.1 100 "));
        unfinished.push(stream);
    }
    let mut answers = Vec::new();
    for (number, stream) in unfinished.iter_mut().enumerate() {
        if number > 0 {
            stream.write_all(b"{}").await.unwrap();
        }
        let mut head = [0; 12];
        let answered = tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await;
        answered.unwrap().unwrap();
        let mut rest = [0; 200];
        let length = stream.read(&mut rest).await.unwrap();
        let is_ended = String::from_utf8_lossy(&rest[..length]).contains("Connection: close");
        answers.push((String::from_utf8_lossy(&head).into_owned(), is_ended));
    }
    let refused = |is_ended| ("HTTP/1.1 400".to_owned(), is_ended);
    assert_eq!(
        answers,
        [refused(true), refused(false), refused(false), refused(false)]
    );
    server.stop().await;
}

fn many_values(count: usize) -> String {
    format!("{{\"a\":[{}0]}}", "0,".repeat(count - 3))
}

#[tokio::test]
async fn a_json_text_of_more_values_than_are_read_is_refused() {
    let refused = (400, "{\"error\":\"too_many_values\"}\n".to_owned());
    let missing = (400, "{\"error\":\"hostname_required\"}\n".to_owned());
    for (policy, count, expected) in [
        ("strict", 200_000, &missing),
        ("strict", 200_001, &refused),
        ("legacy", 200_001, &missing),
    ] {
        let server = Server::start(policy, "").await;
        let body = many_values(count);
        let answer = server.ask("POST", "/api/agent/enroll/request", &[], &body).await;
        assert_eq!(answer, *expected, "{policy} {count}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_event_of_more_values_than_are_read_is_refused_and_the_next_one_is_not() {
    let server = Server::start("strict", DEVICE).await;
    let token = server.token(GUID, "ab12", 2, START);
    let mut agent = Client::join_new(&server, &[("authorization", &format!("Bearer {token}"))]).await;
    agent.call("connect_agent", json!({ "agent_id": AGENT })).await;
    let zeros = "0,".repeat(200_000);
    agent
        .send(&format!(
            "421[\"agent_screenshot_task\",{{\"agent_id\":\"{AGENT}\",\"node_id\":1,\"x\":[{zeros}0]}}]"
        ))
        .await;
    agent.nothing_came().await;
    agent
        .call(
            "agent_screenshot_task",
            json!({ "agent_id": AGENT, "node_id": 1, "x": 0 }),
        )
        .await;
    server.stop().await;
}

fn request(key: u8) -> Value {
    enrollment::request(&format!("HOST-{key}"), "C", [key; 32])
}

async fn enroll(server: &Server, request: &Value) -> (u16, Value) {
    let (status, body) = server
        .ask("POST", "/api/agent/enroll/request", &[], &request.to_string())
        .await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

#[tokio::test]
async fn the_fields_of_a_request_to_enroll_are_short() {
    for (policy, counts) in [("strict", true), ("legacy", false)] {
        let server = Server::start(policy, install_code("code", "C", 10)).await;
        for (field, most, error) in [
            ("hostname", KIB, "invalid_hostname"),
            ("agent_pubkey", 4 * KIB, "invalid_agent_pubkey"),
            ("client_nonce", KIB, "invalid_client_nonce"),
        ] {
            let mut long = request(1);
            // A key may have any length that is base64.
            long[field] = "AAAA".repeat(most / 4 + 1).into();
            let (status, body) = enroll(&server, &long).await;
            if counts {
                assert_eq!((status, body), (400, json!({ "error": error })), "{field}");
            } else {
                assert_eq!(status, 200, "{field}: {body}");
            }
        }
        assert_eq!(
            server.count("SELECT COUNT(*) FROM device_approvals").await > 0,
            !counts
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn one_code_gathers_only_so_many_requests() {
    let server = Server::start_with("strict", install_code("code", "C", 10), |settings| {
        settings.bounds.anonymous.pending_requests = 2;
    })
    .await;
    for key in [1, 2, 1] {
        assert_eq!(enroll(&server, &request(key)).await.0, 200);
    }
    let refused = (429, json!({ "error": "too_many_pending_requests" }));
    assert_eq!(enroll(&server, &request(3)).await, refused);
    assert_eq!(server.count("SELECT COUNT(*) FROM device_approvals").await, 2);
    // Those that wait may ask again, and a decision makes room.
    assert_eq!(enroll(&server, &request(2)).await.0, 200);
    server
        .sql("UPDATE device_approvals SET status = 'denied' WHERE hostname_claimed = 'HOST-1'")
        .await;
    assert_eq!(enroll(&server, &request(3)).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn addresses_of_one_network_are_one_caller() {
    let server = Server::start("strict", "").await;
    let ask = async |address: String| {
        let headers = [("x-forwarded-for", address.as_str())];
        server
            .ask("POST", "/api/agent/enroll/request", &headers, "{}")
            .await
            .0
    };
    for number in 0..40 {
        assert_eq!(ask(format!("[2001:db8:1:2::{number}]:{number}")).await, 400);
    }
    assert_eq!(ask("2001:db8:1:2:ffff::1".to_owned()).await, 429);
    assert_eq!(ask("2001:db8:1:3::1".to_owned()).await, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_socket_that_does_not_enter_its_namespace_ends() {
    let server = Server::start_with("strict", DEVICE, |settings| {
        // Those who enter have to do so in time.
        settings.timing.namespace_deadline = Duration::from_secs(3);
    })
    .await;
    let token = server.token(GUID, "ab12", 2, START);
    let mut agent = Client::open(&server, &[("authorization", &format!("Bearer {token}"))]).await;
    agent.frame().await;
    let mut entered = Client::join_new(&server, &[]).await;
    let mut idle = Client::open(&server, &[]).await;
    idle.frame().await;
    let (_, _, opened) = server.poll("GET", "EIO=4", &[], "").await;
    let sid = String::from_utf8(opened[9..29].to_vec()).unwrap();
    assert!(idle.ends_without_a_word().await);
    let (status, _, _) = server.poll("GET", &format!("EIO=4&sid={sid}"), &[], "").await;
    assert_eq!(status, 400);
    entered.nothing_came().await;
    agent.join().await;
    server.stop().await;
}

#[tokio::test]
async fn nothing_long_that_a_stranger_sends_is_sent_back() {
    let server = Server::start("strict", "").await;
    let long = format!("40/{},", "a".repeat(50_000));
    let mut stranger = Client::join_new(&server, &[]).await;
    let longer = format!("40/{},", "a".repeat(64));
    for frame in [&*longer, &long, "425[\"x\",1]", "421[\"connect_agent\",{}]"] {
        stranger.send(frame).await;
    }
    stranger.nothing_came().await;
    // A refusal that the protocol asks for is told where it is short.
    stranger.send("40/a,").await;
    assert_eq!(stranger.frame().await, "44/a,\"Unable to connect\"");
    let cookie = server.log_in().await;
    let mut operator = Client::join_new(&server, &[("cookie", &cookie)]).await;
    operator.send(&longer).await;
    let refused = format!("44/{},\"Unable to connect\"", "a".repeat(64));
    assert_eq!(operator.frame().await, refused);
    operator.send(&long).await;
    operator.nothing_came().await;
    server.stop().await;
}

#[tokio::test]
async fn a_stranger_s_message_is_short() {
    let server = Server::start("strict", "").await;
    let message = |size: usize| format!("42[\"x\",\"{}\"]", "A".repeat(size - 10));
    let mut stranger = Client::join_new(&server, &[]).await;
    stranger.send(&message(64 * KIB)).await;
    stranger.nothing_came().await;
    stranger.send(&message(64 * KIB + 1)).await;
    assert!(stranger.is_closed().await);
    server.stop().await;
}

/// The websocket library answers pings whether or not the answers are taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_does_not_read_is_not_read_from() {
    for policy in ["strict", "legacy"] {
        let server = Server::start(policy, "").await;
        let mut stream = Client::join_new(&server, &[]).await.into_stream();
        // Masked with zeros.
        let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
        ping.extend([b'x'; 125]);
        let pings = ping.repeat(1000);
        let mut taken = 0;
        // Far more than the kernel holds for both sides.
        while taken < 64_000_000 {
            match tokio::time::timeout(Duration::from_secs(3), stream.write(&pings)).await {
                Ok(Ok(0) | Err(_)) | Err(_) => break,
                Ok(Ok(bytes)) => taken += bytes,
            }
        }
        assert!(taken < 64_000_000, "{policy}: everything was read");
        let mut other = Client::join_new(&server, &[]).await;
        other.nothing_came().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let server = Server::start("strict", "").await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(settings).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection stays open");
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer:?}"
    );
    let (status, _) = server.get("/health", &[]).await;
    assert_eq!(status, 200);
    let mut old = TcpStream::connect(server.address()).await.unwrap();
    old.write_all(b"GET /health HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    old.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    server.stop().await;
}

/// A connection from this loopback address.
async fn connect_from(server: &Server, address: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((address, 0).into()).unwrap();
    socket.connect(server.address()).await.unwrap()
}

/// The beginning of a head of this length.
async fn begin_head(stream: &mut TcpStream, length: usize) {
    let begin = "GET /health HTTP/1.1\r\nHost: a\r\nX: ";
    let head = format!("{begin}{}", "x".repeat(length - begin.len()));
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Whether the server ends the connection; false where it answers once the rest of the head has come.
async fn ends(mut stream: TcpStream) -> bool {
    // Where the server has closed the connection this may fail.
    let _ = stream.write_all(b"\r\nConnection: close\r\n\r\n").await;
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays");
    !answer.starts_with("HTTP/1.1 ")
}

/// Waits until the server says the end of this connection.
async fn until_ended(stream: &mut TcpStream) {
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
}

/// Each took as much memory as a head may be long, for a minute, and nothing bounded how many one peer began.
#[tokio::test]
async fn unfinished_heads_make_room_for_each_other() {
    let server = Server::start_with("strict", "", |settings| {
        settings.timing.head_deadline = Duration::from_secs(3600);
        settings.bounds.head_bytes = 200 * KIB;
    })
    .await;
    let mut another = connect_from(&server, [127, 0, 0, 2]).await;
    begin_head(&mut another, 20 * KIB).await;
    let mut idle = connect_from(&server, [127, 0, 0, 1]).await;
    let mut unfinished = Vec::new();
    for _ in 0..6 {
        let mut stream = connect_from(&server, [127, 0, 0, 1]).await;
        begin_head(&mut stream, 60 * KIB).await;
        unfinished.push(stream);
    }
    let (oldest, last) = (0, unfinished.len() - 1);
    until_ended(&mut unfinished[oldest]).await;
    assert!(!ends(unfinished.swap_remove(last)).await);
    assert!(!ends(another).await);
    // It takes none of what is short.
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: a").await.unwrap();
    assert!(!ends(idle).await);
    server.stop().await;
}

/// The HTTP library keeps the memory of a long head for the next one.
#[tokio::test]
async fn a_long_head_counts_until_its_connection_ends() {
    let server = Server::start_with("strict", "", |settings| settings.bounds.head_bytes = 200 * KIB).await;
    let mut answered = Vec::new();
    for _ in 0..6 {
        let mut stream = connect_from(&server, [127, 0, 0, 1]).await;
        begin_head(&mut stream, 60 * KIB).await;
        stream.write_all(b"\r\n\r\n").await.unwrap();
        stream.read_exact(&mut [0; 64]).await.unwrap();
        answered.push(stream);
    }
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, answered[0].read_to_end(&mut rest)).await;
    assert!(matches!(read, Ok(Ok(_))), "{read:?}");
    server.stop().await;
}

/// The process may open only so many files.
#[tokio::test]
async fn idle_connections_make_room_for_others() {
    let server = Server::start_with("strict", DEVICE, |settings| {
        settings.timing.head_deadline = Duration::from_secs(3600);
        settings.timing.idle_deadline = Duration::from_secs(3600);
        settings.bounds.idle_connections = 20;
        settings.bounds.silent_connections = 20;
    })
    .await;
    let mut another = connect_from(&server, [127, 0, 0, 2]).await;
    // Requests that are under way: a body that is asked for, and a websocket.
    let mut answer = [0; 12];
    let mut busy = connect_from(&server, [127, 0, 0, 1]).await;
    let head =
        "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    busy.read_exact(&mut [0; 25]).await.unwrap();
    let mut socket = Client::join_new(&server, &[]).await;
    // A device that has shown who it is keeps its connection.
    let mut device = connect_from(&server, [127, 0, 0, 1]).await;
    let token = server.token(GUID, "ab12", 2, START);
    let asked = format!("GET /api/agent/hash HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    device.write_all(asked.as_bytes()).await.unwrap();
    device.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(connect_from(&server, [127, 0, 0, 1]).await);
    }
    until_ended(&mut idle[0]).await;
    busy.write_all(b"{}").await.unwrap();
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    device.write_all(asked.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    while !String::from_utf8_lossy(&rest).contains("HTTP/1.1 200") {
        let read = tokio::time::timeout(PATIENCE, device.read_buf(&mut rest)).await;
        assert!(matches!(read, Ok(Ok(1..))), "{read:?}");
    }
    socket.send("40/elsewhere,").await;
    assert_eq!(socket.frame().await, "44/elsewhere,\"Unable to connect\"");
    another
        .write_all(b"GET /health HTTP/1.1\r\nHost: a")
        .await
        .unwrap();
    assert!(!ends(another).await);
    server.stop().await;
}

/// Those on which nothing has come yet are counted apart: a fleet that comes back makes many of them.
#[tokio::test]
async fn connections_that_say_nothing_yet_take_no_place_of_those_that_have_begun() {
    let server = Server::start_with("strict", DEVICE, |settings| {
        settings.timing.head_deadline = Duration::from_secs(3600);
        settings.bounds.idle_connections = 20;
        settings.bounds.silent_connections = 100;
    })
    .await;
    let mut silent = Vec::new();
    let mut begun = Vec::new();
    for _ in 0..60 {
        silent.push(connect_from(&server, [127, 0, 0, 1]).await);
        let mut stream = connect_from(&server, [127, 0, 0, 1]).await;
        begin_head(&mut stream, KIB).await;
        begun.push(stream);
    }
    until_ended(&mut begun[0]).await;
    for mut stream in silent {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    server.stop().await;
}

/// It held the answer, and the file that it was read from, for as long as its client liked.
#[tokio::test]
async fn an_answer_that_nobody_takes_ends() {
    let server = Server::start_with("strict", "", |settings| {
        settings.timing.write_deadline = Duration::from_millis(300);
        std::fs::create_dir_all(&settings.static_root).unwrap();
        std::fs::write(
            settings.static_root.join("index.html"),
            vec![b' '; 64 * KIB * KIB],
        )
        .unwrap();
    })
    .await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    stream.read_exact(&mut [0; 12]).await.unwrap();
    // The server's side is gone once this fails; nothing is read meanwhile.
    let ended = async {
        while stream.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok());
    server.stop().await;
}
