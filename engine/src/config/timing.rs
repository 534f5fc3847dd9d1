//! How long the server waits for others. No variables: production runs with the defaults, tests shorten what they
//! would otherwise have to sit out.

use std::time::Duration;

/// How long the server waits for others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// How long after its connection, and after each pong, a socket is pinged.
    pub ping_interval: Duration,
    /// How long a socket's pong may take.
    pub ping_timeout: Duration,
    /// Bytes a second, either way, at which a socket's client is busy rather than gone while its pong is awaited.
    pub slowest_transfer: u64,
    /// How long the move of a polling session to a websocket may take.
    pub upgrade_deadline: Duration,
    /// How long the last frames of an ended session are tried.
    pub farewell_deadline: Duration,
    /// How long a client may take for the head of its first request, the first byte included.
    pub head_deadline: Duration,
    /// How long a connection may be idle between requests, the head of the next one included. Longer than proxies keep
    /// theirs (60 s), so that none sends a request on a connection that is being closed.
    pub idle_deadline: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_deadline: Duration,
    /// How long a request's body may stop coming.
    pub body_deadline: Duration,
    /// How long the body of a caller may take who shows no identity, beside the time that it needs at
    /// [`Timing::slowest_transfer`].
    pub anonymous_body_deadline: Duration,
    /// How long a socket without identity may take until it has entered its namespace.
    pub namespace_deadline: Duration,
    /// How long the rest of a body is read that nobody wants, so that its sender sees the answer; it begins anew as
    /// long as 10 kB a second come.
    pub unread_body_deadline: Duration,
    /// How long running requests may take to finish once the server is asked to stop.
    pub stop_deadline: Duration,
    /// How long a request waits for the database, whoever else waits too.
    pub database_deadline: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            slowest_transfer: 10_000,
            upgrade_deadline: Duration::from_secs(10),
            farewell_deadline: Duration::from_secs(2),
            head_deadline: Duration::from_secs(60),
            idle_deadline: Duration::from_secs(75),
            write_deadline: Duration::from_secs(60),
            body_deadline: Duration::from_secs(60),
            anonymous_body_deadline: Duration::from_secs(10),
            namespace_deadline: Duration::from_secs(15),
            unread_body_deadline: Duration::from_secs(5),
            stop_deadline: Duration::from_secs(10),
            database_deadline: Duration::from_secs(5),
        }
    }
}
