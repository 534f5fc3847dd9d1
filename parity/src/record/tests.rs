//! What passes through the proxy, and that a recording has it.

mod written;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::{Clock, Composed, Front, Limits, Plan, Proxy, Upstream, compose};
use crate::target::tls::Verification;

/// A clock that moves on by a millisecond with each look.
#[derive(Debug)]
struct Ticks(AtomicI64);

impl Clock for Ticks {
    fn now_us(&self) -> i64 {
        self.0.fetch_add(1000, Ordering::Relaxed)
    }
}

fn proxy(upstream: SocketAddr, limits: Limits) -> (Proxy, SocketAddr) {
    let proxy = Proxy::new(Arc::new(Ticks(AtomicI64::new(1_700_000_000_000_000))), limits);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = proxy
        .serve(listener, Front::Plain, Upstream::at(upstream))
        .unwrap();
    (proxy, address)
}

fn plan(address: SocketAddr) -> Plan {
    Plan {
        area: "a".to_owned(),
        name: "b".to_owned(),
        addresses: vec![(address.to_string(), format!("http://{address}"))],
        keep_pages: true,
        ..Plan::default()
    }
}

/// Gives these answers, one connection each, whatever is asked.
async fn upstream(answers: Vec<Vec<u8>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !is_whole(&asked) {
                stream.read_buf(&mut asked).await.unwrap();
            }
            stream.write_all(&answer).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    address
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

async fn ask(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

/// What asking these gives, each over a connection of its own, and what was recorded.
async fn record(limits: Limits, exchanges: &[(&str, &[u8])]) -> (Vec<Vec<u8>>, Composed) {
    let upstream = upstream(exchanges.iter().map(|(_, answer)| answer.to_vec()).collect()).await;
    let (proxy, address) = proxy(upstream, limits);
    let mut answers = Vec::new();
    for (request, _) in exchanges {
        answers.push(ask(address, request).await);
    }
    let journal = proxy.finish().await.unwrap();
    (answers, compose(journal, &plan(address)))
}

fn answer(body: &Value, more: &str) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{more}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn post(path: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn steps(composed: &Composed) -> Vec<Value> {
    composed.recording["steps"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_byte_passes_and_the_wire_is_recorded_as_it_was() {
    let answer = b"HTTP/1.1 200 FINE\r\nX-ODD-case: a\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nT: x\r\n\r\n";
    let closes = b"HTTP/1.0 404 NOT FOUND\r\n\r\nto the end";
    let (answers, composed) = record(
        Limits::default(),
        &[
            (
                "GET //odd/%zz?x=% HTTP/1.1\r\nHost: h\r\nx-Own: 1\r\n\r\n",
                answer,
            ),
            (
                "HEAD /h HTTP/1.1\r\nHost: h\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            ),
            ("GET /c HTTP/1.1\r\nHost: h\r\n\r\n", closes),
        ],
    )
    .await;
    assert_eq!(answers[0], answer);
    assert_eq!(answers[2], closes);
    let steps = steps(&composed);
    assert_eq!(
        steps[0]["request"],
        json!({"method": "GET", "path": "//odd/%zz?x=%", "headers": {"Host": "h", "x-Own": "1"}})
    );
    let wire = json!({"version": "1.1", "reason": "FINE", "length": 7, "headers": [["X-ODD-case", "a"], ["Transfer-Encoding", "chunked"]]});
    assert_eq!(
        steps[0]["response"],
        json!({"status": 200, "wire": wire, "json": {"a": 1}, "raw": "{\"a\":1}"})
    );
    assert_eq!(steps[1]["response"]["wire"]["length"], json!(0));
    assert_eq!(steps[2]["response"]["text"], json!("to the end"));
    assert_eq!(steps[2]["response"]["wire"]["version"], json!("1.0"));
    assert!(composed.summary.left_out.is_empty(), "{}", composed.summary);
}

#[tokio::test]
async fn what_is_too_long_passes_and_is_in_no_step() {
    let long = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}",
        "x".repeat(5000)
    );
    let limits = Limits {
        body: 1000,
        ..Limits::default()
    };
    let (answers, composed) = record(
        limits,
        &[
            ("GET /long HTTP/1.1\r\n\r\n", long.as_bytes()),
            (
                "GET /short HTTP/1.1\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            ),
        ],
    )
    .await;
    assert_eq!(answers[0], long.as_bytes());
    assert_eq!(steps(&composed).len(), 1);
    let told = &composed.summary.left_out;
    assert!(
        told.len() == 1 && told[0].starts_with("GET /long: its answer has 5000 bytes"),
        "{told:?}"
    );
}

#[tokio::test]
async fn nothing_is_held_back_from_a_client() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    let (go_on, wait) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 256];
        let _ = stream.read(&mut asked).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            .await
            .unwrap();
        wait.await.unwrap();
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let (proxy, address) = proxy(server, Limits::default());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The server goes on only once its first chunk has arrived.
    while !answer.ends_with(b"1\r\na\r\n") {
        client.read_buf(&mut answer).await.unwrap();
    }
    go_on.send(()).unwrap();
    while !answer.ends_with(b"0\r\n\r\n") {
        client.read_buf(&mut answer).await.unwrap();
    }
    drop(client);
    assert_eq!(proxy.finish().await.unwrap().exchanges(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_told_to_the_client_and_at_the_end() {
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let gone = nobody.local_addr().unwrap();
    drop(nobody);
    let (proxy, address) = proxy(gone, Limits::default());
    let text = String::from_utf8(ask(address, "GET / HTTP/1.1\r\n\r\n").await).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 502 ") && text.contains("cannot be reached"),
        "{text}"
    );
    let journal = proxy.finish().await.unwrap();
    assert_eq!(journal.exchanges(), 0);
    assert!(
        journal.refusals().contains("1 connections found no server"),
        "{}",
        journal.refusals()
    );
}

#[tokio::test]
async fn tls_lies_under_both_sides_and_a_stranger_s_certificate_is_refused() {
    let server = upstream(vec![answer(&json!({"a": 1}), ""); 2]).await;
    let listener = || std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let ticks = || Arc::new(Ticks(AtomicI64::new(0)));
    let (front, pem) = Front::with_tls(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let behind = Proxy::new(ticks(), Limits::default());
    let address = behind.serve(listener(), front, Upstream::at(server)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let url = format!("https://localhost:{}", address.port());
    let ask_through = async |trust: &Verification| {
        let proxy = Proxy::new(ticks(), Limits::default());
        let upstream = Upstream::read(&url, trust).unwrap();
        let address = proxy.serve(listener(), Front::Plain, upstream).unwrap();
        let answer = ask(address, "GET / HTTP/1.1\r\n\r\n").await;
        (
            String::from_utf8(answer).unwrap(),
            proxy.finish().await.unwrap().exchanges(),
        )
    };
    for trust in [Verification::Authority(file), Verification::Insecure] {
        let (answer, exchanges) = ask_through(&trust).await;
        assert!(answer.ends_with("{\"a\":1}") && exchanges == 1, "{answer}");
    }
    let (answer, exchanges) = ask_through(&Verification::System).await;
    assert!(
        answer.contains("502") && answer.contains("TLS with localhost") && exchanges == 0,
        "{answer}"
    );
    assert_eq!(behind.finish().await.unwrap().exchanges(), 2);
    let none = Upstream::read(&url, &Verification::Authority(folder.path().join("none.pem"))).unwrap_err();
    assert!(
        none.to_string()
            .contains("it has to hold a certificate in PEM form"),
        "{none}"
    );
}

#[tokio::test]
async fn a_reader_that_cannot_follow_loses_a_connection_and_its_client_nothing() {
    let limits = Limits {
        waiting: 0,
        ..Limits::default()
    };
    let sent = answer(&json!({}), "");
    let (answers, composed) = record(limits, &[("GET / HTTP/1.1\r\n\r\n", &sent)]).await;
    assert_eq!(answers[0], sent);
    assert_eq!(steps(&composed), [] as [Value; 0]);
    assert!(
        composed.summary.to_string().contains("than could be kept"),
        "{}",
        composed.summary
    );
}
