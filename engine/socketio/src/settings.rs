//! The settings of a server: deadlines, bounds and leniency, in one place.

use std::time::Duration;

use crate::{engine_io::Budget, long_work::LongWork};

/// How a server works. The defaults are those of the protocols' own documents where these give any.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where requests are answered by [`Server::router`], with a slash at either end.
    ///
    /// [`Server::router`]: crate::engine_io::Server::router
    pub path: String,
    /// How long after its handshake, and after each pong, a client is pinged.
    pub ping_interval: Duration,
    /// How long its pong may take.
    pub ping_timeout: Duration,
    /// Bytes a second, either way, at which a client is busy rather than gone while its pong is awaited.
    pub slowest_transfer: u64,
    /// How long the move from polling to a websocket may take.
    pub upgrade_timeout: Duration,
    /// How long the last packets of a connection that ends are tried.
    pub farewell_timeout: Duration,
    /// How long the body of a POST, or the attachments of a packet, may stop coming.
    pub body_timeout: Duration,
    /// Packets in one answer to a poll: clients made with python-engineio take no more than 16.
    pub packets_per_answer: usize,
    /// Answers to polls are compressed from this size on, if the client takes that.
    pub compress_from: Option<usize>,
    /// Attachments of one packet, each of which may be as long as any message: current JavaScript clients drop the connection over more.
    pub most_attachments: usize,
    /// Namespaces that one client may enter.
    pub most_namespaces: usize,
    /// What one client may take of the server, unless its admission says otherwise. The largest message of these is
    /// announced to every client.
    pub limits: Limits,
    /// Where clients are treated more kindly than the protocols say.
    pub leniency: Leniency,
    /// Where long packets are read.
    pub long_work: LongWork,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/socket.io/".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            slowest_transfer: 10_000,
            upgrade_timeout: Duration::from_secs(10),
            farewell_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(60),
            packets_per_answer: 16,
            compress_from: Some(1024),
            most_attachments: 10,
            most_namespaces: 100,
            limits: Limits::default(),
            leniency: Leniency::default(),
            long_work: LongWork::default(),
        }
    }
}

/// What one client may take of the server. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message, or body of a POST.
    pub message: usize,
    /// Messages that wait to be handled; then no more is read of the client.
    pub waiting_messages: usize,
    /// The same of their bytes, short messages only: long ones take of the budget alone.
    pub waiting_bytes: usize,
    /// Frames that wait to be sent. A client that is further behind is closed.
    pub unsent_frames: usize,
    /// The same of their bytes, unless it is one event alone.
    pub unsent_bytes: usize,
    /// Values in the JSON text of one packet.
    pub json_values: usize,
    /// The longest name of a namespace that a refusal repeats.
    pub longest_echo: usize,
    /// How long the client may take to enter its first namespace; `None` for ever.
    pub connect_timeout: Option<Duration>,
    /// What it shares with others.
    pub budget: Budget,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 1_000_000,
            waiting_messages: 64,
            waiting_bytes: 4_000_000,
            unsent_frames: 4096,
            unsent_bytes: 128 * 1024 * 1024,
            json_values: 1_000_000,
            longest_echo: LONGEST_NAMESPACE,
            connect_timeout: Some(Duration::from_secs(45)),
            budget: Budget::new(64_000_000),
        }
    }
}

/// Bytes of the name of a namespace.
pub const LONGEST_NAMESPACE: usize = 255;

/// Where a server is kinder than the protocols say. By default nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leniency {
    /// A request that names no transport polls.
    pub assumes_polling: bool,
    /// Malformed Socket.IO packets, and those for namespaces that their client has not entered, are ignored; a body that
    /// cannot be read is refused alone. Otherwise all of these close the connection, as the protocols say.
    pub ignores_malformed: bool,
    /// A poll takes the place of an earlier one that still waits, and what a client missed by hanging up it gets from the
    /// next poll. Otherwise both close the connection.
    pub replaces_polls: bool,
    /// The end of an upgrade, `5`, is answered with `6` on the websocket.
    pub answers_upgrades: bool,
    /// What is answered once the packets of a POST are handled is `OK` and not `ok`; a poll that waits while its client
    /// closes gets 400 and not `6`; the first poll after a connection has ended is told that it has, and those behind it
    /// that there is none; other methods get 405, and `OPTIONS` gets 200.
    pub answers_as_python: bool,
    /// A message whose text is a JSON string is what that string says. Otherwise it is no packet.
    pub unwraps_strings: bool,
    /// Reads the index of a JSONP callback, which Engine.IO 4 has no more; without it `j` means nothing.
    pub jsonp_index: Option<fn(&str) -> Option<i128>>,
}

impl Leniency {
    /// The habits of python-engineio and python-socketio, which clients may rely on.
    pub fn python(jsonp_index: fn(&str) -> Option<i128>) -> Self {
        Self {
            assumes_polling: true,
            ignores_malformed: true,
            replaces_polls: true,
            answers_upgrades: true,
            answers_as_python: true,
            unwraps_strings: true,
            jsonp_index: Some(jsonp_index),
        }
    }
}
