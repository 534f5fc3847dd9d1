//! Clients that stop in the middle, and clients that send too much: neither costs the others anything.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use borealis_engine::{
    Settings,
    domain::json::Json,
    integrations::clock::SystemClock,
    interfaces::http::{
        accept_errors::AcceptErrors,
        compat::{
            body::{BodyError, RawBody},
            reply::Answer,
        },
        connections::Connections,
        detached::DetachedRequests,
        http_service,
        routing::Routes,
        server::{configure, with_limits},
    },
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::testkit::{
    START,
    http::json_of,
    server::{start, tokens},
};

/// Of each kind; together far more than the server has threads, writers and readers.
const SILENT_CLIENTS: usize = 40;
/// What the server says once it waits for a body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

async fn connect(address: SocketAddr, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream
}

/// A client whose body the server waits for, half of which never comes.
async fn half_body(address: SocketAddr, path: &str, authorization: &str) -> TcpStream {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{authorization}Content-Length: 20\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut stream = connect(address, &head).await;
    let mut answer = vec![0; CONTINUE.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, CONTINUE, "{path}: {}", String::from_utf8_lossy(&answer));
    stream.write_all(b"{\"hostname\"").await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_keep_nobody_waiting() {
    let root = tempfile::tempdir().unwrap();
    let engine = start(root.path(), &[]).await;
    let address = engine.address();
    let base = format!("http://{address}");
    let client = crate::testkit::http::client();
    let operator = crate::testkit::http::admin_token(&base).await;
    let as_operator = format!("Authorization: Bearer {operator}\r\n");

    let mut silent = Vec::new();
    for number in 0..SILENT_CLIENTS {
        silent.push(connect(address, "").await);
        silent.push(connect(address, "POST /api/agent/enroll/request HTTP/1.1\r\nHo").await);
        // Each comes from an address of its own, so that no rate limit is met.
        let from = format!("X-Forwarded-For: 192.0.2.{number}\r\n");
        silent.push(half_body(address, "/api/agent/enroll/request", &from).await);
        silent.push(half_body(address, "/api/agent/enroll/poll", "").await);
        silent.push(half_body(address, "/api/agent/token/refresh", "").await);
        silent.push(half_body(address, "/api/auth/login", "").await);
        silent.push(half_body(address, "/api/admin/enrollment-codes", &as_operator).await);
        let device = device_token(root.path(), number);
        silent.push(half_body(address, "/api/agent/heartbeat", &device).await);
    }

    // Reads and writes go on.
    for _ in 0..3 {
        let made = client
            .post(format!("{base}/api/admin/enrollment-codes"))
            .bearer_auth(&operator)
            .send()
            .await
            .unwrap();
        assert_eq!(made.status(), 200);
    }
    let listed = json_of(
        client
            .get(format!("{base}/api/admin/enrollment-codes"))
            .bearer_auth(&operator),
    )
    .await;
    assert_eq!(listed["codes"].as_array().unwrap().len(), 3);
    drop(silent);
    engine.stop().await;
}

/// The header line of a device that the gate lets in; its row is made again on the way.
fn device_token(root: &Path, number: usize) -> String {
    let guid = format!("{number:08X}-4F89-11D3-9A0C-0305E82C3301");
    let token = tokens(root)
        .issue(&guid, &format!("{number:064x}"), 1, START)
        .unwrap();
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_body_beyond_what_strangers_may_send_is_refused_with_the_413_page() {
    let root = tempfile::tempdir().unwrap();
    let engine = start(root.path(), &[]).await;
    let page = "<!doctype html>\n<html lang=en>\n<title>413 Request Entity Too Large</title>\n\
        <h1>Request Entity Too Large</h1>\n\
        <p>The data value transmitted exceeds the capacity limit.</p>\n";
    for (path, most) in [
        ("/api/agent/enroll/request", 1024 * 1024),
        ("/api/agent/enroll/poll", 64 * 1024),
        ("/api/agent/token/refresh", 64 * 1024),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n");
        let blanks = " ".repeat(most + 1);
        for request in [
            format!("{head}Content-Length: {}\r\n\r\n", most + 1),
            format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{blanks}",
                most + 1
            ),
        ] {
            let mut stream = connect(engine.address(), &request).await;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
            assert!(answer.contains("Connection: close\r\n"), "{answer}");
            assert!(
                answer.contains("Content-Type: text/html; charset=utf-8\r\n"),
                "{answer}"
            );
            assert!(answer.ends_with(page), "{answer}");
        }
        let most = format!(
            "{head}Connection: close\r\nContent-Length: {most}\r\n\r\n{}",
            " ".repeat(most)
        );
        let mut stream = connect(engine.address(), &most).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("application/json"), "{answer}");
    }
    engine.stop().await;
}

