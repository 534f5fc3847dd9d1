//! A memory of what may be used once.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::digest::sha256;

/// Remembers what was used for a while. Only digests are kept, so an entry's size does not depend on what is used.
#[derive(Debug)]
pub struct ReplayMemory {
    window: Duration,
    capacity: usize,
    used: HashMap<[u8; 32], Duration>,
    order: VecDeque<(Duration, [u8; 32])>,
}

/// It was used before, or the memory is full, so that it may have been.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Replayed;

impl ReplayMemory {
    /// Remembers for `window`, at most `capacity` things. While it is full nothing new is taken: forgetting early would
    /// let somebody use a thing twice.
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window,
            capacity,
            used: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Takes `thing` at `now` (monotonic) and remembers it.
    ///
    /// # Errors
    /// It was taken within the window.
    pub fn take(&mut self, thing: &str, now: Duration) -> Result<(), Replayed> {
        self.free(now);
        let digest = sha256(thing.as_bytes());
        if self.used.contains_key(&digest) || self.order.len() >= self.capacity {
            return Err(Replayed);
        }
        self.used.insert(digest, now);
        self.order.push_back((now, digest));
        Ok(())
    }

    /// Forgets `thing`: its use came to nothing.
    pub fn give_back(&mut self, thing: &str) {
        self.used.remove(&sha256(thing.as_bytes()));
    }

    fn free(&mut self, now: Duration) {
        while let Some((at, digest)) = self.order.front() {
            if now.saturating_sub(*at) <= self.window {
                break;
            }
            // What was given back and taken again has a later entry.
            if self.used.get(digest) == Some(at) {
                self.used.remove(digest);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_thing_is_taken_once_within_the_window() {
        let mut memory = ReplayMemory::new(300 * SECOND, 10);
        memory.take("a", SECOND).unwrap();
        memory.take("b", 2 * SECOND).unwrap();
        assert_eq!(memory.take("a", 301 * SECOND), Err(Replayed));
        memory.take("a", 302 * SECOND).unwrap();
        assert_eq!(memory.take("a", 302 * SECOND), Err(Replayed));
        memory.take("c", 1000 * SECOND).unwrap();
        assert_eq!((memory.used.len(), memory.order.len()), (1, 1));
    }

    #[test]
    fn what_is_given_back_may_be_taken_again() {
        let mut memory = ReplayMemory::new(300 * SECOND, 10);
        memory.take("a", SECOND).unwrap();
        memory.give_back("a");
        memory.take("a", 200 * SECOND).unwrap();
        // The first entry leaves now; the second still counts.
        assert_eq!(memory.take("a", 400 * SECOND), Err(Replayed));
    }

    #[test]
    fn a_full_memory_takes_nothing_new_until_something_leaves() {
        let mut memory = ReplayMemory::new(300 * SECOND, 2);
        memory.take("a", SECOND).unwrap();
        memory.take("b", 100 * SECOND).unwrap();
        assert_eq!(memory.take("c", 301 * SECOND), Err(Replayed));
        memory.take("c", 302 * SECOND).unwrap();
    }
}
