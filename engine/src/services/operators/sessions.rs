//! Which sessions still count. Their signed values are in clients' hands and in a form that the legacy shares, so what
//! is kept here is when they ended: a session counts where it was issued after the last end of its account's sessions
//! and was not logged out itself.
//!
//! An end counts for the whole of its second, because that is what signed values know of their time. Who logs in after
//! it, in that very second, is recorded beside it.

use std::collections::BTreeMap;

use super::{Operator, OperatorService};
use crate::{
    config::settings::AccessPolicy,
    domain::{
        digest::sha256_hex,
        mask::shown,
        operator_session::{AccountInSession, AccountSessions, Issue, Issuing, OperatorCredential},
        operators::User,
    },
    repositories::{StoreError, UnitOfWork},
    services::audit::{self, Actor},
};

/// A digest of what sessions of an account depend on: the row, its password and its role.
pub(super) fn state_of(user: &User) -> String {
    let password = user.password_sha512.to_lowercase();
    let role = user.role.to_lowercase();
    sha256_hex(format!("{}\0{password}\0{role}", user.id).as_bytes())
}

/// What is stored of the sessions of an account, brought up to date: a change that this server did not make (by the
/// legacy, or in the file) ends them.
pub(super) async fn current_sessions(
    work: &mut dyn UnitOfWork,
    user: &User,
    now: i64,
) -> Result<AccountSessions, StoreError> {
    let state = state_of(user);
    match work.account_sessions(&user.username).await? {
        Some(sessions) if sessions.state.as_ref() == Some(&state) => Ok(sessions),
        Some(sessions) => {
            let ends = work.end_sessions(&user.username, Some(&state), now).await?;
            tracing::info!(
                user = %shown(&user.username),
                reason = "the account was changed while this server did not look",
                "operator sessions ended"
            );
            Ok(AccountSessions {
                state: Some(state),
                ended_at: sessions.ended_at.max(Some(now)),
                ends,
            })
        }
        None => {
            work.store_account_sessions(&user.username, &state).await?;
            Ok(AccountSessions {
                state: Some(state),
                ended_at: None,
                ends: 0,
            })
        }
    }
}

/// What has to be stored of sessions that are issued at `now` to the account of these.
pub(super) fn issuing(sessions: &AccountSessions, now: i64) -> Issuing {
    let shares_its_second = sessions.ended_at.is_some_and(|ended_at| ended_at >= now);
    Issuing {
        at: now,
        after_end: shares_its_second.then_some(sessions.ends),
    }
}

/// Whether what was issued to an account then has ended. An account that was changed unnoticed ends whatever came
/// before.
pub(super) fn has_ended(found: &AccountInSession, issued_at: i64) -> bool {
    let Some(sessions) = &found.sessions else {
        return found.logged_out;
    };
    let was_changed = sessions.state != Some(state_of(&found.user));
    let before_an_end = sessions.ended_at.is_some_and(|ended_at| issued_at <= ended_at);
    found.logged_out || was_changed || before_an_end && !found.kept
}

impl OperatorService {
    fn ends_count(&self) -> bool {
        self.policy == AccessPolicy::Strict
    }

    /// Who showed this: the account as it is now. `None` where it is gone or the session has ended (the legacy accepts
    /// what is signed: OPR-1).
    pub async fn recognise(&self, credential: &OperatorCredential) -> Result<Option<Operator>, StoreError> {
        Ok(self.account_in(credential).await?.map(Operator::from))
    }

    /// The account of a session that still counts.
    pub(super) async fn account_in(
        &self,
        credential: &OperatorCredential,
    ) -> Result<Option<User>, StoreError> {
        if !self.ends_count() {
            return self.store.view().await?.find_user(&credential.username).await;
        }
        let found = self.store.view().await?.find_in_session(credential).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let is_current = found
            .sessions
            .as_ref()
            .is_some_and(|sessions| sessions.state == Some(state_of(&found.user)));
        if !is_current && let Err(error) = self.refresh_account(&found.user).await {
            // What was found decides all the same, and the next request tries again.
            tracing::error!(%error, "a changed account could not be recorded");
        }
        Ok((!has_ended(&found, credential.issue.at)).then_some(found.user))
    }

    async fn refresh_account(&self, user: &User) -> Result<(), StoreError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        current_sessions(&mut *work, user, now).await?;
        work.save().await
    }

    /// Looks at every account, as at each start: what the legacy changed meanwhile has ended sessions.
    ///
    /// # Errors
    /// The store failed; nothing was recorded.
    pub async fn refresh_accounts(&self) -> Result<(), StoreError> {
        if !self.ends_count() {
            return Ok(());
        }
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        // Of names that differ in case alone the first is the one that can log in.
        let mut first = BTreeMap::new();
        for user in work.list_users().await? {
            let name = user.username.to_ascii_lowercase();
            if first.get(&name).is_none_or(|other: &User| user.id < other.id) {
                first.insert(name, user);
            }
        }
        for user in first.values() {
            current_sessions(&mut *work, user, now).await?;
        }
        for name in work.vanished_accounts().await? {
            work.end_sessions(&name, None, now).await?;
        }
        work.save().await
    }

    /// Ends these sessions: whatever was issued to their accounts in the same seconds, cookies and tokens alike.
    ///
    /// # Errors
    /// The store failed; none has ended.
    pub async fn log_out(&self, credentials: &[OperatorCredential]) -> Result<(), StoreError> {
        if !self.ends_count() || credentials.is_empty() {
            return Ok(());
        }
        let mut work = self.store.begin().await?;
        for credential in credentials {
            work.end_session(&credential.username, credential.issue.at)
                .await?;
        }
        work.save().await?;
        if let Some(credential) = credentials.first() {
            audit::acts(Actor::Operator(&credential.username));
            audit::changed("session.ended", &credential.username);
            tracing::info!(user = %shown(&credential.username), "logout");
        }
        Ok(())
    }

    /// Records what was issued, where that is needed. Where it cannot be, the operator has to log in again.
    pub async fn store_issued(&self, username: &str, issuing: Issuing, issues: &[Issue]) {
        let (Some(ends), true) = (issuing.after_end, self.ends_count()) else {
            return;
        };
        let noting = async {
            let mut work = self.store.begin().await?;
            work.keep_sessions(username, ends, issues).await?;
            work.save().await
        };
        if let Err(error) = noting.await {
            let error: StoreError = error;
            tracing::error!(%error, "a session that was just issued could not be recorded");
        }
    }

    /// Forgets the ends of sessions that are too old to count anyway.
    ///
    /// # Errors
    /// The store failed; nothing was forgotten.
    pub async fn prune(&self) -> Result<(), StoreError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        work.prune_sessions(now.saturating_sub(self.longest_session))
            .await?;
        work.save().await
    }
}
