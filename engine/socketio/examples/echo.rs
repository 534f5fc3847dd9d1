//! A server that sends back what it gets.
//!
//! As `engine.io`, at `/engine.io/`, every message as it came. As `socket.io`, at `/socket.io/`: whoever enters `/` or
//! `/custom` gets `auth` with what it showed, `message` is answered with `message-back` and the same arguments, and
//! `message-with-ack` is acknowledged with its arguments. `broadcast` goes to everybody in the namespace, and is acknowledged
//! once it is on its way: `parity bench channel` asks for that.

use std::{sync::Arc, time::Duration};

use axum::Router;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use socketio_server::{
    Limits, Settings,
    engine_io::{Connection, Connections, Content, Frame, Handler, Inbox, Opening, Rejection, Server},
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
        Protocol::EngineIo => serve(EngineEcho, Arc::default(), settings),
        Protocol::SocketIo => {
            let connections = Arc::default();
            let application = SocketEcho(Arc::clone(&connections));
            let handler = SocketIo::new(application, &settings, Arc::new(SystemRandom));
            serve(handler, connections, settings)
        }
    }
}

fn serve<H: Handler>(handler: H, connections: Arc<Connections<H::Client>>, settings: Settings) -> Router {
    let clock = Arc::new(SystemClock::default());
    let random = Arc::new(SystemRandom);
    Arc::new(Server::new(handler, connections, settings, clock, random)).router()
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

struct SocketEcho(Arc<Connections<Client<(), Value>>>);

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
            "broadcast" => {
                // Written once, whoever gets it.
                let packets = Emit {
                    attachments,
                    ..Emit::new(socket.namespace, "broadcast", &values)
                }
                .packets();
                for client in self.0.select(|client| client.is_in(socket.namespace)) {
                    client.send(&packets);
                }
                Handled::Done(Arguments::none())
            }
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
