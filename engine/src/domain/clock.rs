//! Time as the rest of the engine sees it.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

/// A future without a result that may be held by any task.
pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The only source of time. A test or a parity run hands in its own.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Wall-clock time, UTC, with microseconds (the precision that the legacy writes).
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary fixed moment; never goes back. Used for rate limits and replay memories.
    fn monotonic(&self) -> Duration;

    /// Completes once [`Clock::monotonic`] has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'_>;
}
