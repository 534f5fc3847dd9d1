//! Keeps the head of the default branch fresh.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::GitHubService;
use crate::domain::clock::Working;

/// A look that somebody wants before the period is over. It is work under way from then on, not only once it begins.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    working: Mutex<Option<Working>>,
    asked: Notify,
}

impl Wanted {
    pub(super) fn ask(&self, working: Working) {
        *self.working.lock().unwrap_or_else(PoisonError::into_inner) = Some(working);
        self.asked.notify_one();
    }

    async fn next(&self) -> Option<Working> {
        self.asked.notified().await;
        self.working.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl GitHubService {
    /// Looks at the default branch at once, then once a period and whenever a token was stored, for ever. A look that
    /// fails is logged, and the cached head stays.
    pub async fn keep_fresh(&self, mut working: Working) {
        let clock = &self.environment.clock;
        loop {
            self.refresh().await;
            let mut due = clock.sleep_until(clock.monotonic() + self.period);
            drop(working);
            loop {
                tokio::select! {
                    now_working = &mut due => {
                        working = now_working;
                        break;
                    }
                    wanted = self.refresh_wanted.next() => {
                        self.refresh().await;
                        drop(wanted);
                    }
                }
            }
        }
    }

    async fn refresh(&self) {
        if let Err(error) = self.look_up(&self.default_branch, self.period, true).await {
            tracing::warn!("default repo hash refresh failed: {error}");
        }
    }
}
