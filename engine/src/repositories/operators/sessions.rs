//! What the engine knows of operators' sessions, in tables of its own. Clients hold the sessions themselves.

use async_trait::async_trait;

use crate::{
    domain::operator_session::{AccountInSession, AccountSessions, Issue, OperatorCredential},
    repositories::StoreError,
};

/// The engine's own tables `engine_operator_accounts` and `engine_operator_sessions`. Names are meant without regard to
/// the case of ASCII letters.
#[async_trait]
pub trait ReadOperatorSessions: Send {
    /// The account that a credential names, and what is stored of both, in one query.
    async fn find_in_session(
        &mut self,
        credential: &OperatorCredential,
    ) -> Result<Option<AccountInSession>, StoreError>;

    /// What is stored of the account's sessions.
    async fn account_sessions(&mut self, username: &str) -> Result<Option<AccountSessions>, StoreError>;

    /// The names of accounts that have a row here and are not there any more.
    async fn vanished_accounts(&mut self) -> Result<Vec<String>, StoreError>;
}

#[async_trait]
pub trait WriteOperatorSessions: Send {
    /// Stores the state of an account; no session ends.
    async fn store_account_sessions(&mut self, username: &str, state: &str) -> Result<(), StoreError>;

    /// Ends every session that was issued until `now`, and stores the state of the account; `None`: it is gone. Returns
    /// how often that was.
    async fn end_sessions(
        &mut self,
        username: &str,
        state: Option<&str>,
        now: i64,
    ) -> Result<i64, StoreError>;

    /// Ends what was issued at this second.
    async fn end_session(&mut self, username: &str, issued_at: i64) -> Result<(), StoreError>;

    /// Takes back that what was issued at this second was logged out: it is issued again.
    async fn reopen_session(&mut self, username: &str, issued_at: i64) -> Result<(), StoreError>;

    /// Records that these were issued after the account's end number `ends`; nothing where there was another since.
    async fn keep_sessions(&mut self, username: &str, ends: i64, issues: &[Issue]) -> Result<(), StoreError>;

    /// Forgets what concerns nothing but sessions that were issued before `oldest`.
    async fn prune_sessions(&mut self, oldest: i64) -> Result<(), StoreError>;
}
