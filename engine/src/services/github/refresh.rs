//! Keeps the head of the default branch fresh.

use super::GitHubService;
use crate::domain::clock::Working;

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
                    () = self.refresh_wanted.notified() => self.refresh().await,
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
