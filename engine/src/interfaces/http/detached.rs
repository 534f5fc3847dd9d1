//! Requests that change something run to their end, also when their client hangs up.
//!
//! The HTTP library drops the future of a request whose client has gone, wherever it stands: also between a commit and
//! what must follow it. Such requests therefore run as tasks of their own.

use std::{future::Future, panic::resume_unwind};

use axum::response::{IntoResponse as _, Response};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::compat::error_page::ErrorPage;

/// The requests under way that change something, each a task of its own.
#[derive(Clone, Debug, Default)]
pub struct DetachedRequests(TaskTracker);

impl DetachedRequests {
    /// Runs `answering` as a task of its own and answers with its response; it goes on when nobody waits for the
    /// answer.
    pub(super) async fn answer(
        &self,
        answering: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        match self.0.spawn(answering.in_current_span()).await {
            Ok(response) => response,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The server is going down.
                Err(_) => ErrorPage::Internal.into_response(),
            },
        }
    }

    /// Completes when every request has come to its end.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
