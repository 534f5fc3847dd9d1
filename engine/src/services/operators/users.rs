//! Operators' accounts, of which one admin always remains.

use std::sync::Arc;

use super::{
    Operator,
    sessions::{current_sessions, issuing, state_of},
};
use crate::{
    builders::operators::users::MfaSwitch,
    domain::{
        mask::shown,
        operator_session::Issuing,
        operators::{NewUser, Role, User},
    },
    repositories::{Store, StoreError, UnitOfWork},
    services::{Environment, audit},
};

/// Why an account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Another account has this name, letter case aside.
    #[error("username already exists")]
    NameTaken,
    /// Nobody has this name.
    #[error("user not found")]
    NotFound,
    /// It is the caller's own account.
    #[error("You cannot delete the user you are currently logged in as.")]
    OwnAccount,
    /// It is the only account.
    #[error(
        "There is only one user currently configured, you cannot delete this user until you have created another."
    )]
    OnlyAccount,
    /// Nobody else is an admin, and this one is to be deleted.
    #[error("cannot delete the last admin")]
    DeletesLastAdmin,
    /// Nobody else is an admin, and this one is to be demoted.
    #[error("cannot demote the last admin")]
    DemotesLastAdmin,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes, changes and deletes accounts.
#[derive(Debug)]
pub struct UserService {
    store: Arc<dyn Store>,
    environment: Environment,
}

impl UserService {
    pub fn new(store: Arc<dyn Store>, environment: Environment) -> Self {
        Self { store, environment }
    }

    fn now(&self) -> i64 {
        self.environment.now().time.as_second()
    }

    /// Every account, by name without letter case.
    pub async fn list(&self) -> Result<Vec<User>, StoreError> {
        self.store.view().await?.list_users().await
    }

    /// Makes an account. Names that differ in letter case alone are refused: the legacy takes them, and then the second
    /// can never log in (OPR-4).
    ///
    /// # Errors
    /// [`UserError`]; nothing is written then.
    pub async fn create(&self, user: &NewUser, caller: &Operator) -> Result<(), UserError> {
        let now = self.now();
        let mut work = self.store.begin().await?;
        if work.find_user(&user.username).await?.is_some() {
            return Err(UserError::NameTaken);
        }
        // One of this name that was deleted unnoticed leaves nothing to this one.
        if work.account_sessions(&user.username).await?.is_some() {
            work.end_sessions(&user.username, None, now).await?;
        }
        work.insert_user(user, now).await?;
        if let Some(made) = work.find_user(&user.username).await? {
            work.store_account_sessions(&made.username, &state_of(&made))
                .await?;
        }
        work.save().await?;
        audit::changed("account.created", &user.username);
        changed(&format!("created role={}", user.role), &user.username, caller);
        Ok(())
    }

    /// Deletes an account; its sessions end, also for an account that is made anew under its name.
    ///
    /// # Errors
    /// [`UserError`]; nothing is written then.
    pub async fn delete(&self, username: &str, caller: &Operator) -> Result<(), UserError> {
        let now = self.now();
        if caller.is_named(username) {
            return Err(UserError::OwnAccount);
        }
        let mut work = self.store.begin().await?;
        let stored = stored_name(&mut *work, username).await?;
        if work.count_users().await? <= 1 {
            return Err(UserError::OnlyAccount);
        }
        if is_last_admin(&mut *work, username).await? {
            return Err(UserError::DeletesLastAdmin);
        }
        if !work.delete_user(username).await? {
            return Err(UserError::NotFound);
        }
        work.end_sessions(username, None, now).await?;
        work.save().await?;
        audit::changed("account.deleted", &stored);
        changed("deleted", username, caller);
        Ok(())
    }

    /// Gives an account another password, by its SHA-512; its sessions end.
    ///
    /// # Errors
    /// [`UserError`]; nothing is written then.
    pub async fn reset_password(
        &self,
        username: &str,
        password_sha512: &str,
        caller: &Operator,
    ) -> Result<(), UserError> {
        let now = self.now();
        let mut work = self.store.begin().await?;
        let stored = stored_name(&mut *work, username).await?;
        if !work.set_password(username, password_sha512, now).await? {
            return Err(UserError::NotFound);
        }
        end_sessions(&mut *work, username, now).await?;
        work.save().await?;
        audit::changed("account.password_reset", &stored);
        changed("password reset", username, caller);
        Ok(())
    }

    /// Gives an account another role; its sessions end, unless it has that role already. Returns what has to be stored
    /// of a session that the account is given now.
    ///
    /// # Errors
    /// [`UserError`]; nothing is written then.
    pub async fn set_role(
        &self,
        username: &str,
        role: Role,
        caller: &Operator,
    ) -> Result<Issuing, UserError> {
        let now = self.now();
        let mut work = self.store.begin().await?;
        let before = work.find_user(username).await?;
        if role == Role::User && is_last_admin(&mut *work, username).await? {
            return Err(UserError::DemotesLastAdmin);
        }
        if !work.set_role(username, role.as_stored(), now).await? {
            return Err(UserError::NotFound);
        }
        let keeps_it = before
            .as_ref()
            .is_some_and(|user| user.role.eq_ignore_ascii_case(role.as_stored()));
        if !keeps_it {
            end_sessions(&mut *work, username, now).await?;
        }
        let sessions = match work.find_user(username).await? {
            Some(user) => Some(current_sessions(&mut *work, &user, now).await?),
            None => None,
        };
        work.save().await?;
        audit::changed(
            "account.role_set",
            before.as_ref().map_or(username, |user| &user.username),
        );
        changed(&format!("role={}", role.as_stored()), username, caller);
        Ok(sessions.map_or_else(|| Issuing::at(now), |sessions| issuing(&sessions, now)))
    }

    /// Switches an account's MFA.
    ///
    /// # Errors
    /// [`UserError`]; nothing is written then.
    pub async fn switch_mfa(
        &self,
        username: &str,
        switch: MfaSwitch,
        caller: &Operator,
    ) -> Result<(), UserError> {
        let now = self.now();
        let mut work = self.store.begin().await?;
        let stored = stored_name(&mut *work, username).await?;
        if !work.set_mfa(username, switch.enabled, now).await? {
            return Err(UserError::NotFound);
        }
        if switch.reset_secret {
            work.forget_mfa_secret(username).await?;
        }
        work.save().await?;
        audit::changed("account.mfa_switched", &stored);
        changed(
            &format!("mfa={} reset={}", switch.enabled, switch.reset_secret),
            username,
            caller,
        );
        Ok(())
    }
}

/// The name of an account as it is stored, which may differ in letter case: whoever reads the audit log looks for that.
async fn stored_name(work: &mut dyn UnitOfWork, username: &str) -> Result<String, StoreError> {
    let user = work.find_user(username).await?;
    Ok(user.map_or_else(|| username.to_owned(), |user| user.username))
}

/// Ends the sessions of an account that was changed.
async fn end_sessions(work: &mut dyn UnitOfWork, username: &str, now: i64) -> Result<(), StoreError> {
    let state = work.find_user(username).await?.as_ref().map(state_of);
    work.end_sessions(username, state.as_deref(), now).await?;
    Ok(())
}

/// Whether no admin would be left without the accounts of this name.
async fn is_last_admin(work: &mut dyn UnitOfWork, username: &str) -> Result<bool, StoreError> {
    Ok(work.count_admins().await? > 0 && work.count_admins_but(username).await? == 0)
}

fn changed(what: &str, username: &str, caller: &Operator) {
    tracing::info!(name = %shown(username), by = %shown(&caller.username), "user {what}");
}

#[cfg(test)]
mod tests;
