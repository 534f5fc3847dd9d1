//! Answers that take the processor for long are made away from the threads that serve all other requests.
//!
//! A list of ten thousand agents takes tens of milliseconds to write. On the serving threads, each of which has hundreds
//! of connections, a few operators who look at it would hold up every heartbeat. Here they take turns on threads that the
//! operating system shares out fairly.

pub mod shared;

use std::{future::Future, panic::resume_unwind, sync::Arc, thread::available_parallelism};

use axum::response::{IntoResponse as _, Response};
use tokio::{runtime::Handle, sync::Semaphore};
use tracing::Instrument as _;

use super::compat::error_page::ErrorPage;

/// Where they take turns.
#[derive(Clone, Debug)]
pub(super) struct SetApart(Arc<Semaphore>);

impl Default for SetApart {
    /// One processor fewer than there are makes such answers at one time.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, |processors| processors.get());
        Self(Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))))
    }
}

impl SetApart {
    /// Answers with the response that `answering` makes, on a thread for it alone.
    pub(super) async fn answer(
        &self,
        answering: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        // The semaphore is never closed; without a turn it would merely be made at once. Whoever hangs up while waiting
        // leaves the queue.
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let (runtime, answering) = (Handle::current(), answering.in_current_span());
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            runtime.block_on(answering)
        });
        match made.await {
            Ok(response) => response,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The server is going down.
                Err(_) => ErrorPage::Internal.into_response(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// The runtime has one thread: an answer that was made on it would keep it from everything else for good.
    #[tokio::test]
    async fn the_thread_that_serves_is_free_meanwhile() {
        let apart = SetApart::default();
        let (go_on, wait) = mpsc::channel();
        let long = apart.answer(async move {
            wait.recv().unwrap();
            "long".into_response()
        });
        let short = async { go_on.send(()).unwrap() };
        let (response, ()) = tokio::join!(long, short);
        assert_eq!(response.status(), 200);
    }

    #[tokio::test]
    async fn whoever_hangs_up_while_waiting_for_a_turn_leaves_the_queue() {
        let apart = SetApart(Arc::new(Semaphore::new(1)));
        let (go_on, wait) = mpsc::channel();
        let first = apart.answer(async move {
            wait.recv().unwrap();
            "first".into_response()
        });
        let others = async {
            let waiting = apart.answer(async { unreachable!("nobody waits for it any more") });
            assert!(futures_util::future::poll_immediate(waiting).await.is_none());
            go_on.send(()).unwrap();
        };
        let (response, ()) = tokio::join!(first, others);
        assert_eq!(response.status(), 200);
        assert_eq!(apart.0.available_permits(), 1);
    }
}
