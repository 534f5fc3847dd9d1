//! What the engine knows of operators' sessions, in tables of its own. Clients hold the sessions themselves.

use std::future::Future;

use super::{StoreError, users::User};
use crate::domain::operator_session::{Issue, OperatorCredential};

/// What is noted of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountNote {
    /// What the account was when it was last looked at; `None` where it was deleted.
    pub state: Option<String>,
    /// Unix seconds: what was issued until then has ended.
    pub ended_at: Option<i64>,
    /// How often that was.
    pub ends: i64,
}

/// An account as it is, and what is noted of it and of one of its sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountInSession {
    /// The account; as [`Users::find_user`] finds it.
    ///
    /// [`Users::find_user`]: super::users::Users::find_user
    pub user: User,
    /// What is noted of it; `None` where it is seen for the first time.
    pub note: Option<AccountNote>,
    /// Whether the session was logged out.
    pub logged_out: bool,
    /// Whether it was issued after the end with which it shares its second.
    pub kept: bool,
}

/// The engine's own tables `engine_operator_accounts` and `engine_operator_sessions`. Names are meant without regard to
/// the case of ASCII letters.
pub trait OperatorSessions: Send {
    /// The account that a credential names, and what is noted of both, in one query.
    fn find_in_session(
        &mut self,
        credential: &OperatorCredential,
    ) -> impl Future<Output = Result<Option<AccountInSession>, StoreError>> + Send;

    /// What is noted of an account.
    fn account_note(
        &mut self,
        username: &str,
    ) -> impl Future<Output = Result<Option<AccountNote>, StoreError>> + Send;

    /// The names of which an account is noted that is not there any more.
    fn vanished_accounts(&mut self) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;

    /// Notes what an account is; no session ends.
    fn note_account(
        &mut self,
        username: &str,
        state: &str,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends every session that was issued until `now`, and notes what the account is; `None`: it is gone. Says how often
    /// that was.
    fn end_sessions(
        &mut self,
        username: &str,
        state: Option<&str>,
        now: i64,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Ends what was issued at this second.
    fn end_session(
        &mut self,
        username: &str,
        issued_at: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes back that what was issued at this second was logged out: it is issued again.
    fn reopen_session(
        &mut self,
        username: &str,
        issued_at: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that these were issued after the account's end number `ends`; nothing where there was another since.
    fn keep_sessions(
        &mut self,
        username: &str,
        ends: i64,
        issues: &[Issue],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets what concerns nothing but sessions that were issued before `oldest`.
    fn prune_sessions(&mut self, oldest: i64) -> impl Future<Output = Result<(), StoreError>> + Send;
}
