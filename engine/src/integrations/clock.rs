//! The clocks: the system's, and one that is set from outside.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use crate::domain::clock::{BoxFuture, Clock};

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

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'_> {
        let remaining = deadline.saturating_sub(self.started.elapsed());
        Box::pin(tokio::time::sleep(remaining))
    }
}

/// A clock that stands still until it is set, but for one microsecond that passes with each reading of the
/// wall clock, so that two stamps are never equal by accident. Sleepers wake in the order of their deadlines.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug)]
struct ManualState {
    origin: Timestamp,
    elapsed: Duration,
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
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
        }
    }

    /// Moves the clock to `time` and wakes everybody whose deadline has come, in the order of the deadlines.
    /// A time before the present reading changes nothing: time never goes back.
    pub fn set(&self, time: Timestamp) {
        let mut state = self.lock();
        let target = Duration::try_from(time.duration_since(state.origin)).unwrap_or(Duration::ZERO);
        state.elapsed = state.elapsed.max(target);
        let elapsed = state.elapsed;
        while let Some(entry) = state.sleepers.first_entry() {
            if entry.key().0 > elapsed {
                break;
            }
            // A sleeper that has gone away needs no waking.
            let _ = entry.remove().send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'_> {
        let mut state = self.lock();
        if state.elapsed >= deadline {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        let key = (deadline, state.next_sleeper);
        state.next_sleeper += 1;
        state.sleepers.insert(key, wake);
        Box::pin(async move {
            // The sender lives in the clock, which outlives this future.
            let _ = woken.await;
        })
    }
}

#[cfg(test)]
mod tests {
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
        (&mut early).await;
        assert!(
            std::future::poll_fn(|context| std::task::Poll::Ready(late.as_mut().poll(context)))
                .await
                .is_pending()
        );
    }
}
