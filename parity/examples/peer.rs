//! What `examples/echo.rs` of this project's own Socket.IO server does as `socket.io`, on socketioxide: the other server of
//! `parity bench channel`, and the one that parity's own client is tested against.
//!
//! It is what a program makes of socketioxide that follows its documentation, with its defaults where echo.rs has no option.
//! `message`, `message-with-ack` and `broadcast` take one argument, as socketioxide's handlers do.

use std::time::Duration;

use axum::Router;
use clap::Parser;
use serde_json::{Value, json};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef, TryData},
};

/// A server that sends back what it gets, made with socketioxide.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Where it listens, on loopback; 0 takes any port that is free.
    #[arg(long, default_value_t = 3001)]
    pub(crate) port: u16,
    /// Milliseconds between a pong and the next ping.
    #[arg(long, default_value_t = 25_000)]
    pub(crate) ping_interval: u64,
    /// Milliseconds that a pong may take.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) ping_timeout: u64,
    /// Milliseconds that a client may take to enter a namespace.
    #[arg(long, default_value_t = 45_000)]
    pub(crate) connect_timeout: u64,
    /// Bytes of the largest message.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) max_payload: usize,
}

/// The server as routes, and what it can be told while it runs.
pub(crate) fn server(options: &Options) -> (Router, SocketIo) {
    let (layer, io) = SocketIo::builder()
        .ping_interval(Duration::from_millis(options.ping_interval))
        .ping_timeout(Duration::from_millis(options.ping_timeout))
        .connect_timeout(Duration::from_millis(options.connect_timeout))
        .max_payload(options.max_payload as u64)
        .ws_max_message_size(options.max_payload)
        .ws_max_frame_size(options.max_payload)
        .build_layer();
    io.ns("/", enter);
    io.ns("/custom", enter);
    (Router::new().layer(layer), io)
}

/// What cannot be sent because the client's buffer is full is lost: there is nobody to tell.
async fn enter(socket: SocketRef, TryData(auth): TryData<Value>) {
    socket.on("message", async |socket: SocketRef, Data::<Value>(argument)| {
        let _ = socket.emit("message-back", &argument);
    });
    socket.on(
        "message-with-ack",
        async |Data::<Value>(argument), ack: AckSender| {
            let _ = ack.send(&argument);
        },
    );
    socket.on(
        "broadcast",
        async |socket: SocketRef, io: SocketIo, Data::<Value>(argument), ack: AckSender| {
            if let Some(namespace) = io.of(socket.ns()) {
                let _ = namespace.emit("broadcast", &argument).await;
            }
            let _ = ack.send::<[u8; 0]>(&[]);
        },
    );
    let _ = socket.emit("auth", &auth.unwrap_or_else(|_| json!({})));
}

#[tokio::main]
#[allow(dead_code, reason = "the tests use what is above")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, server(&options).0).await
}
