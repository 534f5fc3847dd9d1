//! Table `refresh_tokens`.

pub(super) mod lookups;
pub(super) mod refresh_notes;

use crate::{
    domain::{
        devices::DeviceIdentity,
        refresh_tokens::{NewRefreshToken, RefreshToken},
    },
    repositories::{
        StoreError,
        device_access::{ReadRefreshTokens, WriteRefreshTokens},
        sqlite::{Access, SqliteWork, devices::identity, rows::Columns},
    },
};
use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

#[async_trait]
impl<A: Access> ReadRefreshTokens for A {
    async fn find_refresh_token(
        &mut self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<(RefreshToken, Option<DeviceIdentity>)>, StoreError> {
        let row = sqlx::query(
            "SELECT t.id, t.expires_at, t.revoked_at, d.guid, d.hostname, d.ssl_key_fingerprint, d.token_version, \
             d.status FROM refresh_tokens t LEFT JOIN devices d ON d.guid = t.guid \
             WHERE t.guid = $1 AND t.token_hash = $2 ORDER BY t.rowid LIMIT 1",
        )
        .bind(guid)
        .bind(token_hash)
        .fetch_optional(self.connection())
        .await?;
        row.as_ref().map(token_and_device).transpose()
    }
}

/// A refresh token, and its device if it is there.
type TokenAndDevice = (RefreshToken, Option<DeviceIdentity>);

fn token_and_device(row: &SqliteRow) -> Result<TokenAndDevice, StoreError> {
    let token = Columns::of("refresh_tokens", row);
    let device = Columns::of("devices", row);
    let is_there = device.get::<Option<String>>("guid")?.is_some();
    Ok((
        RefreshToken {
            id: token.get("id")?,
            expires_at: token.get("expires_at")?,
            revoked_at: token.get("revoked_at")?,
        },
        is_there.then(|| identity(&device)).transpose()?,
    ))
}

#[async_trait]
impl WriteRefreshTokens for SqliteWork {
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
            "UPDATE refresh_tokens SET revoked_at = $2 WHERE guid IN \
             (SELECT guid FROM refresh_tokens WHERE UPPER(guid) = UPPER($1)) AND revoked_at IS NULL",
        )
        .bind(guid)
        .bind(now_iso)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}
