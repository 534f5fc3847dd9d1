//! How connections come in.
//!
//! A fleet that lost its server comes back at once, with more connections than the system keeps for a listener. What it
//! has no room for it drops, and whoever is dropped tries again after one second, then two, then four. So all that waits
//! is taken from the system as it comes, where it costs a file and nothing else, and is served some at a time: whoever is
//! being served already does not wait for a fleet. The oldest and the newest come by turns, so that one who comes in the
//! middle of it does not wait for all of it either. Whoever has given up meanwhile comes last.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{pending, poll_fn},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::extract::connect_info::Connected;
use axum_server::{AddrListener, Address, Server};
use futures_util::{FutureExt as _, task::AtomicWaker};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream},
};

use super::{accept_errors::AcceptErrors, connections::Connections};
use crate::domain::clock::Clock;

/// Connections that are served at a time, each from when it is taken out of the line to its first answer. What they have
/// asked has come by then as a rule, so that a few keep all processors busy; more would only stand between everybody else
/// and the next turn, and take memory before the connections that they take the place of have given up theirs.
const AT_A_TIME: usize = 32;
/// After so long a connection leaves its place to the next: it is its peer that is slow.
const PLACE_KEPT: Duration = Duration::from_millis(100);
/// How long until the line moves on, where nothing else says when.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Where a connection comes from. As an address of the listener's library it says that what listens is [`Arrivals`].
#[derive(Clone, Copy, Debug)]
pub struct Origin(SocketAddr);

impl Address for Origin {
    type Stream = Arrival;
    type Listener = Arrivals;
}

impl Connected<Origin> for SocketAddr {
    fn connect_info(Origin(address): Origin) -> Self {
        address
    }
}

/// A connection whose turn has come.
#[derive(Debug)]
pub struct Arrival {
    pub(super) stream: TcpStream,
    pub(super) place: Place,
}

/// The connections that nobody serves yet.
#[derive(Debug)]
pub struct Arrivals {
    listener: TcpListener,
    connections: Arc<Connections>,
    errors: AcceptErrors,
    places: Arc<Places>,
    line: Mutex<Line>,
}

impl Arrivals {
    /// A server whose connections come from this listener, which does not block.
    ///
    /// # Errors
    /// The system does not watch the listener.
    pub fn serve(
        listener: std::net::TcpListener,
        connections: Arc<Connections>,
        errors: AcceptErrors,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Server<Origin>> {
        Ok(Server::from_listener(Self {
            listener: TcpListener::from_std(listener)?,
            connections,
            errors,
            places: Arc::new(Places {
                clock,
                taken: Mutex::default(),
                given_back: AtomicWaker::new(),
            }),
            line: Mutex::default(),
        }))
    }

    /// Puts into the line what waits at the system. False where the system says nothing when more comes: it refuses, or
    /// no more files may be open.
    fn take_in(&self, context: &mut Context<'_>) -> bool {
        let room = self.connections.room();
        let mut line = lock(&self.line);
        while line.len() < room {
            match self.listener.poll_accept(context) {
                Poll::Pending => return true,
                Poll::Ready(Ok(arrived)) => line.waiting.push_back(arrived),
                Poll::Ready(Err(error)) => {
                    self.errors.note(&error);
                    return false;
                }
            }
        }
        false
    }

    /// The next whose turn has come; `None` once where only time helps.
    fn poll_next(&self, context: &mut Context<'_>, is_held_up: bool) -> Poll<Option<(Arrival, Origin)>> {
        let is_told = self.take_in(context);
        // Before the places are looked at, so that none is given back in between.
        self.places.given_back.register(context.waker());
        let mut line = lock(&self.line);
        if line.len() == 0 {
            if is_told || is_held_up {
                return Poll::Pending;
            }
            return Poll::Ready(None);
        }
        if let Some(place) = self.places.take()
            && let Some((stream, address)) = line.next()
        {
            return Poll::Ready(Some((Arrival { stream, place }, Origin(address))));
        }
        if is_held_up {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    }
}

impl AddrListener<Arrival, Origin> for Arrivals {
    async fn bind_to(_: Origin) -> io::Result<Self> {
        // Nobody makes an address of this kind but this listener.
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Arrival, Origin)> {
        let clock = &self.places.clock;
        let mut is_held_up = false;
        loop {
            let while_held_up = async {
                if is_held_up {
                    drop(clock.sleep_until(clock.monotonic() + LOOK_AGAIN).await);
                } else {
                    pending::<()>().await;
                }
            };
            // The line is emptied at the system whatever else there is to do.
            let next = tokio::task::unconstrained(poll_fn(|context| self.poll_next(context, is_held_up)));
            is_held_up = tokio::select! {
                biased;
                next = next => match next {
                    Some(next) => return Ok(next),
                    None => true,
                },
                () = while_held_up => false,
            };
        }
    }

    fn get_local_addr(&self) -> io::Result<Origin> {
        self.listener.local_addr().map(Origin)
    }
}

/// Those that wait, the oldest first.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(TcpStream, SocketAddr)>,
    /// Those whose peers will say nothing more: most of them have given up, and are back in the line.
    left: VecDeque<(TcpStream, SocketAddr)>,
    newest_is_next: bool,
}

impl Line {
    fn len(&self) -> usize {
        self.waiting.len() + self.left.len()
    }

    fn next(&mut self) -> Option<(TcpStream, SocketAddr)> {
        while let Some(arrived) = self.next_waiting() {
            if !has_left(&arrived.0) {
                return Some(arrived);
            }
            self.left.push_back(arrived);
        }
        // One may still listen for its answer.
        self.left.pop_front()
    }

