//! A limit on wrong guesses, in bounded memory whatever is guessed.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::rate_limit::RateLimited;

/// A guess of one key: digests, so that long names cost no memory.
type Key = [u8; 32];

/// At most `limit` failed guesses of one key within `window`.
///
/// A guess counts from its beginning and is taken back when it was right, so that guesses made side by side cannot
/// pass the limit together. Of all failures the last `capacity` are remembered.
#[derive(Debug)]
pub struct GuessLimit {
    limit: usize,
    window: Duration,
    capacity: usize,
    failures: HashMap<Key, VecDeque<Duration>>,
    /// Every guess in the order of time, for forgetting the oldest; one taken back stays here until its time is over.
    order: VecDeque<(Duration, Key)>,
}

/// A guess that counts as wrong unless it is taken back.
#[derive(Clone, Copy, Debug)]
#[must_use = "a right guess has to be taken back"]
pub struct Guess {
    key: Key,
    at: Duration,
}

impl GuessLimit {
    /// A limit without failures so far.
    pub fn new(limit: usize, window: Duration, capacity: usize) -> Self {
        Self {
            limit,
            window,
            capacity,
            failures: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Begins a guess of the key made of `parts` at `now` (monotonic).
    ///
    /// # Errors
    /// There were too many wrong ones; this one is not counted then.
    pub fn begin(&mut self, parts: &[&str], now: Duration) -> Result<Guess, RateLimited> {
        self.forget_old(now);
        let key = key_of(parts);
        if let Some(failures) = self.failures.get(&key)
            && failures.len() >= self.limit
            && let Some(oldest) = failures.front()
        {
            return Err(RateLimited {
                retry_after: (*oldest + self.window).saturating_sub(now),
            });
        }
        while self.order.len() >= self.capacity {
            self.forget_oldest();
        }
        self.failures.entry(key).or_default().push_back(now);
        self.order.push_back((now, key));
        Ok(Guess { key, at: now })
    }

    /// Takes back a guess that was right.
    pub fn take_back(&mut self, guess: Guess) {
        self.remove(guess.key, guess.at);
    }

    fn forget_old(&mut self, now: Duration) {
        // A failure leaves when it is *more* than a window old, as with the other limits.
        while self
            .order
            .front()
            .is_some_and(|(at, _)| now.saturating_sub(*at) > self.window)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((at, key)) = self.order.pop_front() {
            self.remove(key, at);
        }
    }

    fn remove(&mut self, key: Key, at: Duration) {
        let Some(failures) = self.failures.get_mut(&key) else {
            return;
        };
        if let Some(place) = failures.iter().position(|one| *one == at) {
            failures.remove(place);
        }
        if failures.is_empty() {
            self.failures.remove(&key);
        }
    }
}

/// Parts of different lengths never make the same key.
fn key_of(parts: &[&str]) -> Key {
    parts
        .iter()
        .fold(Sha256::new(), |digest, part| {
            digest
                .chain_update((part.len() as u64).to_be_bytes())
                .chain_update(part)
        })
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn wrong_guesses_are_counted_and_right_ones_taken_back() {
        let mut limit = GuessLimit::new(2, 60 * SECOND, 100);
        let _ = limit.begin(&["a", "b"], SECOND).unwrap();
        let right = limit.begin(&["a", "b"], 2 * SECOND).unwrap();
        assert!(limit.begin(&["a", "b"], 3 * SECOND).is_err());
        limit.take_back(right);
        let _ = limit.begin(&["a", "b"], 11 * SECOND).unwrap();
        let refused = limit.begin(&["a", "b"], 21 * SECOND).unwrap_err();
        assert_eq!(refused.retry_after, 40 * SECOND);
        let _ = limit.begin(&["ab", ""], 21 * SECOND).unwrap();
        let _ = limit
            .begin(&["a", "b"], 61 * SECOND + Duration::from_millis(1))
            .unwrap();
    }

    #[test]
    fn memory_ends_at_the_capacity() {
        let mut limit = GuessLimit::new(2, 60 * SECOND, 10);
        for name in 0..1000 {
            let _ = limit.begin(&[&name.to_string()], SECOND).unwrap();
        }
        assert_eq!((limit.order.len(), limit.failures.len()), (10, 10));
        let _ = limit.begin(&["late"], 62 * SECOND).unwrap();
        assert_eq!((limit.order.len(), limit.failures.len()), (1, 1));
    }

    proptest! {
        #[test]
        fn the_books_always_balance(guesses in proptest::collection::vec((0_u8..3, 0_u64..30, any::<bool>()), 0..60)) {
            let mut limit = GuessLimit::new(3, 60 * SECOND, 8);
            let mut now = Duration::ZERO;
            for (name, pause, right) in guesses {
                now += Duration::from_secs(pause);
                if let Ok(guess) = limit.begin(&[&name.to_string()], now)
                    && right
                {
                    limit.take_back(guess);
                }
                let counted: usize = limit.failures.values().map(VecDeque::len).sum();
                prop_assert!(counted <= limit.order.len() && limit.order.len() <= 8);
                prop_assert!(limit.failures.values().all(|failures| (1..=3).contains(&failures.len())));
            }
        }
    }
}
