//! A server that sends back what it gets.
//!
//! As `engine.io`, at `/engine.io/`, every message as it came. As `socket.io`, at `/socket.io/`: whoever enters `/` or
//! `/custom` gets `auth` with what it showed, `message` is answered with `message-back` and the same arguments, and
//! `message-with-ack` is acknowledged with its arguments.

use std::{sync::Arc, time::Duration};

use axum::Router;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use socketio_server::{
    Limits, Settings,
    engine_io::{Connection, Content, Frame, Handler, Inbox, Opening, Rejection, Server},
    environment::{SystemClock, SystemRandom},
    socket_io::{
        Admission, Application, Arguments, Client, ConnectError, Emit, Event, Handled, Request, Socket,
        SocketIo,
    },
};

/// A server that sends back what it gets.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Where it listens, on loopback; 0 takes any port that is free.
    #[arg(long, default_value_t = 3000)]
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
    /// What is spoken.
    #[arg(long, value_enum, default_value_t = Protocol::SocketIo)]
    pub(crate) protocol: Protocol,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Protocol {
    #[value(name = "engine.io")]
    EngineIo,
    #[value(name = "socket.io")]
    SocketIo,
}

/// The server as routes.
pub(crate) fn routes(options: &Options) -> Router {
    let settings = Settings {
        path: match options.protocol {
            Protocol::EngineIo => "/engine.io/".to_owned(),
            Protocol::SocketIo => "/socket.io/".to_owned(),
        },
        ping_interval: Duration::from_millis(options.ping_interval),
        ping_timeout: Duration::from_millis(options.ping_timeout),
        limits: Limits {
            message: options.max_payload,
            connect_timeout: Some(Duration::from_millis(options.connect_timeout)),
            ..Limits::default()
        },
        ..Settings::default()
    };
    match options.protocol {
        Protocol::EngineIo => serve(EngineEcho, settings),
        Protocol::SocketIo => {
            let handler = SocketIo::new(SocketEcho, &settings, Arc::new(SystemRandom));
            serve(handler, settings)
        }
    }
}

fn serve(handler: impl Handler, settings: Settings) -> Router {
    let clock = Arc::new(SystemClock::default());
    Arc::new(Server::new(
        handler,
        Arc::default(),
        settings,
        clock,
        Arc::new(SystemRandom),
    ))
    .router()
}

struct EngineEcho;

impl Handler for EngineEcho {
    type Client = Arc<Connection>;

    fn admit(&self, opening: &mut Opening<'_>) -> Result<Arc<Self::Client>, Rejection> {
        let limits = opening.limits().clone();
        Ok(Arc::new(opening.accept(limits, String::new())))
    }

    async fn run(&self, client: Arc<Self::Client>, mut inbox: Inbox) {
        while let Some(message) = inbox.next().await {
            client.send(&[match message.content {
                Content::Text(text) => Frame::message(&String::from_utf8_lossy(&text)),
                Content::Binary(bytes) => Frame::Binary(bytes),
            }]);
        }
    }
}

struct SocketEcho;

impl Application for SocketEcho {
    type Peer = ();
    type Data = Value;

    fn admit(&self, _request: &Request<'_>) -> Result<Admission<()>, Rejection> {
        Ok(Admission::of(()))
    }

    async fn may_enter(
        &self,
        _client: &Client<(), Value>,
        namespace: &str,
        _auth: Option<&Value>,
    ) -> Result<(), ConnectError> {
        match namespace {
            "/" | "/custom" => Ok(()),
            _ => Err(ConnectError::message("Invalid namespace")),
        }
    }

    async fn entered(&self, socket: &Socket<'_, (), Value>, auth: Option<Value>) {
        socket.emit("auth", &[auth.unwrap_or_else(|| json!({}))]);
    }

    async fn event(&self, socket: &Socket<'_, (), Value>, event: Event<Value>) -> Handled<Value> {
        let Arguments { values, attachments } = event.arguments.clone();
        match event.name() {
            "message" => {
                socket.client.emit(&Emit {
                    attachments,
                    ..Emit::new(socket.namespace, "message-back", &values)
                });
                Handled::Unacknowledged
            }
            "message-with-ack" => Handled::Done(Arguments { values, attachments }),
            _ => Handled::Unacknowledged,
        }
    }
}

#[tokio::main]
#[allow(dead_code, reason = "the tests use what is above")]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes(&options)).await
}
