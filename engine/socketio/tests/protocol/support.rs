//! Servers on loopback, and clients that show every byte.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

/// How long an answer may take before the test has failed; never waited for when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server that runs until its test is over.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    path: &'static str,
}

impl Server {
    pub(crate) async fn start(routes: Router, path: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, path }
    }

    /// Status and body of a request with this query.
    pub(crate) async fn http(&self, method: &str, query: &str, body: &str) -> (u16, String) {
        let mut stream = self.begin(method, query, body).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.get(9..12).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Sends a request and does not wait for its answer.
    pub(crate) async fn begin(&self, method: &str, query: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {}?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.path,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// A websocket; `None` where the server wants none.
    pub(crate) async fn websocket(&self, query: &str) -> Option<Socket> {
        let url = format!("ws://{}{}?{query}", self.address, self.path);
        let stream = TcpStream::connect(self.address).await.unwrap();
        let opened = client_async(url.into_client_request().unwrap(), stream).await;
        opened.ok().map(|(socket, _)| Socket(socket))
    }

    /// A websocket whose handshake was read.
    pub(crate) async fn open(&self) -> Socket {
        let mut socket = self.websocket("EIO=4&transport=websocket").await.unwrap();
        assert!(socket.text().await.starts_with("0{"));
        socket
    }

    /// The query of a new client that polls.
    pub(crate) async fn poller(&self) -> String {
        let (status, body) = self.http("GET", "EIO=4&transport=polling", "").await;
        assert_eq!(status, 200);
        let open: serde_json::Value = serde_json::from_str(body.strip_prefix('0').unwrap()).unwrap();
        format!("EIO=4&transport=polling&sid={}", open["sid"].as_str().unwrap())
    }
}

/// A websocket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Sends the first part of a message, whose rest never comes.
    pub(crate) async fn begin(&mut self, part: String) {
        let frame = Frame::message(part, OpCode::Data(Data::Text), false);
        self.0.send(Message::Frame(frame)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.0.send(Message::binary(bytes)).await.unwrap();
    }

    /// Sends so many pings of the websocket protocol and waits for the answers, and as many bytes of them in all at least.
    pub(crate) async fn ping(&mut self, least: usize, bytes: usize) {
        for _ in 0..least.max(bytes / 125) {
            self.0.send(Message::Ping(vec![0; 125].into())).await.unwrap();
            assert!(matches!(self.next().await, Some(Message::Pong(_))));
        }
    }

    /// What comes next; `None` where the server ends the connection.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap() {
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(message)) => Some(message),
        }
    }

    /// The next message, which is text.
    pub(crate) async fn text(&mut self) -> String {
        self.next().await.unwrap().into_text().unwrap().to_string()
    }

    /// The next message, which is binary.
    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        match self.next().await.unwrap() {
            Message::Binary(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the server ends the connection, whatever it says before.
    pub(crate) async fn ends(mut self) -> bool {
        while self.next().await.is_some() {}
        true
    }
}
