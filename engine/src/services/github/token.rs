//! The token: which one is used, how it is stored, and what GitHub makes of it.

use std::{sync::PoisonError, time::Duration};

use http::StatusCode;

use super::GitHubService;
use crate::{config::secret::Secret, domain::text::python_trim, repositories::StoreError, services::audit};

/// How long the stored token, or that there is none, is cached.
const MEMORY: Duration = Duration::from_secs(15);
/// What GitHub allows whoever it knows, in requests an hour.
const AUTHENTICATED_LIMIT: i64 = 5000;

/// What the database held, and when that was looked at (monotonic).
#[derive(Debug)]
pub(super) struct RememberedToken {
    token: Option<Secret>,
    at: Duration,
}

/// The token could not be stored; the old one stays.
#[derive(Debug, thiserror::Error)]
#[error("Failed to store token: {}", .0.database_message())]
pub struct StoreTokenError(#[from] StoreError);

/// What GitHub makes of the stored token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenStatus {
    /// It is known, and raises the limits.
    Ok,
    /// It makes no difference.
    Insufficient,
    /// It is refused; the beginning of the answer.
    Invalid(String),
    /// GitHub answered something else; the status and the beginning of the answer.
    Unexpected(StatusCode, String),
    /// No answer came; why, in the words that everybody gets.
    Unreachable(String),
    /// None is stored, so GitHub was not asked.
    Missing,
}

/// The stored token and what GitHub makes of it.
#[derive(Clone, Debug)]
pub struct TokenReport {
    pub token: Option<Secret>,
    /// The verdict.
    pub status: TokenStatus,
    /// Requests an hour that GitHub allows with it, where it said so.
    pub rate_limit: Option<i64>,
    /// When that was found out, in Unix seconds.
    pub checked_at: i64,
}

impl GitHubService {
    /// The stored token, read anew, and what GitHub makes of it.
    pub async fn token_report(&self) -> TokenReport {
        let token = self.stored_token(true).await;
        self.judge(token).await
    }

    /// Replaces the stored token by `token`, or by none, then judges it. The default branch is looked at again in the
    /// background, whatever the verdict.
    ///
    /// # Errors
    /// [`StoreTokenError`]; nothing changed then.
    pub async fn store_token(&self, token: Option<Secret>) -> Result<TokenReport, StoreTokenError> {
        let mut work = self.store.begin().await?;
        work.replace_github_token(token.as_ref().map(Secret::expose))
            .await?;
        work.save().await?;
        let what = match token {
            Some(_) => "github_token.stored",
            None => "github_token.removed",
        };
        audit::changed(what, self.default_branch.repository());
        self.remember(token.clone());
        let report = self.judge(token).await;
        tracing::info!(valid = report.status == TokenStatus::Ok, "github-token updated");
        self.refresh_wanted.ask(self.environment.clock.working());
        Ok(report)
    }

    /// The token for a look-up: the stored one, else the environment's. `anew`: the database is read however lately
    /// that was done.
    pub(super) async fn token(&self, anew: bool) -> Option<Secret> {
        let stored = self.stored_token(anew).await;
        stored.or_else(|| self.environment_token.clone())
    }

    async fn stored_token(&self, anew: bool) -> Option<Secret> {
        let now = self.environment.clock.monotonic();
        if !anew {
            let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(remembered) = remembered.as_ref()
                && now.saturating_sub(remembered.at) < MEMORY
            {
                return remembered.token.clone();
            }
        }
        let token = self.read_token().await.unwrap_or_else(|error| {
            tracing::warn!("github token lookup failed: {error}");
            None
        });
        self.remember(token.clone());
        token
    }

    async fn read_token(&self) -> Result<Option<Secret>, StoreError> {
        let stored = self.store.view().await?.github_token().await?.unwrap_or_default();
        let token = python_trim(&stored);
        Ok((!token.is_empty()).then(|| Secret::new(token)))
    }

    fn remember(&self, token: Option<Secret>) {
        let at = self.environment.clock.monotonic();
        *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = Some(RememberedToken { token, at });
    }

    async fn judge(&self, token: Option<Secret>) -> TokenReport {
        let (status, rate_limit) = match &token {
            None => (TokenStatus::Missing, None),
            Some(token) => self.verdict(token).await,
        };
        TokenReport {
            token,
            status,
            rate_limit,
            checked_at: self.environment.clock.now().as_second(),
        }
    }

    async fn verdict(&self, token: &Secret) -> (TokenStatus, Option<i64>) {
        let answer = match self.client.branch(&self.default_branch, Some(token)).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, cause = %error.cause, "github token check failed");
                return (TokenStatus::Unreachable(error.to_string()), None);
            }
        };
        let status = match answer.status {
            StatusCode::OK
                if answer
                    .rate_limit
                    .is_some_and(|limit| limit >= AUTHENTICATED_LIMIT) =>
            {
                TokenStatus::Ok
            }
            StatusCode::OK => TokenStatus::Insufficient,
            StatusCode::UNAUTHORIZED => TokenStatus::Invalid(answer.excerpt(Some(token))),
            other => TokenStatus::Unexpected(other, answer.excerpt(Some(token))),
        };
        (status, answer.rate_limit)
    }
}
