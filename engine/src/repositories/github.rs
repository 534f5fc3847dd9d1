//! The token with which GitHub is asked.
//!
//! Short because the feature has the same file in every layer, and its table has one column.

use async_trait::async_trait;

use crate::repositories::StoreError;

/// The table `github_token`.
#[async_trait]
pub trait ReadGitHubTokens: Send {
    /// The token, as stored; `None` without a row, or where it is null.
    async fn github_token(&mut self) -> Result<Option<String>, StoreError>;
}

#[async_trait]
pub trait WriteGitHubTokens: Send {
    /// Replaces whatever is stored by this token, or by none.
    async fn replace_github_token(&mut self, token: Option<&str>) -> Result<(), StoreError>;
}
