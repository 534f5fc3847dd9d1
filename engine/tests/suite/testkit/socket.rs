//! A very small Socket.IO client that shows frames as they are.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// How long an answer may take before the test has failed; never waited for when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    calls: u32,
}

impl Client {
    /// Opens a websocket.
    pub(crate) async fn open(server: impl Into<SocketAddr>, headers: &[(&str, &str)]) -> Self {
        Self::open_at(server, "", headers).await
    }

    /// Opens a websocket with more in its query.
    pub(crate) async fn open_at(
        server: impl Into<SocketAddr>,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let address = server.into();
        let mut request = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{query}")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let (socket, _) = client_async_with_config(request, stream, None).await.unwrap();
        Self { socket, calls: 900 }
    }

    /// Opens a websocket and joins the namespace.
    pub(crate) async fn join_new(server: impl Into<SocketAddr>, headers: &[(&str, &str)]) -> Self {
        let mut client = Self::open(server, headers).await;
        client.frame().await;
        client.join().await;
        client
    }

    pub(crate) async fn join(&mut self) {
        self.send("40").await;
        let mut joined = self.frame().await;
        // Where pings are frequent, and the machine is busy, one comes before.
        while joined == "2" {
            self.send("3").await;
            joined = self.frame().await;
        }
        assert!(joined.starts_with("40{"), "{joined}");
    }

    pub(crate) async fn send(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &'static [u8]) {
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    /// Waits until the server has read everything that was sent, if it has not handled it yet.
    pub(crate) async fn is_read(&mut self) {
        self.socket.send(Message::Ping("read".into())).await.unwrap();
        while !matches!(self.message().await.unwrap(), Message::Pong(_)) {}
    }

    /// The connection below, for those who send or read it piece by piece.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.socket.into_inner()
    }

    async fn message(&mut self) -> Option<Message> {
        match tokio::time::timeout(PATIENCE, self.socket.next()).await.unwrap() {
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(message)) => Some(message),
        }
    }

    /// The next frame, which is text.
    pub(crate) async fn frame(&mut self) -> String {
        self.message().await.unwrap().into_text().unwrap().to_string()
    }

    /// The next frame, where one comes in this time.
    pub(crate) async fn frame_within(&mut self, time: Duration) -> Option<String> {
        tokio::time::timeout(time, self.frame()).await.ok()
    }

    /// All frames that came so far.
    pub(crate) async fn frames(&mut self) -> Vec<String> {
        self.send("40").await;
        let mut frames = Vec::new();
        loop {
            match self.frame().await {
                last if last == "44\"Unable to connect\"" => return frames,
                frame => frames.push(frame),
            }
        }
    }

    /// The next frame, which is binary.
    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        match self.message().await.unwrap() {
            Message::Binary(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Whether the server ends the connection, whatever it sends before.
    pub(crate) async fn is_closed(&mut self) -> bool {
        while self.message().await.is_some() {}
        true
    }

    /// Whether nothing comes but the end of the connection.
    pub(crate) async fn ends_without_a_word(&mut self) -> bool {
        self.message().await.is_none()
    }

    /// Whether the server has ended the connection while nothing was read: not all that was sent is there.
    pub(crate) async fn was_cut_off(mut self) -> bool {
        let mut frames = 0;
        while self.message().await.is_some() {
            frames += 1;
        }
        frames < 200
    }

    /// Emits an event and waits until it is acknowledged; no other frame may come before.
    pub(crate) async fn call(&mut self, event: &str, data: serde_json::Value) {
        self.calls += 1;
        let id = self.calls;
        self.send(&format!("42{id}[\"{event}\",{data}]")).await;
        assert_eq!(self.frame().await, format!("43{id}[]"), "{event}");
    }

    /// Emits an event and waits until it is acknowledged, whatever else comes before.
    pub(crate) async fn call_and_pass_over(&mut self, event: &str, data: serde_json::Value) {
        self.calls += 1;
        let id = self.calls;
        self.send(&format!("42{id}[\"{event}\",{data}]")).await;
        while self.frame().await != format!("43{id}[]") {}
    }

    /// Emits an event of which nothing may come: neither an acknowledgement nor an echo.
    pub(crate) async fn call_in_vain(&mut self, event: &str, data: serde_json::Value) {
        self.calls += 1;
        self.send(&format!("42{}[\"{event}\",{data}]", self.calls)).await;
        self.nothing_came().await;
    }

    /// Events are handled in order, so a second connect that is refused next says that nothing came before.
    pub(crate) async fn nothing_came(&mut self) {
        self.send("40").await;
        assert_eq!(self.frame().await, "44\"Unable to connect\"");
    }
}
