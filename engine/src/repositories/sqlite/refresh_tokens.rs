//! Table `refresh_tokens`.

use super::Access;
use crate::repositories::{
    StoreError,
    refresh_tokens::{NewRefreshToken, RefreshTokens},
};

impl<A: Access> RefreshTokens for A {
    async fn insert_refresh_token(&mut self, token: &NewRefreshToken<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO refresh_tokens (id, guid, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(token.id)
        .bind(token.guid)
        .bind(token.token_hash)
        .bind(token.created_at)
        .bind(token.expires_at)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    async fn revoke_refresh_tokens(&mut self, guid: &str, now_iso: &str) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE refresh_tokens SET revoked_at = $2 WHERE UPPER(guid) = UPPER($1) AND revoked_at IS NULL",
        )
        .bind(guid)
        .bind(now_iso)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
