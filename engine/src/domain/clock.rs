//! Time as the rest of the engine sees it.

use std::{
    fmt::{self, Debug},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

/// A future without a result that any task may own.
pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A sleep. What was slept for counts as under way until its result is dropped.
pub type Sleep<'a> = Pin<Box<dyn Future<Output = Working> + Send + 'a>>;

/// Held by background work while it is under way; a clock that is set from outside does not run on meanwhile.
#[derive(Clone, Default)]
#[must_use = "the clock may run on once it is dropped"]
pub struct Working(
    #[allow(dead_code, reason = "what counts is when it is dropped")] Option<Arc<dyn Send + Sync>>,
);

impl Working {
    /// For a clock that nothing holds up.
    pub fn uncounted() -> Self {
        Self(None)
    }

    /// For a clock that waits until `held` is dropped.
    pub fn counted(held: impl Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(held)))
    }
}

impl Debug for Working {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Working")
    }
}

/// The only source of time. A test or a parity run hands in its own.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Wall-clock time, UTC, with microseconds (the precision that the legacy writes).
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary fixed moment; never goes back. Used for rate limits and replay memories.
    fn monotonic(&self) -> Duration;

    /// Completes once [`Clock::monotonic`] has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Sleep<'_>;

    /// Counts background work that begins now. Work that follows a sleep is counted already.
    fn working(&self) -> Working;
}
