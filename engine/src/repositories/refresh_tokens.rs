//! Refresh tokens, known by their digest alone.

use std::future::Future;

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

    /// The token with this digest that was told to the device with exactly this GUID, and that device if it is there.
    fn find_refresh_token(
        &mut self,
        guid: &str,
        token_hash: &str,
    ) -> impl Future<Output = Result<Option<(RefreshToken, Option<DeviceIdentity>)>, StoreError>> + Send;
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
pub trait RefreshNotes {
    /// Notes a use; it is stored when this returns.
    fn note_refresh(&self, used: UsedRefreshToken) -> impl Future<Output = Result<(), StoreError>> + Send;
}
