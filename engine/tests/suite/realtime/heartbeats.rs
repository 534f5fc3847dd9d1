//! Whom the server takes for gone, and whom for busy.
#![allow(
    clippy::disallowed_methods,
    reason = "clients that are slow on purpose pause in real time"
)]

use std::time::Duration;

use borealis_engine::Settings;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::DEVICE;
use crate::testkit::{server::Server, socket::Client};

/// How long an end may take that is sure to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes a second that count as moving, in these tests.
const SLOWEST: u64 = 20_000;
/// What a client that moves sends or takes at a time, between pauses.
const PIECE: usize = 16_000;
const PAUSE: Duration = Duration::from_millis(100);

/// A pong must come within three seconds; data that moves is some eight times as fast as it must be.
fn shortened(settings: &mut Settings) {
    settings.timing.ping_interval = Duration::from_millis(300);
    settings.timing.ping_timeout = Duration::from_secs(3);
    settings.timing.slowest_transfer = SLOWEST;
}

/// A text frame as clients send it, under a mask that changes nothing.
fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0xff];
    frame.extend((text.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// An event of so many bytes, and what its sender gets at its end.
fn large_event(size: usize) -> (String, &'static [u8]) {
    (
        format!("427[\"list_agent_windows\",\"{}\"]", "x".repeat(size)),
        b"437[]",
    )
}

/// Whether the connection gives `wanted` before it ends. Pings are answered.
async fn gives(stream: &mut TcpStream, wanted: &[u8]) -> bool {
    let pong = text_frame("3");
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let mut read = vec![0; 256 * 1024];
        let Ok(count) = timeout(PATIENCE, stream.read(&mut read)).await.unwrap() else {
            return false;
        };
        if count == 0 {
            return false;
        }
        tail.extend(&read[..count]);
        if tail.windows(wanted.len()).any(|part| part == wanted) {
            return true;
        }
        tail.drain(..tail.len().saturating_sub(wanted.len()));
        if stream.write_all(&pong).await.is_err() {
            return false;
        }
    }
}

/// Sends piece by piece, with pauses; false where the connection ends meanwhile.
async fn send_slowly(stream: &mut TcpStream, bytes: &[u8], piece: usize) -> bool {
    for piece in bytes.chunks(piece) {
        if stream.write_all(piece).await.is_err() {
            return false;
        }
        sleep(PAUSE).await;
    }
    true
}

#[tokio::test]
async fn an_upload_that_moves_is_not_cut_off() {
    let server = Server::start_with("legacy", "", shortened).await;
    let mut stream = Client::join_new(&server, &[]).await.into_stream();
    let (event, answer) = large_event(900_000);
    assert!(send_slowly(&mut stream, &text_frame(&event), PIECE).await);
    assert!(gives(&mut stream, answer).await);
    server.stop().await;
}

#[tokio::test]
async fn a_download_that_moves_is_not_cut_off() {
    let server = Server::start_with("legacy", "", |settings| {
        shortened(settings);
        settings.timing.slowest_transfer *= 10;
    })
    .await;
    let mut stream = Client::join_new(&server, &[]).await.into_stream();
    let mut sender = Client::join_new(&server, &[]).await;
    let (event, answer) = large_event(12_000_000);
    sender.send(&event).await;
    let reading = async {
        let mut read = 0;
        let mut piece = vec![0; 10 * PIECE];
        while read < event.len() {
            let count = timeout(PATIENCE, stream.read(&mut piece))
                .await
                .unwrap()
                .unwrap_or(0);
            assert_ne!(count, 0, "cut off after {read} bytes");
            read += count;
            sleep(PAUSE * u32::try_from(count).unwrap() / u32::try_from(10 * PIECE).unwrap()).await;
        }
        stream.write_all(&text_frame("3")).await.unwrap();
        stream
            .write_all(&text_frame("427[\"list_agent_windows\",0]"))
            .await
            .unwrap();
        assert!(gives(&mut stream, answer).await);
    };
    tokio::select! {
        () = reading => {}
        // It answers its pings.
        () = async { loop { if sender.frame().await == "2" { sender.send("3").await } } } => {}
    }
    server.stop().await;
}

#[tokio::test]
async fn an_upload_that_stops_or_trickles_is_cut_off() {
    let server = Server::start_with("legacy", "", shortened).await;
    let (event, answer) = large_event(900_000);
    let frame = text_frame(&event);
    let start = &frame[..100_000];
    let stops = async {
        let mut stream = Client::join_new(&server, &[]).await.into_stream();
        stream.write_all(start).await.unwrap();
        assert!(!gives(&mut stream, answer).await);
    };
    let trickles = async {
        let mut stream = Client::join_new(&server, &[]).await.into_stream();
        let trickle = timeout(PATIENCE, send_slowly(&mut stream, start, 10)).await;
        assert_eq!(trickle, Ok(false));
    };
    tokio::join!(stops, trickles);
    server.stop().await;
}

/// The sid of a new session over polling that is in the namespace.
async fn polling_session(server: &Server) -> String {
    let (_, _, body) = server.poll("GET", "EIO=4", &[], "").await;
    let packet: serde_json::Value = serde_json::from_slice(body.strip_prefix(b"0").unwrap()).unwrap();
    let sid = packet["sid"].as_str().unwrap().to_owned();
    assert_eq!(server.poll("POST", &format!("sid={sid}"), &[], "40").await.0, 200);
    sid
}

#[tokio::test]
async fn a_polling_client_s_upload_that_moves_is_not_cut_off() {
    let server = Server::start_with("legacy", "", shortened).await;
    let sid = polling_session(&server).await;
    let query = format!("sid={sid}");
    let (event, answer) = large_event(900_000);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /socket.io/?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        event.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let sending = async {
        assert!(send_slowly(&mut stream, event.as_bytes(), PIECE).await);
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    };
    // Meanwhile it polls, as clients do; its pong would have to wait behind the upload.
    let polling = async {
        loop {
            let (status, _, body) = server.poll("GET", &query, &[], "").await;
            assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            if body.ends_with(answer) {
                break;
            }
        }
    };
    tokio::join!(sending, polling);
    server.stop().await;
}

#[tokio::test]
async fn a_polling_client_s_download_that_moves_is_not_cut_off() {
    let server = Server::start_with("legacy", "", |settings| {
        shortened(settings);
        settings.timing.slowest_transfer *= 10;
    })
    .await;
    let sid = polling_session(&server).await;
    let query = format!("sid={sid}");
    let (event, answer) = large_event(12_000_000);
    let (_, _, joined) = server.poll("GET", &query, &[], "").await;
    assert!(joined.windows(3).any(|part| part == b"40{"));
    if joined.starts_with(b"2") {
        assert_eq!(server.poll("POST", &query, &[], "3").await.0, 200);
    }
    assert_eq!(server.poll("POST", &query, &[], &event).await.0, 200);
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut piece = vec![0; 10 * PIECE];
    let mut body: Vec<u8> = Vec::new();
    loop {
        let count = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap().unwrap();
        if count == 0 {
            break;
        }
        body.extend(&piece[..count]);
        sleep(PAUSE * u32::try_from(count).unwrap() / u32::try_from(10 * PIECE).unwrap()).await;
    }
    assert!(body.len() > event.len(), "{} bytes came", body.len());
    assert!(body.windows(answer.len()).any(|part| part == answer));
    // It goes on.
    let next = "3\u{1e}428[\"list_agent_windows\",0]";
    assert_eq!(server.poll("POST", &query, &[], next).await.0, 200);
    loop {
        let (status, _, body) = server.poll("GET", &query, &[], "").await;
        assert_eq!(status, 200);
        if body.ends_with(b"438[]") {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_let_go() {
    let server = Server::start_with("legacy", "", shortened).await;
    let mut client = Client::join_new(&server, &[]).await;
    assert_eq!(client.frame().await, "2");
    assert!(client.ends_without_a_word().await);
    // Over polling the request that waits says so.
    let query = format!("sid={}", polling_session(&server).await);
    while server.poll("GET", &query, &[], "").await.0 == 200 {}
    let (status, _, body) = server.poll("GET", &query, &[], "").await;
    assert!(status == 400 && body.starts_with(b"\"Invalid session "));
    server.stop().await;
}

#[tokio::test]
async fn pings_go_out_on_time_whatever_waits_to_be_handled() {
    let server = Server::start_with("legacy", DEVICE, shortened).await;
    let mut client = Client::join_new(&server, &[]).await;
    let lock = server.lock_database().await;
    let heartbeat = json!({ "agent_id": "A", "hostname": "WIN-1" });
    for number in 0..3 {
        client
            .send(&format!("42{number}[\"agent_heartbeat\",{heartbeat}]"))
            .await;
    }
    // The first event waits for the database, the others for the first.
    assert_eq!(client.frame().await, "2");
    client.send("3").await;
    assert_eq!(client.frame().await, "2");
    client.send("3").await;
    drop(lock);
    for number in 0..3 {
        let mut frame = client.frame().await;
        while frame == "2" {
            client.send("3").await;
            frame = client.frame().await;
        }
        assert_eq!(frame, format!("43{number}[]"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_pong_behind_a_full_inbox_is_waited_for() {
    let server = Server::start_with("legacy", DEVICE, shortened).await;
    let mut client = Client::join_new(&server, &[]).await;
    let lock = server.lock_database().await;
    let heartbeat = json!({ "agent_id": "A", "hostname": "WIN-1" });
    // The first one waits for the database; of the others more come than the server lets wait.
    client.send(&format!("42[\"agent_heartbeat\",{heartbeat}]")).await;
    for _ in 0..200 {
        client.send("42[\"request_config\",{\"agent_id\":\"A\"}]").await;
    }
    assert_eq!(client.frame().await, "2");
    client.send("3").await;
    // Longer than a pong may take.
    sleep(Duration::from_secs(5)).await;
    drop(lock);
    client.call_and_pass_over("connect_agent", json!({})).await;
    server.stop().await;
}

#[tokio::test]
async fn an_event_under_way_is_carried_through_when_its_client_goes() {
    let rows = "INSERT INTO activity_history (id, hostname, script_path, script_name, script_type, ran_at, status) \
        VALUES (7, 'WIN-1', 'p', 'n', 't', 1, 'Running'), (8, 'WIN-1', 'p', 'n', 't', 1, 'Running')";
    let server = Server::start_with("legacy", rows, shortened).await;
    let mut watcher = Client::join_new(&server, &[]).await;
    let going = async {
        let mut client = Client::join_new(&server, &[]).await;
        let lock = server.lock_database().await;
        for id in [7, 8] {
            let result = json!({ "job_id": id, "status": "Success", "stdout": "done" });
            client.send(&format!("42[\"quick_job_result\",{result}]")).await;
        }
        // Its session ends while the first is under way and the second waits.
        assert_eq!(client.frame().await, "2");
        assert!(client.ends_without_a_word().await);
        drop(lock);
    };
    let watching = async {
        let mut told = 0;
        while told < 2 {
            let frame = watcher.frame().await;
            if frame == "2" {
                watcher.send("3").await;
            } else {
                assert!(frame.starts_with("42[\"device_activity_changed\","), "{frame}");
                told += 1;
            }
        }
    };
    tokio::join!(going, watching);
    server.stop().await;
}
