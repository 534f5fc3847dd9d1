//! Tokens whose signatures were found good. A device sends the same one with every call for a quarter of an hour, and to check
//! the signature again costs more than all the rest of a heartbeat's checks.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// When so many have come, those that came before the last so many are forgotten.
const MOST: usize = 32_768;

/// The digests of whole tokens: what differs in one character is another token.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}

impl Seen {
    pub(super) fn contains(&self, digest: &[u8; 32]) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.young.contains(digest) {
            return true;
        }
        let is_old = seen.old.remove(digest);
        if is_old {
            seen.insert(*digest);
        }
        is_old
    }

    pub(super) fn insert(&self, digest: [u8; 32]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest);
    }
}

impl Generations {
    fn insert(&mut self, digest: [u8; 32]) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
        digest
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_forgotten() {
        let seen = Seen::default();
        for number in 0..3 * MOST {
            seen.insert(digest(number));
            assert!(seen.contains(&digest(0)));
        }
        let kept = (0..3 * MOST)
            .filter(|number| seen.contains(&digest(*number)))
            .count();
        assert!(kept <= 2 * MOST, "{kept}");
        assert!(!seen.contains(&digest(1)));
    }
}