fn settings() -> Settings {
    let variables = BTreeMap::from([("BOREALIS_STATIC_ROOT".to_owned(), "/nonexistent".to_owned())]);
    Settings::from_map(&variables, Path::new("/")).unwrap()
}

/// What a connection answers to `sent`, after which nothing more comes, and how long it lives then.
#[allow(
    clippy::disallowed_methods,
    reason = "tokio's own time is what stands still here"
)]
async fn answer_to(sent: &str) -> (String, Duration) {
    let routes = Routes::new().post(
        "/echo",
        async |body: RawBody| -> Result<Answer<Json>, BodyError> {
            Ok(Answer::ok(body.lenient().await?.into()))
        },
    );
    let (mut client, server) = tokio::io::duplex(1024);
    let mut builder = Builder::new(TokioExecutor::new());
    configure(&mut builder, &settings().timing);
    let service = TowerToHyperService::new(http_service(
        routes,
        &settings(),
        &DetachedRequests::default(),
        None,
        None,
        Arc::new(SystemClock::new()),
    ));
    tokio::spawn(async move {
        let _ = builder.serve_connection(TokioIo::new(server), service).await;
    });
    client.write_all(sent.as_bytes()).await.unwrap();
    let begin = tokio::time::Instant::now();
    let mut answer = String::new();
    let ended = tokio::time::timeout(Duration::from_secs(3600), client.read_to_string(&mut answer)).await;
    assert!(ended.is_ok(), "the connection does not end");
    (answer, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_client_stops_ends_after_a_minute() {
    let minute = 60..=61;
    for body in [
        "Content-Length: 9\r\n\r\n{\"a\"",
        "Content-Length: 9\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n",
    ] {
        let (answer, lived) = answer_to(&format!(
            "POST /echo HTTP/1.1\r\nContent-Type: application/json\r\n{body}"
        ))
        .await;
        assert!(minute.contains(&lived.as_secs()), "{lived:?}");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_outlives_those_that_proxies_keep() {
    let longer_than_proxies = 75..=76;
    for next in ["", "POST /echo HTTP/1.1\r\nContent-Ty"] {
        let (answer, lived) = answer_to(&format!("GET /health HTTP/1.1\r\nHost: a\r\n\r\n{next}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(longer_than_proxies.contains(&lived.as_secs()), "{lived:?}");
    }
}

#[tokio::test(start_paused = true)]
#[allow(
    clippy::disallowed_methods,
    reason = "tokio's own time is what stands still here"
)]
async fn a_connection_whose_client_says_nothing_ends_after_a_minute() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = with_limits(
        axum_server::from_tcp(listener).unwrap(),
        &settings().timing,
        AcceptErrors::new(Arc::new(SystemClock::new()), None),
        Connections::new(&settings(), None),
    );
    let service = http_service(
        Routes::new(),
        &settings(),
        &DetachedRequests::default(),
        None,
        None,
        Arc::new(SystemClock::new()),
    );
    tokio::spawn(server.serve(service.for_connections()));
    let mut client = connect(address, "").await;
    let begin = tokio::time::Instant::now();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(3600), client.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection does not end");
    assert_eq!(begin.elapsed().as_secs(), 60);
    assert_eq!(answer, b"");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_needs_no_body_does_not_wait_for_it_and_the_connection_ends_where_it_stops_coming() {
    let (answer, lived) = answer_to("POST /nothing HTTP/1.1\r\nContent-Length: 9\r\n\r\n{\"a\"").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(lived <= Duration::from_secs(6), "{lived:?}");
}

/// A client that sends all of its body before it reads anything, as simple clients and proxies do.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_gets_its_answer_however_long_its_body_is() {
    let root = tempfile::tempdir().unwrap();
    let engine = start(root.path(), &[]).await;
    for (path, length, status) in [
        ("/api/users", 100_000, 401),
        ("/api/users", 8_000_000, 401),
        ("/nothing", 8_000_000, 405),
        ("/api/auth/login", 20_000_000, 413),
        (&*format!("/{}", "a".repeat(8200)), 8_000_000, 414),
    ] {
        for _ in 0..5 {
            let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            let mut stream = connect(engine.address(), &head).await;
            stream.write_all(&vec![b' '; length]).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{path}: {answer}"
            );
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1);
        }
    }
    engine.stop().await;
}
