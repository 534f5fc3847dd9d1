//! Bounds of all connections that have no request in flight.
//!
//! The head of a request is kept in memory until it is whole, and its sender cannot be authenticated before that; an
//! idle connection is a file, and the process may open only so many. A bound by peer would not do: a whole fleet may
//! come from one address. So all of them together have a bound, and beyond it the oldest idle connections of the peer
//! that has most are evicted; idle ones end after a while anyway. A connection whose request is being read, handled or
//! answered, one that became a websocket, and one on which a device or an operator was authenticated, are never
//! evicted.
//!
//! A connection whose peer takes nothing of what is sent for too long ends, too.

pub(super) mod stream;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::task::AtomicWaker;
use http::request::Parts;

use super::compat::forwarded::network_of;
use crate::config::{bounds::Bounds, settings::Settings};

/// Bytes of a head that do not count: the HTTP library allocates as many on every connection.
const UNCOUNTED: usize = 8 * 1024;

/// All connections of the listener.
#[derive(Debug)]
pub struct Connections {
    /// Bytes of heads, of all connections without a request together.
    head_bytes: usize,
    /// Connections without a request.
    idle: usize,
    /// How long a peer may take nothing of what is sent to it.
    write_deadline: Duration,
    totals: Arc<Totals>,
    /// By the order in which they came.
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
}

/// Of the connections without a request.
#[derive(Debug, Default)]
struct Totals {
    idle: AtomicUsize,
    head_bytes: AtomicUsize,
}

impl Connections {
    /// None yet. `files` is how many files the process may open: a quarter of them is left to connections with a
    /// request, to websockets and to the database.
    pub fn new(settings: &Settings, files: Option<u64>) -> Arc<Self> {
        let Bounds {
            head_bytes,
            idle_connections,
            ..
        } = settings.bounds;
        let files = files.and_then(|files| usize::try_from(files).ok());
        Arc::new(Self {
            head_bytes,
            idle: files.map_or(idle_connections, |files| idle_connections.min(files / 4 * 3)),
            write_deadline: settings.timing.write_deadline,
            totals: Arc::default(),
            open: Mutex::default(),
        })
    }

    fn open(self: &Arc<Self>, peer: IpAddr) -> Registered {
        let connection = Arc::new(Connection {
            peer: network_of(peer),
            totals: Arc::clone(&self.totals),
            state: Mutex::default(),
            reader: AtomicWaker::new(),
        });
        let number = {
            let mut open = lock(&self.open);
            let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
            open.insert(number, Arc::clone(&connection));
            number
        };
        let idle = self.totals.idle.fetch_add(1, Ordering::Relaxed) + 1;
        if idle > self.idle {
            self.evict(|_| 1, idle - self.idle + self.idle / 16);
        }
        Registered {
            connections: Arc::clone(self),
            connection,
            number,
        }
    }

    fn note_head(&self, connection: &Connection, bytes: usize) {
        let all = connection.note_read(bytes);
        if all > self.head_bytes {
            self.evict(
                |state| state.head_bytes,
                all - self.head_bytes + self.head_bytes / 16,
            );
        }
    }