    fn next_waiting(&mut self) -> Option<(TcpStream, SocketAddr)> {
        let newest = self.newest_is_next;
        self.newest_is_next = !newest;
        if newest {
            self.waiting.pop_back()
        } else {
            self.waiting.pop_front()
        }
    }
}

/// Whether the peer is known to have closed its side.
fn has_left(stream: &TcpStream) -> bool {
    let ready = stream.ready(Interest::READABLE).now_or_never();
    matches!(ready, Some(Ok(ready)) if ready.is_read_closed())
}

/// The places of those that are being served.
#[derive(Debug)]
struct Places {
    clock: Arc<dyn Clock>,
    taken: Mutex<Taken>,
    given_back: AtomicWaker,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Since when, by number.
    since: BTreeMap<u64, Duration>,
}

impl Places {
    /// A place, where one is free or was kept long enough.
    fn take(self: &Arc<Self>) -> Option<Place> {
        let now = self.clock.monotonic();
        let mut taken = lock(&self.taken);
        if taken.since.len() >= AT_A_TIME {
            let oldest = taken.since.first_entry()?;
            if now.saturating_sub(*oldest.get()) < PLACE_KEPT {
                return None;
            }
            oldest.remove();
        }
        let number = taken.next;
        taken.next += 1;
        taken.since.insert(number, now);
        Some(Place {
            places: Arc::clone(self),
            number,
        })
    }
}

/// One of those that are served at a time, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let was_kept = lock(&self.places.taken).since.remove(&self.number).is_some();
        if was_kept {
            self.places.given_back.wake();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap as Variables, path::Path};

    use super::*;
    use crate::{
        config::settings::Settings,
        testkit::{START, clock_at},
    };

    fn arrivals(clock: &Arc<impl Clock>) -> (Arrivals, SocketAddr) {
        let clock: Arc<dyn Clock> = clock.clone();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings::from_map(&Variables::new(), Path::new("/")).unwrap();
        let arrivals = Arrivals {
            listener: TcpListener::from_std(listener).unwrap(),
            connections: Connections::new(&settings, None),
            errors: AcceptErrors::new(Arc::clone(&clock), None),
            places: Arc::new(Places {
                clock,
                taken: Mutex::default(),
                given_back: AtomicWaker::new(),
            }),
            line: Mutex::default(),
        };
        (arrivals, address)
    }

    /// The next whose turn has come, if there is one.
    async fn next(arrivals: &Arrivals) -> Option<(Arrival, SocketAddr)> {
        let next = poll_fn(|context| Poll::Ready(arrivals.poll_next(context, true))).await;
        match next {
            Poll::Ready(Some((arrival, Origin(address)))) => Some((arrival, address)),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    /// Once this many are in the line.
    async fn in_line(arrivals: &Arrivals, count: usize) {
        while lock(&arrivals.line).len() < count {
            poll_fn(|context| Poll::Ready(arrivals.take_in(context))).await;
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_oldest_and_the_newest_come_by_turns() {
        let (arrivals, address) = arrivals(&clock_at(START));
        let mut clients = Vec::new();
        for count in 1..=4 {
            clients.push(TcpStream::connect(address).await.unwrap());
            in_line(&arrivals, count).await;
        }
        for client in [0, 3, 1, 2] {
            let (_, from) = next(&arrivals).await.unwrap();
            assert_eq!(from, clients[client].local_addr().unwrap());
        }
        assert!(next(&arrivals).await.is_none());
    }

    #[tokio::test]
    async fn whoever_has_given_up_comes_last() {
        let (arrivals, address) = arrivals(&clock_at(START));
        let gone = TcpStream::connect(address).await.unwrap();
        let gone_address = gone.local_addr().unwrap();
        drop(gone);
        in_line(&arrivals, 1).await;
        while !lock(&arrivals.line)
            .waiting
            .iter()
            .all(|(stream, _)| has_left(stream))
        {
            tokio::task::yield_now().await;
        }
        let _client = TcpStream::connect(address).await.unwrap();
        in_line(&arrivals, 2).await;
        assert_ne!(next(&arrivals).await.unwrap().1, gone_address);
        assert_eq!(next(&arrivals).await.unwrap().1, gone_address);
        assert!(next(&arrivals).await.is_none());
    }

    #[tokio::test]
    async fn who_has_no_answer_yet_keeps_a_place_for_a_while() {
        let clock = clock_at(START);
        let (arrivals, _) = arrivals(&clock);
        let places = &arrivals.places;
        let mut taken: Vec<_> = (0..AT_A_TIME).map(|_| places.take().unwrap()).collect();
        assert!(places.take().is_none());
        taken.pop();
        taken.push(places.take().unwrap());
        assert!(places.take().is_none());
        clock.set(clock.now() + PLACE_KEPT);
        let late = taken.remove(0);
        taken.push(places.take().unwrap());
        // Its place is another's by now.
        drop(late);
        assert_eq!(lock(&places.taken).since.len(), AT_A_TIME);
        drop(taken);
        assert!(lock(&places.taken).since.is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_comes_once_one_is_given_back() {
        let (arrivals, address) = arrivals(&clock_at(START));
        let mut taken: Vec<_> = (0..AT_A_TIME).map(|_| arrivals.places.take().unwrap()).collect();
        let _client = TcpStream::connect(address).await.unwrap();
        in_line(&arrivals, 1).await;
        let mut waiting = Box::pin(arrivals.accept_stream());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        taken.pop();
        assert!(waiting.await.is_ok());
    }
}
