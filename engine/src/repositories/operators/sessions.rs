//! What the engine knows of operators' sessions, in tables of its own. Clients hold the sessions themselves.

use async_trait::async_trait;

use crate::{
    domain::operator_session::{AccountInSession, AccountNote, Issue, OperatorCredential},
    repositories::StoreError,
};

/// The engine's own tables `engine_operator_accounts` and `engine_operator_sessions`. Names are meant without regard to
/// the case of ASCII letters.
#[async_trait]
pub trait ReadOperatorSessions: Send {
    /// The account that a credential names, and what is recorded of both, in one query.
    async fn find_in_session(
        &mut self,
        credential: &OperatorCredential,
    ) -> Result<Option<AccountInSession>, StoreError>;

    /// What is recorded of an account.
    async fn account_note(&mut self, username: &str) -> Result<Option<AccountNote>, StoreError>;

    /// The names of which an account is recorded that is not there any more.
    async fn vanished_accounts(&mut self) -> Result<Vec<String>, StoreError>;
}

#[async_trait]
pub trait WriteOperatorSessions: Send {
    /// Records what an account is; no session ends.
    async fn note_account(&mut self, username: &str, state: &str) -> Result<(), StoreError>;

    /// Ends every session that was issued until `now`, and records what the account is; `None`: it is gone. Says how
    /// often that was.
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
