//! A limit on wrong guesses, in bounded memory whatever is guessed, that no caller can make forget another's.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use sha2::{Digest as _, Sha256};

use super::rate_limit::RateLimited;

/// What is counted: digests, so that long names cost no memory.
type Key = [u8; 16];

/// How many wrong guesses are let pass.
#[derive(Clone, Copy, Debug)]
pub struct GuessRules {
    /// For one name from one address within `window`.
    pub most: usize,
    /// How long a wrong guess counts for its name and address.
    pub window: Duration,
    /// For one name from all addresses that are not known to be its owner's, within `name_window`.
    pub most_of_name: usize,
    /// How long a wrong guess counts for its name alone.
    pub name_window: Duration,
    /// For all names from one address within `window`. What is beyond is refused rather than forgotten, names that are
    /// known there apart: so nobody gets rid of what stands against him.
    pub most_of_address: usize,
    /// For all names from all addresses within `window`, in the same way: this bounds the memory.
    pub most_of_all: usize,
}

/// Counts wrong guesses.
///
/// A guess counts from its beginning and is taken back when it was right, so that guesses made side by side cannot
/// pass the limit together.
#[derive(Debug)]
pub struct GuessLimit {
    rules: GuessRules,
    /// Of a name from an address.
    pairs: Failures,
    /// Of an address.
    addresses: Failures,
    /// Of a name from addresses that are not its owner's.
    names: Failures,
}

/// Who guesses what.
#[derive(Clone, Copy, Debug)]
pub struct Guesser<'a> {
    pub name: &'a str,
    pub address: &'a str,
    /// Whether the name's owner has been there lately.
    pub is_known: bool,
}

/// A guess that counts as wrong unless it is taken back.
#[derive(Clone, Copy, Debug)]
#[must_use = "a right guess has to be taken back"]
pub struct Guess {
    pair: Key,
    address: Key,
    /// `None` where it does not count for the name alone.
    name: Option<Key>,
    at: Duration,
}

impl GuessLimit {
    /// A limit without failures so far.
    pub fn new(rules: GuessRules) -> Self {
        Self {
            rules,
            pairs: Failures::new(rules.window),
            addresses: Failures::new(rules.window),
            names: Failures::new(rules.name_window),
        }
    }

    /// Begins a guess at `now` (monotonic).
    ///
    /// # Errors
    /// There were too many wrong ones; this one is not counted then.
    pub fn begin(&mut self, guesser: Guesser<'_>, now: Duration) -> Result<Guess, RateLimited> {
        for failures in [&mut self.pairs, &mut self.addresses, &mut self.names] {
            failures.forget_old(now);
        }
        let pair = key_of(&[guesser.name, guesser.address]);
        let address = key_of(&[guesser.address]);
        let name = key_of(&[guesser.name]);
        let mut waits = vec![self.pairs.wait(&pair, self.rules.most, now)];
        if !guesser.is_known {
            waits.push(self.names.wait(&name, self.rules.most_of_name, now));
            waits.push(self.addresses.wait(&address, self.rules.most_of_address, now));
            waits.push(self.pairs.wait_of_all(self.rules.most_of_all, now));
        }
        if let Some(retry_after) = waits.into_iter().flatten().max() {
            return Err(RateLimited { retry_after });
        }
        let name = (!guesser.is_known).then_some(name);
        self.pairs.add(pair, now);
        self.addresses.add(address, now);
        if let Some(name) = name {
            self.names.add(name, now);
        }
        Ok(Guess {
            pair,
            address,
            name,
            at: now,
        })
    }

    /// Takes back a guess that was right.
    pub fn take_back(&mut self, guess: Guess) {
        self.pairs.take_back(guess.pair, guess.at);
        self.addresses.take_back(guess.address, guess.at);
        if let Some(name) = guess.name {
            self.names.take_back(name, guess.at);
        }
    }
}

/// What failed within a window.
#[derive(Debug)]
struct Failures {
    window: Duration,
    by_key: HashMap<Key, VecDeque<Duration>>,
    /// All of them in the order of time.
    order: VecDeque<(Duration, Key)>,
}

