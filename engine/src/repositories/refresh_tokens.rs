//! Refresh tokens, known by their digest alone.

use async_trait::async_trait;

use super::{StoreError, devices::DeviceIdentity};

/// A refresh token that is told to a device once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRefreshToken<'a> {
    /// Row id: a UUID in lower case.
    pub id: &'a str,
    /// The device, canonical.
    pub guid: &'a str,
    /// SHA-256 of the token's text, hex.
    pub token_hash: &'a str,
    /// When it was made, stored form.
    pub created_at: &'a str,
    /// When it ends, stored form.
    pub expires_at: &'a str,
}

/// A refresh token as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefreshToken {
    /// Row id.
    pub id: String,
    /// When it ends; blank where it never does.
    pub expires_at: Option<String>,
    /// When it was ended before its time.
    pub revoked_at: Option<String>,
}

/// The table `refresh_tokens`.
#[async_trait]
pub trait ReadRefreshTokens: Send {
    /// The token with this digest that was told to the device with exactly this GUID, and that device if it is there.
    async fn find_refresh_token(
        &mut self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<(RefreshToken, Option<DeviceIdentity>)>, StoreError>;
}

/// What changes there.
#[async_trait]
pub trait WriteRefreshTokens: Send {
    /// Makes a token.
    async fn insert_refresh_token(&mut self, token: &NewRefreshToken<'_>) -> Result<(), StoreError>;

    /// Ends every token of the device that has not been ended.
    async fn revoke_refresh_tokens(&mut self, guid: &str, now_iso: &str) -> Result<(), StoreError>;
}

/// A refresh token that was traded for an access token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsedRefreshToken {
    /// Row id.
    pub id: String,
    /// When, stored form.
    pub used_at: String,
    /// The thumbprint of the key that the use was proven with; without one the stored thumbprint stays.
    pub dpop_jkt: Option<String>,
}

/// Uses of refresh tokens come by the thousand, so those that wait at the same moment are written together.
#[async_trait]
pub trait RefreshNotes {
    /// Notes a use; it is stored when this returns.
    async fn note_refresh(&self, used: UsedRefreshToken) -> Result<(), StoreError>;
}
