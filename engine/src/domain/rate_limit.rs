//! A sliding-window rate limit.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

/// The most keys that are counted at a time: far more addresses than enroll within a minute, some megabytes.
const MOST_KEYS: usize = 1 << 16;

/// At most `limit` calls of one key within `window`. Where too many keys call, those that call least are forgotten.
#[derive(Debug)]
pub struct SlidingWindow {
    limit: usize,
    window: Duration,
    calls: HashMap<String, VecDeque<Duration>>,
    swept_at: Duration,
}

/// A refused call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimited {
    /// Time until the oldest counted call leaves the window.
    pub retry_after: Duration,
}

impl SlidingWindow {
    pub fn new(limit: usize, window: Duration) -> Self {
        Self {
            limit,
            window,
            calls: HashMap::new(),
            swept_at: Duration::ZERO,
        }
    }

    /// Counts a call of `key` at `now` (monotonic).
    ///
    /// # Errors
    /// The limit is reached; the call is not counted then.
    pub fn admit(&mut self, key: &str, now: Duration) -> Result<(), RateLimited> {
        self.sweep(now);
        if self.calls.len() >= MOST_KEYS && !self.calls.contains_key(key) {
            self.forget_the_rarest();
        }
        let calls = self.calls.entry(key.to_owned()).or_default();
        drop_expired(calls, now, self.window);
        match calls.front() {
            Some(oldest) if calls.len() >= self.limit => Err(RateLimited {
                retry_after: (*oldest + self.window).saturating_sub(now),
            }),
            _ => {
                calls.push_back(now);
                Ok(())
            }
        }
    }

    /// Halves the keys at least, so that the next ones need no such look at all of them.
    fn forget_the_rarest(&mut self) {
        let mut rare = 0;
        while self.calls.len() > MOST_KEYS / 2 {
            rare += 1;
            self.calls.retain(|_, calls| calls.len() > rare);
        }
    }

    /// Frees the keys whose calls have all left, at most once a window (the legacy keeps them for ever).
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept_at) < self.window {
            return;
        }
        self.swept_at = now;
        let window = self.window;
        self.calls.retain(|_, calls| {
            drop_expired(calls, now, window);
            !calls.is_empty()
        });
    }
}

fn drop_expired(calls: &mut VecDeque<Duration>, now: Duration, window: Duration) {
    // A call leaves when it is *more* than a window old.
    while calls
        .front()
        .is_some_and(|call| now.saturating_sub(*call) > window)
    {
        calls.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_call_is_not_counted_and_a_place_frees_when_the_oldest_leaves() {
        let mut window = SlidingWindow::new(2, Duration::from_secs(60));
        window.admit("a", Duration::from_secs(0)).unwrap();
        window.admit("a", Duration::from_secs(10)).unwrap();
        let refused = window.admit("a", Duration::from_secs(20)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(40));
        window.admit("b", Duration::from_secs(20)).unwrap();
        window.admit("a", Duration::from_millis(60_001)).unwrap();
        assert!(window.admit("a", Duration::from_millis(60_002)).is_err());
    }

    /// Who has a network of IPv6 addresses could fill the memory with them.
    #[test]
    fn of_too_many_keys_those_that_call_least_are_forgotten() {
        let mut window = SlidingWindow::new(2, Duration::from_secs(60));
        for _ in 0..2 {
            window.admit("often", Duration::ZERO).unwrap();
        }
        for caller in 0..2 * MOST_KEYS {
            window.admit(&caller.to_string(), Duration::ZERO).unwrap();
            assert!(window.calls.len() <= MOST_KEYS);
        }
        assert!(window.admit("often", Duration::ZERO).is_err());
    }

    #[test]
    fn keys_without_calls_are_freed() {
        let mut window = SlidingWindow::new(1, Duration::from_secs(60));
        for caller in 0..100 {
            window.admit(&caller.to_string(), Duration::ZERO).unwrap();
        }
        window.admit("late", Duration::from_secs(121)).unwrap();
        assert_eq!(window.calls.len(), 1);
    }
}
