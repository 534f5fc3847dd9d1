//! Heads of GitHub repositories, cached, and the token with which GitHub is asked.

mod heads;
mod refresh;
mod token;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::StatusCode;
use jiff::Timestamp;

pub use self::token::{StoreTokenError, TokenReport, TokenStatus};
use self::{heads::Heads, refresh::Wanted, token::RememberedToken};
use super::Environment;
use crate::{
    builders::github::HeadQuery,
    config::{github::GitHubSettings, secret::Secret},
    domain::repository_head::{Head, RepositoryBranch},
    integrations::github::{GitHubClient, InvalidAnswer},
    repositories::Store,
};

/// However short a lifetime is asked for, a head counts as fresh that long, in seconds.
const LEAST_TTL: f64 = 30.0;

/// Where a head was taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadSource {
    /// Cached, and fresh enough.
    Cache,
    /// GitHub was asked.
    GitHub,
    /// GitHub had no answer, but an older head is cached.
    StaleCache,
}

/// A head, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadAnswer {
    /// The commit's id.
    pub commit: Option<String>,
    /// Where it was taken from.
    pub source: HeadSource,
    /// Seconds since it was asked for.
    pub age: Option<f64>,
    pub error: Option<String>,
}

/// GitHub's id of a commit is no text. The legacy breaks on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the commit's id is no text")]
pub struct UnreadableId;

enum LookupFailure {
    /// No head: what is answered, and more for the log.
    Failed {
        text: String,
        cause: Option<String>,
    },
    UnreadableId,
}

/// Knows heads, asks for them and keeps the token.
#[derive(Debug)]
pub struct GitHubService {
    store: Arc<dyn Store>,
    environment: Environment,
    client: GitHubClient,
    default_branch: RepositoryBranch,
    period: Duration,
    environment_token: Option<Secret>,
    heads: Heads,
    remembered: Mutex<Option<RememberedToken>>,
    refresh_wanted: Wanted,
}

impl GitHubService {
    /// Over this store and this client, with the heads that the settings' files hold. A file that cannot be used is
    /// logged and counts as empty.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        client: GitHubClient,
        settings: &GitHubSettings,
    ) -> Self {
        let now = unix_seconds(environment.clock.now());
        Self {
            heads: Heads::load(settings, now),
            store,
            environment,
            client,
            default_branch: settings.default_branch.clone(),
            period: settings.refresh,
            environment_token: settings.token.clone(),
            remembered: Mutex::new(None),
            refresh_wanted: Wanted::default(),
        }
    }

    /// The branch that agents follow unless they name another.
    pub fn default_branch(&self) -> &RepositoryBranch {
        &self.default_branch
    }

    /// The head that is asked for, from memory or from GitHub. For the default branch the lifetime asked for is
    /// ignored, because it is refreshed anyway.
    ///
    /// # Errors
    /// [`UnreadableId`]; everything else that GitHub may do wrong is part of the answer.
    pub async fn head(&self, query: &HeadQuery) -> Result<HeadAnswer, UnreadableId> {
        let ttl = query
            .ttl
            .filter(|_| query.branch != self.default_branch)
            .unwrap_or(self.period);
        self.look_up(&query.branch, ttl, query.forced).await
    }

    async fn look_up(
        &self,
        branch: &RepositoryBranch,
        ttl: Duration,
        forced: bool,
    ) -> Result<HeadAnswer, UnreadableId> {
        let now = unix_seconds(self.environment.clock.now());
        let key = branch.key();
        let fresh = |head: &Head| {
            !forced && !head.commit.is_empty() && head.age(now) < ttl.as_secs_f64().max(LEAST_TTL)
        };
        if let Some(head) = self.heads.get(&key).filter(fresh) {
            return Ok(HeadAnswer::of(head, HeadSource::Cache, now, None));
        }
        // Devices choose what is looked up. The token opens private repositories, so it goes with the one alone that an
        // administrator chose.
        let token = if branch.is_in_repository_of(&self.default_branch) {
            self.token(forced).await
        } else {
            None
        };
        let failure = match self.ask(branch, token.as_ref()).await {
            Ok(Some(commit)) => {
                let head = Head {
                    commit,
                    fetched_at: now,
                };
                self.heads.store(key, head.clone()).await;
                return Ok(HeadAnswer::of(head, HeadSource::GitHub, now, None));
            }
            Ok(None) => None,
            Err(LookupFailure::UnreadableId) => return Err(UnreadableId),
            Err(LookupFailure::Failed { text, cause }) => {
                tracing::warn!(
                    repo = %branch.repository(),
                    branch = %branch.branch(),
                    error = %format_args!("{text}{}", cause.map(|cause| format!(" ({cause})")).unwrap_or_default()),
                    "repo-head-lookup failure"
                );
                Some(text)
            }
        };
        Ok(match self.heads.get(&key) {
            Some(head) => {
                let error = failure.unwrap_or_else(|| "using cached value".to_owned());
                HeadAnswer::of(head, HeadSource::StaleCache, now, Some(error))
            }
            None => HeadAnswer {
                commit: None,
                source: HeadSource::GitHub,
                age: None,
                error: Some(failure.unwrap_or_else(|| "unable to resolve repository head".to_owned())),
            },
        })
    }

    async fn ask(
        &self,
        branch: &RepositoryBranch,
        token: Option<&Secret>,
    ) -> Result<Option<String>, LookupFailure> {
        let raised = |reason: &dyn std::fmt::Display, cause| LookupFailure::Failed {
            text: format!("GitHub REST API repo head lookup raised: {reason}"),
            cause,
        };
        let answer = self
            .client
            .branch(branch, token)
            .await
            .map_err(|error| raised(&error, Some(error.cause.clone())))?;
        if answer.status != StatusCode::OK {
            return Err(LookupFailure::Failed {
                text: format!(
                    "GitHub REST API repo head lookup failed: HTTP {} {}",
                    answer.status.as_u16(),
                    answer.excerpt(token)
                ),
                cause: None,
            });
        }
        answer.commit_id().map_err(|error| match error {
            InvalidAnswer::Unreadable => raised(&error, None),
            InvalidAnswer::IdNotText => LookupFailure::UnreadableId,
        })
    }
}

impl HeadAnswer {
    fn of(head: Head, source: HeadSource, now: f64, error: Option<String>) -> Self {
        Self {
            age: Some(head.age(now)),
            commit: head.into_commit(),
            source,
            error,
        }
    }
}

/// Unix seconds with their fraction, as head files hold them.
fn unix_seconds(time: Timestamp) -> f64 {
    time.as_microsecond() as f64 / 1e6
}

#[cfg(test)]
mod tests;
