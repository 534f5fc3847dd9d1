//! Table `refresh_tokens`.

use super::{Access, rows::Columns};
use crate::repositories::{
    StoreError,
    refresh_tokens::{NewRefreshToken, RefreshToken, RefreshTokens},
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

    async fn find_refresh_token(
        &mut self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<RefreshToken>, StoreError> {
        let row = sqlx::query(
            "SELECT id, expires_at, revoked_at FROM refresh_tokens WHERE guid = $1 AND token_hash = $2 \
             ORDER BY rowid LIMIT 1",
        )
        .bind(guid)
        .bind(token_hash)
        .fetch_optional(self.connection())
        .await?;
        row.map(|row| {
            let row = Columns::of("refresh_tokens", &row);
            Ok(RefreshToken {
                id: row.get("id")?,
                expires_at: row.get("expires_at")?,
                revoked_at: row.get("revoked_at")?,
            })
        })
        .transpose()
    }

    async fn note_refresh(
        &mut self,
        id: &str,
        now_iso: &str,
        dpop_jkt: Option<&str>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE refresh_tokens SET last_used_at = $2, dpop_jkt = COALESCE($3, dpop_jkt) WHERE id = $1",
        )
        .bind(id)
        .bind(now_iso)
        .bind(dpop_jkt)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
