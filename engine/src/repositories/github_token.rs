//! The token with which GitHub is asked.

use std::future::Future;

use super::StoreError;

/// The table `github_token`.
pub trait GitHubTokens: Send {
    /// The token, as stored; `None` without a row, or where it is null.
    fn github_token(&mut self) -> impl Future<Output = Result<Option<String>, StoreError>> + Send;

    /// Replaces whatever is stored by this token, or by none.
    fn replace_github_token(
        &mut self,
        token: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
