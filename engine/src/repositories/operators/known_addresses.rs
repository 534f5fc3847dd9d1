//! From where operators have logged in.

use async_trait::async_trait;

use crate::repositories::StoreError;

/// The engine's own table `engine_known_addresses`. Names count without regard to the case of ASCII letters. What
/// stands here excuses from a limit and proves nothing: an account that the legacy deleted meanwhile stays unknown.
#[async_trait]
pub trait ReadKnownAddresses: Send {
    /// Whether `username` has logged in from `address` at `since` (Unix seconds) or later.
    async fn is_known_address(
        &mut self,
        username: &str,
        address: &str,
        since: i64,
    ) -> Result<bool, StoreError>;
}

#[async_trait]
pub trait WriteKnownAddresses: Send {
    /// Records a login, and forgets all logins before `oldest`.
    async fn store_address(
        &mut self,
        username: &str,
        address: &str,
        now: i64,
        oldest: i64,
    ) -> Result<(), StoreError>;
}
