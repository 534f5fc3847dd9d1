//! The clocks: the system's, and one that is set from outside.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{oneshot, watch};

use crate::domain::clock::{Clock, Sleep, Working};

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic reading starts at zero now.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is where the injected clock takes its time from"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is where the injected clock takes its time from"
)]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep<'_> {
        let remaining = deadline.saturating_sub(self.started.elapsed());
        Box::pin(async move {
            tokio::time::sleep(remaining).await;
            Working::uncounted()
        })
    }

    fn working(&self) -> Working {
        Working::uncounted()
    }
}

/// A clock that stands still until it is set, but for one microsecond that passes with each reading of the
/// wall clock, so that two stamps are never equal by accident. Sleepers wake in the order of their deadlines.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
    /// How much background work is under way.
    at_work: watch::Sender<usize>,
}

#[derive(Debug)]
struct ManualState {
    origin: Timestamp,
    elapsed: Duration,
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<Working>>,
    next_sleeper: u64,
}

impl ManualClock {
    /// A clock that shows `origin`; its monotonic reading is zero.
    pub fn new(origin: Timestamp) -> Self {
        Self {
            state: Mutex::new(ManualState {
                origin,
                elapsed: Duration::ZERO,
                sleepers: BTreeMap::new(),
                next_sleeper: 0,
            }),
            at_work: watch::Sender::new(0),
        }
    }

    /// Moves the clock to `time` at once and wakes everybody whose deadline has come, in the order of the deadlines.
    /// A time before the present reading changes nothing: time never goes back.
    pub fn set(&self, time: Timestamp) {
        let mut state = self.lock();
        state.elapsed = state.elapsed.max(state.reading_at(time));
        while self.wake_first(&mut state) {}
    }

    /// Moves the clock to `time` as time itself would pass for a machine that is never late: it stops at every deadline
    /// on the way, and goes on only when all background work has come to rest.
    pub async fn advance(&self, time: Timestamp) {
        loop {
            self.rest().await;
            let mut state = self.lock();
            let target = state.reading_at(time);
            if self.wake_first(&mut state) {
                continue;
            }
            match state.sleepers.first_key_value().map(|(key, _)| key.0) {
                Some(deadline) if deadline <= target => state.elapsed = state.elapsed.max(deadline),
                _ => {
                    state.elapsed = state.elapsed.max(target);
                    return;
                }
            }
        }
    }

    /// Completes when no background work is under way.
    pub async fn rest(&self) {
        // The sender lives as long as the clock.
        let _ = self.at_work.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Wakes the sleeper whose deadline came first; false where none has come.
    fn wake_first(&self, state: &mut ManualState) -> bool {
        let elapsed = state.elapsed;
        match state.sleepers.first_entry() {
            Some(entry) if entry.key().0 <= elapsed => {
                // A sleeper that has gone away needs no waking.
                let _ = entry.remove().send(self.working());
                true
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ManualState {
    /// The monotonic reading at `time`.
    fn reading_at(&self, time: Timestamp) -> Duration {
        Duration::try_from(time.duration_since(self.origin)).unwrap_or(Duration::ZERO)
    }
}

/// One piece of work under way.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(counter: &watch::Sender<usize>) -> Self {
        counter.send_modify(|count| *count += 1);
        Self(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let mut state = self.lock();
        state.elapsed += Duration::from_micros(1);
        let elapsed = SignedDuration::try_from(state.elapsed).unwrap_or(SignedDuration::MAX);
        state.origin.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.lock().elapsed
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep<'_> {
        let mut state = self.lock();
        if state.elapsed >= deadline {
            return Box::pin(std::future::ready(self.working()));
        }
        let (wake, woken) = oneshot::channel();
        let key = (deadline, state.next_sleeper);
        state.next_sleeper += 1;
        state.sleepers.insert(key, wake);
        Box::pin(async move {
            // The sender lives in the clock, which outlives this future.
            woken.await.unwrap_or_default()
        })
    }

    fn working(&self) -> Working {
        Working::counted(Counted::new(&self.at_work))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_manual_clock_moves_a_microsecond_with_each_reading_and_never_back() {
        let origin = Timestamp::from_microsecond(1_700_000_000_000_000).unwrap();
        let clock = ManualClock::new(origin);
        assert_eq!(clock.now().as_microsecond(), 1_700_000_000_000_001);
        clock.set(Timestamp::from_microsecond(1_700_000_001_000_000).unwrap());
        assert_eq!(clock.monotonic(), Duration::from_secs(1));
        clock.set(origin);
        assert_eq!(clock.now().as_microsecond(), 1_700_000_001_000_001);
    }

    #[tokio::test]
    async fn sleepers_wake_only_once_their_deadline_has_come() {
        let origin = Timestamp::from_second(1_700_000_000).unwrap();
        let clock = ManualClock::new(origin);
        let mut early = clock.sleep_until(Duration::from_secs(1));
        let mut late = clock.sleep_until(Duration::from_secs(9));
        clock.set(Timestamp::from_second(1_700_000_002).unwrap());
        let _ = (&mut early).await;
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(late.as_mut().poll(context)))
                .await
                .is_pending()
        );
    }

    #[tokio::test]
    async fn the_clock_stops_at_each_deadline_and_waits_for_the_work_that_is_due() {
        let second = |number: i64| Timestamp::from_second(1_700_000_000 + number).unwrap();
        let clock = Arc::new(ManualClock::new(second(0)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        for start in [1, 2] {
            let (clock, seen) = (Arc::clone(&clock), Arc::clone(&seen));
            tokio::spawn(async move {
                for due in [start, start + 10] {
                    let working = clock.sleep_until(Duration::from_secs(due)).await;
                    // Work that takes a while, and hands some of itself to another task.
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    let (clock, seen) = (Arc::clone(&clock), Arc::clone(&seen));
                    tokio::spawn(async move {
                        tokio::task::yield_now().await;
                        seen.lock().unwrap().push((due, clock.monotonic().as_secs()));
                        drop(working);
                    });
                }
            });
        }
        // Both sleep before the clock moves.
        while clock.lock().sleepers.len() < 2 {
            tokio::task::yield_now().await;
        }
        clock.advance(second(60)).await;
        assert_eq!(*seen.lock().unwrap(), [(1, 1), (2, 2), (11, 11), (12, 12)]);
        assert_eq!(clock.monotonic(), Duration::from_secs(60));
    }
}
