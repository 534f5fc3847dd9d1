//! Refresh tokens, stored as digests.

use async_trait::async_trait;

use crate::{
    domain::{
        devices::DeviceIdentity,
        refresh_tokens::{NewRefreshToken, RefreshToken, UsedRefreshToken},
    },
    repositories::StoreError,
};

/// The table `refresh_tokens`.
#[async_trait]
pub trait ReadRefreshTokens: Send {
    /// The token with this digest that was given to the device with exactly this GUID, and that device if it is there.
    async fn find_refresh_token(
        &mut self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<(RefreshToken, Option<DeviceIdentity>)>, StoreError>;
}

#[async_trait]
pub trait WriteRefreshTokens: Send {
    async fn insert_refresh_token(&mut self, token: &NewRefreshToken<'_>) -> Result<(), StoreError>;

    /// Ends every token of the device that has not been ended.
    async fn revoke_refresh_tokens(&mut self, guid: &str, now_iso: &str) -> Result<(), StoreError>;
}

/// What every call of a device asks for. Those that wait at the same moment are asked together.
#[async_trait]
pub trait DeviceLookups {
    /// The device whose GUID is stored exactly so.
    async fn device_of_call(&self, guid: &str) -> Result<Option<DeviceIdentity>, StoreError>;

    /// As [`ReadRefreshTokens::find_refresh_token`].
    async fn refresh_token_of_call(
        &self,
        guid: &str,
        token_hash: &str,
    ) -> Result<Option<(RefreshToken, Option<DeviceIdentity>)>, StoreError>;
}

/// Uses of refresh tokens come by the thousand, so those that wait at the same moment are written together.
#[async_trait]
pub trait RefreshNotes {
    /// Records a use; it is stored when this returns.
    async fn note_refresh(&self, used: UsedRefreshToken) -> Result<(), StoreError>;
}
