//! Readiness: whether the server can do its work. Load balancers and monitors ask, and send no requests while it
//! cannot.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{repositories::Store, services::Environment};

/// How long an answer is cached. The route is open to everybody, and a probe takes a turn to write.
const CACHED: Duration = Duration::from_secs(1);

/// Probes the store.
#[derive(Debug)]
pub struct ReadinessService {
    store: Arc<dyn Store>,
    environment: Environment,
    last: Mutex<Probe>,
}

#[derive(Clone, Copy, Debug)]
enum Probe {
    /// None yet.
    Never,
    /// One is in flight; the answer before it was this.
    InFlight(bool),
    /// What was found, and when.
    Done(bool, Duration),
}

impl ReadinessService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self {
            store,
            environment,
            last: Mutex::new(Probe::Never),
        }
    }

    /// Whether the store can be read and written, as seen within the last second.
    pub async fn store_is_ready(&self) -> bool {
        let now = self.environment.clock.monotonic();
        {
            let mut last = self.last();
            match *last {
                Probe::InFlight(ready) => return ready,
                Probe::Done(ready, at) if now.saturating_sub(at) < CACHED => return ready,
                // The start itself has written.
                Probe::Never => *last = Probe::InFlight(true),
                Probe::Done(ready, _) => *last = Probe::InFlight(ready),
            }
        }
        // Whoever asked may go away meanwhile.
        let unfinished = Unfinished(&self.last);
        let looked = self.store.probe().await;
        if let Err(error) = &looked {
            tracing::error!(%error, "the database cannot be used");
        }
        drop(unfinished);
        *self.last() = Probe::Done(looked.is_ok(), self.environment.clock.monotonic());
        looked.is_ok()
    }

    fn last(&self) -> MutexGuard<'_, Probe> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A probe that is dropped half-way counts as none.
struct Unfinished<'a>(&'a Mutex<Probe>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Probe::Never;
    }
}
