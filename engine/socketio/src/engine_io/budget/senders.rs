//! Who sends, where several connections are one client's.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{Budget, LongShare, STEP, Sender, Share, UNIT};

/// Senders below which those that left are not looked for.
const FEW: usize = 64;

/// Gives each sender a part of one budget, whatever connections it has. What nobody uses any more is forgotten.
pub struct Senders<K> {
    budget: Budget,
    known: Mutex<Known<K>>,
}

struct Known<K> {
    senders: HashMap<K, Weak<Sender>>,
    /// At how many those are looked for that left.
    full: usize,
}

impl<K: Eq + Hash> Senders<K> {
    /// Senders that share this budget.
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            known: Mutex::new(Known {
                senders: HashMap::new(),
                full: FEW,
            }),
        }
    }

    /// The budget as this sender may take of it.
    pub fn budget_of(&self, sender: K) -> Budget {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.senders.len() >= known.full {
            known.senders.retain(|_, sender| sender.strong_count() > 0);
            known.full = (known.senders.len() * 2).max(FEW);
        }
        let slot = known.senders.entry(sender).or_default();
        let sender = slot.upgrade().unwrap_or_else(|| {
            let sender = Arc::new(Sender::of(&self.budget));
            *slot = Arc::downgrade(&sender);
            sender
        });
        Budget {
            common: Arc::clone(&self.budget.common),
            sender: Some(sender),
        }
    }

    /// How many are known.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.senders.len()
    }
}

impl<K> fmt::Debug for Senders<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Senders")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl Sender {
    fn of(budget: &Budget) -> Self {
        let common = &budget.common;
        Self {
            // As many bytes as all may have that wait in short messages.
            begun: Share::of(common.short.all * UNIT / STEP),
            short: common.short.of_sender(),
            long: LongShare {
                pieces: common.long.pieces.of_sender(),
                beyond: Share::of(1),
            },
            parked: common.parked.of_sender(),
        }
    }
}
