//! Whether the server can do its work: asked by proxies and monitors, who send nobody here while it cannot.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{repositories::Store, services::Environment};

/// How long an answer is repeated without another look. Asking is open to everybody, and a look takes a turn to write.
const REPEATED: Duration = Duration::from_secs(1);

/// Looks at the store.
#[derive(Debug)]
pub struct ReadinessService {
    store: Arc<dyn Store>,
    environment: Environment,
    last: Mutex<Look>,
}

#[derive(Clone, Copy, Debug)]
enum Look {
    /// None yet.
    Never,
    /// One is under way; the answer before it was this.
    InFlight(bool),
    /// What was found, and when.
    Done(bool, Duration),
}

impl ReadinessService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self {
            store,
            environment,
            last: Mutex::new(Look::Never),
        }
    }

    /// Whether the store can be read and written, as seen within the last second.
    pub async fn store_is_ready(&self) -> bool {
        let now = self.environment.clock.monotonic();
        {
            let mut last = self.last();
            match *last {
                Look::InFlight(ready) => return ready,
                Look::Done(ready, at) if now.saturating_sub(at) < REPEATED => return ready,
                // The start itself has written.
                Look::Never => *last = Look::InFlight(true),
                Look::Done(ready, _) => *last = Look::InFlight(ready),
            }
        }
        // Whoever asked may go away meanwhile.
        let unfinished = Unfinished(&self.last);
        let looked = self.store.probe().await;
        if let Err(error) = &looked {
            tracing::error!("the database cannot be used: {error}");
        }
        drop(unfinished);
        *self.last() = Look::Done(looked.is_ok(), self.environment.clock.monotonic());
        looked.is_ok()
    }

    fn last(&self) -> MutexGuard<'_, Look> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look that is dropped half-way counts as none.
struct Unfinished<'a>(&'a Mutex<Look>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Look::Never;
    }
}
