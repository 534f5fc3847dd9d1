//! Time and randomness, which every server is given, so that tests may bring their own.

use std::{fmt::Debug, pin::Pin, time::Duration};

/// A future without a result that may be held by any task.
pub type BoxFuture<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The only source of time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since an arbitrary fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Completes once [`Clock::monotonic`] has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'_>;
}

/// The only source of random bytes.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills `bytes` with random bytes fit for keys.
    fn fill(&self, bytes: &mut [u8]);
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is where the injected clock takes its time from"
)]
impl Default for SystemClock {
    fn default() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is where the injected clock takes its time from"
)]
impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'_> {
        Box::pin(tokio::time::sleep(deadline.saturating_sub(self.monotonic())))
    }
}

/// The operating system's random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[allow(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "this is where the injected randomness comes from; without it no id can be made"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}
