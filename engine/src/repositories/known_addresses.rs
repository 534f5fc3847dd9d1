//! From where operators have logged in.

use std::future::Future;

use super::StoreError;

/// The engine's own table `engine_known_addresses`. Names count without regard to the case of ASCII letters. What
/// stands here excuses from a limit and proves nothing: an account that the legacy deleted meanwhile stays unknown.
pub trait KnownAddresses: Send {
    /// Whether `username` has logged in from `address` at `since` (Unix seconds) or later.
    fn is_known_address(
        &mut self,
        username: &str,
        address: &str,
        since: i64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Notes a login, and forgets all logins before `oldest`.
    fn note_address(
        &mut self,
        username: &str,
        address: &str,
        now: i64,
        oldest: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}
