//! Table `github_token`: no key, no row or one.

use crate::repositories::{
    StoreError, WriteGitHubTokens,
    github::ReadGitHubTokens,
    sqlite::{Access, SqliteWork, rows::Columns},
};
use async_trait::async_trait;

#[async_trait]
impl<A: Access> ReadGitHubTokens for A {
    async fn github_token(&mut self) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT token FROM github_token LIMIT 1")
            .fetch_optional(self.connection())
            .await?;
        row.map_or(Ok(None), |row| Columns::of("github_token", &row).get("token"))
    }
}

#[async_trait]
impl WriteGitHubTokens for SqliteWork {
    async fn replace_github_token(&mut self, token: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM github_token")
            .execute(self.connection())
            .await?;
        if let Some(token) = token {
            sqlx::query("INSERT INTO github_token (token) VALUES ($1)")
                .bind(token)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}