    /// Ends the oldest connections of the peer whose connections without a request take the most, until it takes so
    /// much less. More than is needed: the search looks at every connection.
    fn evict(&self, taken: impl Fn(&State) -> usize, surplus: usize) {
        let open = lock(&self.open);
        let mut peers: HashMap<IpAddr, Usage<'_>> = HashMap::new();
        for connection in open.values() {
            let state = lock(&connection.state);
            let takes = taken(&state);
            if state.is_idle() && takes > 0 {
                let peer = peers.entry(connection.peer).or_default();
                peer.all += takes;
                peer.connections.push((connection, takes));
            }
        }
        let Some(most) = peers.into_values().max_by_key(|peer| peer.all) else {
            return;
        };
        let mut freed = 0;
        for (connection, takes) in most.connections {
            if freed >= surplus {
                return;
            }
            if connection.end() {
                freed += takes;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the connections of one peer take.
#[derive(Debug, Default)]
struct Usage<'a> {
    all: usize,
    /// The oldest first, and what each takes.
    connections: Vec<(&'a Connection, usize)>,
}

#[derive(Debug)]
struct Connection {
    peer: IpAddr,
    totals: Arc<Totals>,
    state: Mutex<State>,
    /// The task that waits for bytes of the peer.
    reader: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    /// What there is of requests: being read, handled or answered. A websocket is one that does not end.
    in_flight: usize,
    /// Bytes read since there was no request.
    read: usize,
    /// What counts of the longest head: the HTTP library keeps its memory for the next one.
    head_bytes: usize,
    /// Whether a device or an operator was authenticated on it.
    is_authenticated: bool,
    ended: bool,
}

impl State {
    /// Whether it counts, and may be ended.
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && !self.is_authenticated && !self.ended
    }
}

impl Connection {
    /// All bytes of heads once these have come, too.
    fn note_read(&self, bytes: usize) -> usize {
        let mut state = lock(&self.state);
        if state.is_idle() {
            state.read += bytes;
            if state.read > UNCOUNTED.max(state.head_bytes) {
                let more = state.read - state.head_bytes;
                state.head_bytes = state.read;
                return self.totals.head_bytes.fetch_add(more, Ordering::Relaxed) + more;
            }
        }
        0
    }

    fn begin(self: &Arc<Self>) -> InFlight {
        let mut state = lock(&self.state);
        if state.is_idle() {
            self.release(&state);
        }
        state.in_flight += 1;
        state.read = 0;
        InFlight(Arc::clone(self))
    }

    /// Takes it out of the totals.
    fn release(&self, state: &State) {
        self.totals.idle.fetch_sub(1, Ordering::Relaxed);
        self.totals
            .head_bytes
            .fetch_sub(state.head_bytes, Ordering::Relaxed);
    }

    /// False where it had ended, or where a request has begun.
    fn end(&self) -> bool {
        let mut state = lock(&self.state);
        let is_idle = state.is_idle();
        if is_idle {
            self.release(&state);
            state.ended = true;
            self.reader.wake();
        }
        is_idle
    }

    fn has_ended(&self) -> bool {
        lock(&self.state).ended
    }
}

/// In a request's extensions: the connection that it came on.
#[derive(Clone, Debug)]
pub(super) struct RequestConnection(Arc<Connection>);

impl RequestConnection {
    /// Records that the caller was authenticated, where the request came on a connection of the listener's.
    pub(super) fn note_authenticated(parts: &Parts) {
        if let Some(Self(connection)) = parts.extensions.get() {
            // Its request is under way, so it is in no total.
            lock(&connection.state).is_authenticated = true;
        }
    }
}

/// Keeps a connection from being ended.
#[derive(Debug)]
struct InFlight(Arc<Connection>);

impl InFlight {
    /// For as long as the connection is open.
    fn keep(&self) {
        lock(&self.0.state).in_flight += 1;
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        self.0.begin()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let connection = &self.0;
        let mut state = lock(&connection.state);
        state.in_flight = state.in_flight.saturating_sub(1);
        if state.is_idle() {
            connection.totals.idle.fetch_add(1, Ordering::Relaxed);
            connection
                .totals
                .head_bytes
                .fetch_add(state.head_bytes, Ordering::Relaxed);
        }
    }
}

/// One of the listener's connections for as long as it is open.
#[derive(Debug)]
struct Registered {
    connections: Arc<Connections>,
    connection: Arc<Connection>,
    number: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.connections.open).remove(&self.number);
        let mut state = lock(&self.connection.state);
        if state.is_idle() {
            self.connection.release(&state);
        }
        // Nothing counts any more, whatever still runs for it.
        state.ended = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Open(u8),
        Read(usize, usize),
        Begin(usize),
        Finish(usize),
        Know(usize),
        Close(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0..3_u8).prop_map(Step::Open),
            4 => (0..8_usize, 0..40_000_usize).prop_map(|(which, bytes)| Step::Read(which, bytes)),
            2 => (0..8_usize).prop_map(Step::Begin),
            2 => (0..8_usize).prop_map(Step::Finish),
            1 => (0..8_usize).prop_map(Step::Know),
            1 => (0..8_usize).prop_map(Step::Close),
        ]
    }

    /// What the totals should be, counted anew.
    fn counted(connections: &Connections) -> (usize, usize) {
        let open = lock(&connections.open);
        let idle = open.values().filter(|one| lock(&one.state).is_idle());
        idle.fold((0, 0), |(idle, bytes), one| {
            (idle + 1, bytes + lock(&one.state).head_bytes)
        })
    }

    proptest! {
        #[test]
        fn the_totals_are_what_is_open_and_without_a_request(steps in prop::collection::vec(step(), 0..200)) {
            let connections = Arc::new(Connections {
                head_bytes: 100_000,
                idle: 5,
                write_deadline: Duration::ZERO,
                totals: Arc::default(),
                open: Mutex::default(),
            });
            let mut open: Vec<(Registered, Vec<InFlight>)> = Vec::new();
            for step in steps {
                let busy: Vec<_> = open
                    .iter()
                    .filter(|(_, requests)| !requests.is_empty())
                    .map(|(one, _)| (Arc::clone(&one.connection), one.connection.has_ended()))
                    .collect();
                match step {
                    Step::Open(peer) => open.push((connections.open([127, 0, 0, peer].into()), Vec::new())),
                    Step::Read(which, bytes) => {
                        if let Some((one, _)) = open.get(which) {
                            connections.note_head(&one.connection, bytes);
                        }
                    }
                    Step::Begin(which) => {
                        if let Some((one, requests)) = open.get_mut(which) {
                            requests.push(one.connection.begin());
                        }
                    }
                    Step::Finish(which) => {
                        if let Some((_, requests)) = open.get_mut(which) {
                            requests.pop();
                        }
                    }
                    Step::Know(which) => {
                        if let Some((one, requests)) = open.get(which)
                            && !requests.is_empty()
                        {
                            lock(&one.connection.state).is_authenticated = true;
                        }
                    }
                    Step::Close(which) => {
                        if which < open.len() {
                            // What runs for it may outlive it.
                            let (one, requests) = open.remove(which);
                            drop(one);
                            drop(requests);
                        }
                    }
                }
                let totals = &connections.totals;
                let noted = (totals.idle.load(Ordering::Relaxed), totals.head_bytes.load(Ordering::Relaxed));
                prop_assert_eq!(noted, counted(&connections));
                for (one, had_ended) in busy {
                    let is_open = lock(&connections.open).values().any(|other| Arc::ptr_eq(other, &one));
                    prop_assert!(!is_open || one.has_ended() == had_ended, "a busy connection was ended");
                }
            }
        }
    }
}
