//! A map of what holds for a while, for paths on which no call may cost a look at all of it.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// A smaller map is not looked through.
const SMALLEST: usize = 10_000;

/// Entries that hold for a while; when one no longer does is the caller's to say.
#[derive(Debug)]
pub struct ExpiringMap<K, V> {
    entries: HashMap<K, V>,
    /// When there are so many entries, those that do not hold any more are dropped.
    sweep_at: usize,
}

impl<K, V> Default for ExpiringMap<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            sweep_at: SMALLEST,
        }
    }
}

impl<K: Eq + Hash, V> ExpiringMap<K, V> {
    /// The entry, whether it still holds or not.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key)
    }

    /// Notes an entry. The others are looked at once there are twice as many as were left the last time, so that an
    /// insertion looks at two on average, also where all of them hold.
    pub fn insert(&mut self, key: K, value: V, holds: impl Fn(&V) -> bool) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| holds(value));
            self.sweep_at = (self.entries.len() * 2).max(SMALLEST);
        }
        self.entries.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn entries_that_all_hold_are_not_looked_through_each_time() {
        let looks = Cell::new(0);
        let mut map = ExpiringMap::default();
        let all = 4 * SMALLEST;
        for key in 0..all {
            map.insert(key, (), |()| {
                looks.set(looks.get() + 1);
                true
            });
        }
        assert!((0..all).all(|key| map.get(&key).is_some()));
        assert!(looks.get() <= 2 * all, "{} looks at {all} entries", looks.get());
    }

    #[test]
    fn what_no_longer_holds_is_dropped_and_the_rest_stays() {
        let mut map = ExpiringMap::default();
        for key in 0..SMALLEST {
            map.insert(key, key, |_| unreachable!("there are too few"));
        }
        map.insert(SMALLEST, SMALLEST, |value| value % 2 == 0);
        assert_eq!(map.get(&1), None);
        assert_eq!(map.get(&2), Some(&2));
        assert_eq!(map.entries.len(), SMALLEST / 2 + 1);
    }
}
