//! Bounds of all connections that have no request in flight.
//!
//! The head of a request is kept in memory until it is whole, and its sender cannot be authenticated before that; an
//! idle connection is a file, and the process may open only so many. A bound by peer would not do: a whole fleet may
//! come from one address. So all of them together have a bound, and beyond it the oldest idle connections of the peer
//! that has most are evicted; idle ones end after a while anyway. Those on which nothing has come yet have a bound of
//! their own: they cost little, and a fleet that comes back makes thousands of them, each of which says what it wants as
//! soon as it gets to it. A connection whose request is being read, handled or answered, one that became a websocket, and
//! one on which a device or an operator was authenticated, are never evicted.
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

use super::{arrivals::Place, compat::forwarded::network_of};
use crate::config::{bounds::Bounds, settings::Settings};

/// Bytes of a head that do not count: the HTTP library allocates as many on every connection.
const UNCOUNTED: usize = 8 * 1024;
/// Files that are left to the database and the logs, whoever wants to connect.
const OTHER_FILES: usize = 128;
/// Connections for which there is always room in the line, as far as files go.
const LEAST_ROOM: usize = 16;
/// Connections that may wait in the line where any number of files may be open.
const MOST_ROOM: usize = 65_536;

/// All connections of the listener.
#[derive(Debug)]
pub struct Connections {
    /// Bytes of heads, of all connections without a request together.
    head_bytes: usize,
    /// Connections without a request on which something has come.
    idle: usize,
    /// Connections on which nothing has come.
    silent: usize,
    /// How many files may be open.
    files: Option<usize>,
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
    silent: AtomicUsize,
    head_bytes: AtomicUsize,
}

impl Connections {
    /// None yet. `files` is how many files the process may open: a quarter of them is left to connections with a
    /// request, to websockets and to the database.
    pub fn new(settings: &Settings, files: Option<u64>) -> Arc<Self> {
        let Bounds {
            head_bytes,
            idle_connections,
            silent_connections,
            ..
        } = settings.bounds;
        let files = files.and_then(|files| usize::try_from(files).ok());
        Arc::new(Self {
            head_bytes,
            idle: files.map_or(idle_connections, |files| idle_connections.min(files / 4 * 3)),
            silent: silent_connections,
            files,
            write_deadline: settings.timing.write_deadline,
            totals: Arc::default(),
            open: Mutex::default(),
        })
    }

    /// How many connections may wait in the line.
    pub(super) fn room(&self) -> usize {
        let Some(files) = self.files else {
            return MOST_ROOM;
        };
        let open = lock(&self.open).len();
        files
            .saturating_sub(open)
            .saturating_sub(OTHER_FILES)
            .clamp(LEAST_ROOM, MOST_ROOM)
    }

    fn open(self: &Arc<Self>, peer: IpAddr, place: Option<Place>) -> Registered {
        let connection = Arc::new(Connection {
            peer: network_of(peer),
            totals: Arc::clone(&self.totals),
            state: Mutex::new(State {
                place,
                ..State::default()
            }),
            reader: AtomicWaker::new(),
        });
        let (number, open) = {
            let mut open = lock(&self.open);
            let number = open.last_key_value().map_or(0, |(last, _)| last + 1);
            open.insert(number, Arc::clone(&connection));
            (number, open.len())
        };
        let silent = self.totals.silent.fetch_add(1, Ordering::Relaxed) + 1;
        let most = self.most_silent(open.saturating_sub(silent));
        if silent > most {
            self.evict(
                None,
                |state| usize::from(!state.has_spoken),
                silent - most + most / 16,
            );
        }
        Registered {
            connections: Arc::clone(self),
            connection,
            number,
        }
    }

    /// How many connections may be silent beside so many others: they take no more than half of the files that are left,
    /// unless that is less than what others may be idle.
    fn most_silent(&self, others: usize) -> usize {
        let left = |files: usize| (files.saturating_sub(others) / 2).max(self.idle);
        self.files
            .map_or(self.silent, |files| self.silent.min(left(files)))
    }

    fn note_head(&self, connection: &Connection, bytes: usize) {
        if bytes > 0 && connection.note_speech() {
            let idle = self.totals.idle.load(Ordering::Relaxed);
            if idle > self.idle {
                // As a rule its request begins right away.
                self.evict(
                    Some(connection),
                    |state| usize::from(state.has_spoken),
                    idle - self.idle + self.idle / 16,
                );
            }
        }
        let all = connection.note_read(bytes);
        if all > self.head_bytes {
            self.evict(
                None,
                |state| state.head_bytes,
                all - self.head_bytes + self.head_bytes / 16,
            );
        }
    }

    /// Ends the oldest connections of the peer whose connections without a request take the most, until it takes so
    /// much less. More than is needed: the search looks at every connection but `spared`.
    fn evict(&self, spared: Option<&Connection>, taken: impl Fn(&State) -> usize, surplus: usize) {
        let open = lock(&self.open);
        let mut peers: HashMap<IpAddr, Usage<'_>> = HashMap::new();
        for connection in open.values() {
            if spared.is_some_and(|spared| std::ptr::eq(spared, Arc::as_ptr(connection))) {
                continue;
            }
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
    /// Whether anything has come on it.
    has_spoken: bool,
    /// Whether a device or an operator was authenticated on it.
    is_authenticated: bool,
    ended: bool,
    /// Until its first answer.
    place: Option<Place>,
}

impl State {
    /// Whether it counts, and may be ended.
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && !self.is_authenticated && !self.ended
    }
}

impl Connection {
    /// Something has come on it; whether that is the first. One that was evicted for its silence goes on: what it says
    /// was on its way.
    fn note_speech(&self) -> bool {
        let mut state = lock(&self.state);
        if state.has_spoken {
            return false;
        }
        if state.is_idle() {
            self.totals.silent.fetch_sub(1, Ordering::Relaxed);
        }
        state.ended = false;
        state.has_spoken = true;
        if state.is_idle() {
            self.totals.idle.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

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
        state.has_spoken = true;
        state.read = 0;
        InFlight(Arc::clone(self))
    }

    /// Takes it out of the totals.
    fn release(&self, state: &State) {
        let total = if state.has_spoken {
            &self.totals.idle
        } else {
            &self.totals.silent
        };
        total.fetch_sub(1, Ordering::Relaxed);
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
            state.place = None;
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
        let mut state = lock(&self.0.state);
        state.in_flight += 1;
        state.place = None;
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
        if state.in_flight == 0 {
            state.place = None;
        }
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
        state.place = None;
    }
}

#[cfg(test)]
mod tests;
