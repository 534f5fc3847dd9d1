//! How much callers may take of the server: every size and count in one place (deadlines are in [`Timing`]). No
//! variables: production runs with the defaults, tests lower what they would otherwise have to fill.
//!
//! [`Timing`]: super::timing::Timing

/// How much callers may take of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Sockets with an identity, or all of them where nobody is asked for one; far above any fleet.
    pub sockets: usize,
    /// Of these, those of one device: a terminal server has an agent for each of its users. The oldest ends for the next.
    pub sockets_of_device: usize,
    /// Bytes from sockets that wait to be handled, of all sockets together. Two long messages go on beyond it.
    pub waiting_bytes: usize,
    /// Bytes of bodies of requests that are being read, of all callers together, where they are asked for an identity. Two
    /// bodies go on beyond it; from one address come a quarter of it and one of these.
    pub body_bytes: usize,
    /// Connections without a request on which something has come and nobody has shown who it is, of all peers together;
    /// fewer where the process may open fewer files. One on which something was asked costs 30 kB.
    pub idle_connections: usize,
    /// Connections on which nothing has come yet, of all peers together; fewer where few more files may be opened. Each
    /// costs 3 kB.
    pub silent_connections: usize,
    /// Bytes of heads of requests that have not come whole, of all those connections together. What is left of a longer
    /// head once it was answered counts, too.
    pub head_bytes: usize,
    /// The limits of clients without identity.
    pub anonymous: AnonymousBounds,
}

/// The limits of clients that show no identity, and of what they send. Where the policy asks nobody for an
/// identity these do not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AnonymousBounds {
    /// Bytes of a body of a login, a code, a poll or a refresh.
    pub body: usize,
    /// Such bodies, and requests to enroll, that are read at the same time from one address. The oldest ends for the
    /// next.
    pub bodies_per_address: usize,
    /// Bytes of a request to enroll.
    pub enrollment_body: usize,
    /// Bytes of the host name in it.
    pub hostname: usize,
    /// Bytes of the text of the key in it.
    pub public_key: usize,
    /// Bytes of the text of the nonce in it.
    pub nonce: usize,
    /// Requests with one install code that wait for an operator.
    pub pending_requests: usize,
    /// Values in one JSON text, whoever sends it: each takes far more memory than its text.
    pub json_values: usize,
    /// Sockets from one address. The oldest ends for the next.
    pub sockets_per_address: usize,
    /// Sockets in all, beside those with an identity.
    pub sockets: usize,
    /// Bytes of a message. Such a socket may send no event, so it needs no long ones.
    pub message: usize,
    /// Messages of one socket that wait to be handled.
    pub waiting_messages: usize,
    /// Bytes that wait to be handled, of all such sockets together, beside those of the others.
    pub waiting_bytes: usize,
    /// Bytes of what it sends that are sent back: the name of a namespace that it is refused.
    pub echo: usize,
    /// Frames that wait to be sent to one socket.
    pub waiting_frames: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            sockets: 50_000,
            sockets_of_device: 128,
            waiting_bytes: 64_000_000,
            body_bytes: 128_000_000,
            idle_connections: 600,
            silent_connections: 8192,
            head_bytes: 8_000_000,
            anonymous: AnonymousBounds::default(),
        }
    }
}

impl Default for AnonymousBounds {
    fn default() -> Self {
        Self {
            body: 64 * 1024,
            bodies_per_address: 32,
            enrollment_body: 1024 * 1024,
            hostname: 1024,
            public_key: 4096,
            nonce: 1024,
            pending_requests: 100,
            json_values: 200_000,
            sockets_per_address: 64,
            sockets: 2000,
            message: 64 * 1024,
            waiting_messages: 8,
            waiting_bytes: 4_000_000,
            echo: 64,
            waiting_frames: 64,
        }
    }
}
