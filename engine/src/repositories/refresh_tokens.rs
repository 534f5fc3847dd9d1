//! Refresh tokens, known by their digest alone.

use std::future::Future;

use super::StoreError;

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
pub trait RefreshTokens: Send {
    /// Makes a token.
    fn insert_refresh_token(
        &mut self,
        token: &NewRefreshToken<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends every token of the device that has not been ended.
    fn revoke_refresh_tokens(
        &mut self,
        guid: &str,
        now_iso: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The token with this digest that was told to the device with exactly this GUID.
    fn find_refresh_token(
        &mut self,
        guid: &str,
        token_hash: &str,
    ) -> impl Future<Output = Result<Option<RefreshToken>, StoreError>> + Send;

    /// Notes that the token was used, and the thumbprint of the key that its use was proven with; without one the
    /// stored thumbprint stays.
    fn note_refresh(
        &mut self,
        id: &str,
        now_iso: &str,
        dpop_jkt: Option<&str>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
