//! Bodies of unauthenticated callers that are being read: few from one address, of which the oldest ends for the next.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// All of them, by address.
#[derive(Debug, Default)]
pub(super) struct BodiesInFlight {
    by_address: Mutex<HashMap<String, VecDeque<(u64, CancellationToken)>>>,
    begun: std::sync::atomic::AtomicU64,
}

/// One that is being read.
#[derive(Debug)]
pub(super) struct InFlight {
    all: Arc<BodiesInFlight>,
    address: String,
    number: u64,
    ended: CancellationToken,
}

impl BodiesInFlight {
    /// Begins to read one; the oldest ends where there are as many from this address as may be.
    pub(super) fn begin(self: &Arc<Self>, address: &str, most: usize) -> InFlight {
        let number = self.begun.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let ended = CancellationToken::new();
        let mut by_address = self.by_address();
        let bodies = by_address.entry(address.to_owned()).or_default();
        while bodies.len() >= most.max(1)
            && let Some((_, oldest)) = bodies.pop_front()
        {
            oldest.cancel();
        }
        bodies.push_back((number, ended.clone()));
        InFlight {
            all: Arc::clone(self),
            address: address.to_owned(),
            number,
            ended,
        }
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<String, VecDeque<(u64, CancellationToken)>>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlight {
    /// Completes when another one takes its place.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut by_address = self.all.by_address();
        if let Some(bodies) = by_address.get_mut(&self.address) {
            bodies.retain(|(number, _)| *number != self.number);
            if bodies.is_empty() {
                by_address.remove(&self.address);
            }
        }
    }
}