impl Failures {
    fn new(window: Duration) -> Self {
        Self {
            window,
            by_key: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// How long this key has to wait; `None` where it need not.
    fn wait(&self, key: &Key, most: usize, now: Duration) -> Option<Duration> {
        let failures = self.by_key.get(key)?;
        let oldest = failures.front().filter(|_| failures.len() >= most)?;
        Some((*oldest + self.window).saturating_sub(now))
    }

    /// How long everybody has to wait.
    fn wait_of_all(&self, most: usize, now: Duration) -> Option<Duration> {
        let (oldest, _) = self.order.front().filter(|_| self.order.len() >= most)?;
        Some((*oldest + self.window).saturating_sub(now))
    }

    fn add(&mut self, key: Key, now: Duration) {
        self.by_key.entry(key).or_default().push_back(now);
        self.order.push_back((now, key));
    }

    fn take_back(&mut self, key: Key, at: Duration) {
        // It is among the last: a guess takes no longer than a look at the database.
        if let Some(place) = self.order.iter().rposition(|one| *one == (at, key)) {
            self.order.remove(place);
            self.remove(key, at);
        }
    }

    fn forget_old(&mut self, now: Duration) {
        // A failure leaves when it is *more* than a window old, as with the other limits.
        while let Some((at, key)) = self
            .order
            .pop_front_if(|(at, _)| now.saturating_sub(*at) > self.window)
        {
            self.remove(key, at);
        }
    }

    fn remove(&mut self, key: Key, at: Duration) {
        let Some(failures) = self.by_key.get_mut(&key) else {
            return;
        };
        if let Some(place) = failures.iter().position(|one| *one == at) {
            failures.remove(place);
        }
        if failures.is_empty() {
            self.by_key.remove(&key);
        }
    }
}

/// Parts of different lengths never make the same key.
fn key_of(parts: &[&str]) -> Key {
    let digest = parts
        .iter()
        .fold(Sha256::new(), |digest, part| {
            digest
                .chain_update((part.len() as u64).to_be_bytes())
                .chain_update(part)
        })
        .finalize();
    let mut key = Key::default();
    for (byte, of_digest) in key.iter_mut().zip(digest) {
        *byte = of_digest;
    }
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RULES: GuessRules = GuessRules {
        most: 2,
        window: Duration::from_secs(60),
        most_of_name: 5,
        name_window: Duration::from_secs(180),
        most_of_address: 7,
        most_of_all: 12,
    };

    fn stranger<'a>(name: &'a str, address: &'a str) -> Guesser<'a> {
        Guesser {
            name,
            address,
            is_known: false,
        }
    }

    fn owner<'a>(name: &'a str, address: &'a str) -> Guesser<'a> {
        Guesser {
            is_known: true,
            ..stranger(name, address)
        }
    }

    #[test]
    fn wrong_guesses_are_counted_and_right_ones_taken_back() {
        let mut limit = GuessLimit::new(RULES);
        let _ = limit.begin(stranger("a", "b"), SECOND).unwrap();
        let right = limit.begin(stranger("a", "b"), 2 * SECOND).unwrap();
        assert!(limit.begin(stranger("a", "b"), 3 * SECOND).is_err());
        limit.take_back(right);
        let _ = limit.begin(stranger("a", "b"), 11 * SECOND).unwrap();
        let refused = limit.begin(stranger("a", "b"), 21 * SECOND).unwrap_err();
        assert_eq!(refused.retry_after, 40 * SECOND);
        let _ = limit.begin(stranger("ab", ""), 21 * SECOND).unwrap();
        let _ = limit
            .begin(stranger("a", "b"), 61 * SECOND + Duration::from_millis(1))
            .unwrap();
    }

    #[test]
    fn a_name_is_guessed_only_so_often_from_wherever_but_its_owner_is_let_in() {
        let mut limit = GuessLimit::new(RULES);
        for address in 0..5 {
            let _ = limit.begin(stranger("a", &address.to_string()), SECOND).unwrap();
        }
        let refused = limit.begin(stranger("a", "9"), 2 * SECOND).unwrap_err();
        assert_eq!(refused.retry_after, 179 * SECOND);
        let _ = limit.begin(stranger("b", "9"), 2 * SECOND).unwrap();
        for _ in 0..2 {
            let _ = limit.begin(owner("a", "home"), 2 * SECOND).unwrap();
        }
        assert!(limit.begin(owner("a", "home"), 2 * SECOND).is_err());
    }

    #[test]
    fn an_address_that_guesses_other_names_does_not_get_rid_of_what_stands_against_it() {
        let mut limit = GuessLimit::new(RULES);
        for _ in 0..2 {
            let _ = limit.begin(stranger("a", "x"), SECOND).unwrap();
        }
        let taken = (0..1000)
            .filter(|name| limit.begin(stranger(&name.to_string(), "x"), SECOND).is_ok())
            .count();
        assert_eq!(taken, 5);
        assert!(limit.begin(stranger("a", "x"), SECOND).is_err());
        // Others are let in, and the address' own operators.
        let _ = limit.begin(stranger("a", "y"), SECOND).unwrap();
        let _ = limit.begin(owner("b", "x"), SECOND).unwrap();
    }

    #[test]
    fn memory_ends_where_all_guesses_do() {
        let mut limit = GuessLimit::new(RULES);
        for name in 0..1000 {
            let name = name.to_string();
            let _ = limit.begin(stranger(&name, &name), SECOND);
        }
        assert_eq!((limit.pairs.order.len(), limit.names.by_key.len()), (12, 12));
        let _ = limit.begin(stranger("late", "late"), 62 * SECOND).unwrap();
        assert_eq!((limit.pairs.order.len(), limit.pairs.by_key.len()), (1, 1));
    }

    proptest! {
        #[test]
        fn the_books_always_balance(guesses in proptest::collection::vec((0_u8..3, 0_u8..2, 0_u64..30, any::<bool>()), 0..60)) {
            let mut limit = GuessLimit::new(RULES);
            let mut now = Duration::ZERO;
            for (name, address, pause, right) in guesses {
                now += Duration::from_secs(pause);
                if let Ok(guess) = limit.begin(stranger(&name.to_string(), &address.to_string()), now)
                    && right
                {
                    limit.take_back(guess);
                }
                for failures in [&limit.pairs, &limit.addresses, &limit.names] {
                    let counted: usize = failures.by_key.values().map(VecDeque::len).sum();
                    prop_assert_eq!(counted, failures.order.len());
                }
                prop_assert!(limit.pairs.by_key.values().all(|failures| (1..=2).contains(&failures.len())));
                prop_assert!(limit.pairs.order.len() <= 12);
            }
        }
    }
}
