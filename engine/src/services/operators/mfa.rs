//! Logins that wait for a code.

use super::{
    Operator,
    login::{LoggedIn, LoginFrom, LoginService},
    sessions::{has_ended, issuing},
};
use crate::{
    builders::operators::mfa::{CodeAnswer, PendingLogin, Stage},
    domain::{
        mask::shown,
        operator_session::{AccountSessions, Issuing, OperatorCredential},
        operators::User,
        random::random_uuid,
        rate_limit::RateLimited,
        text::{python_trim, same_text},
        totp::{self, Secret, SecretError},
    },
    repositories::{ReadTables, StoreError},
    services::audit,
};

/// How long a code is waited for, in seconds.
const PENDING_LIFETIME: i64 = 300;

/// Why a pending login is not completed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token belongs to another login, or the account is gone.
    #[error("the pending login is another one, or its account is gone")]
    InvalidSession,
    /// The code came too late.
    #[error("the pending login has expired")]
    Expired,
    /// Fewer than six digits.
    #[error("the code is too short")]
    ShortCode,
    /// Another code, or one that was used before.
    #[error("the code is wrong")]
    WrongCode,
    /// The account has no secret.
    #[error("the account has no secret")]
    NotConfigured,
    /// The secret makes no codes.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Too many wrong guesses for this name from this address.
    #[error("too many wrong guesses")]
    RateLimited(RateLimited),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginService {
    /// Begins to wait for a code of this account.
    pub(super) fn pending(&self, user: User, sessions: Option<&AccountSessions>) -> PendingLogin {
        let now = self.environment.now().time.as_second();
        let random = &*self.environment.random;
        let stage = if has_secret(&user) {
            Stage::Verify
        } else {
            Stage::Setup {
                secret: totp::new_secret(random),
            }
        };
        let operator = Operator::from(user);
        PendingLogin {
            username: operator.username,
            role: operator.role,
            token: random_uuid(random).simple().to_string(),
            stage,
            expires: now + PENDING_LIFETIME,
            issue: None,
            issuing: sessions.map_or_else(|| Issuing::at(now), |sessions| issuing(sessions, now)),
        }
    }

    /// The address that brings a new secret into an authenticator app.
    pub fn otpauth_url(&self, username: &str, secret: &str) -> String {
        totp::otpauth_url(&self.issuer, username, secret)
    }

    /// Completes a pending login. A secret that is being set up is stored with it.
    ///
    /// # Errors
    /// [`VerifyError`]; nothing is written then.
    pub async fn verify(
        &self,
        pending: &PendingLogin,
        answer: &CodeAnswer,
        from: LoginFrom<'_>,
    ) -> Result<LoggedIn, VerifyError> {
        if answer.pending_token.is_empty() || !same_text(&answer.pending_token, &pending.token) {
            return Err(VerifyError::InvalidSession);
        }
        if pending.expires < self.environment.now().time.as_second() {
            return Err(VerifyError::Expired);
        }
        if answer.code.chars().count() < totp::DIGITS {
            return Err(VerifyError::ShortCode);
        }
        let guess = self
            .begin_guess(&pending.username, from)
            .await?
            .map_err(VerifyError::RateLimited)?;
        let checked = match &pending.stage {
            Stage::Verify => self.verify_stored(pending, &answer.code).await,
            Stage::Setup { secret } => self.set_up(pending, secret, &answer.code).await,
        };
        if matches!(checked, Err(VerifyError::WrongCode)) {
            tracing::info!(
                user = %shown(&pending.username),
                address = %shown(from.address),
                "login refused for its code"
            );
        } else {
            self.take_back(guess);
        }
        // The role is the row's: the pending login's may have been taken away since (OPR-11).
        let user = User {
            username: pending.username.clone(),
            ..checked?
        };
        let logged_in = self.complete(user, from).await;
        logged_in.ok_or(VerifyError::InvalidSession)
    }

    /// The account of a pending login, which ends with the account's sessions.
    async fn account_of(
        &self,
        tables: &mut dyn ReadTables,
        pending: &PendingLogin,
    ) -> Result<Option<User>, VerifyError> {
        let Some(issue) = pending.issue.clone().filter(|_| self.is_strict()) else {
            return Ok(tables.find_user(&pending.username).await?);
        };
        let credential = OperatorCredential {
            username: pending.username.clone(),
            issue,
        };
        let found = tables.find_in_session(&credential).await?;
        match found {
            Some(found) if has_ended(&found, credential.issue.at) => Err(VerifyError::InvalidSession),
            found => Ok(found.map(|found| found.user)),
        }
    }

    async fn verify_stored(&self, pending: &PendingLogin, code: &str) -> Result<User, VerifyError> {
        let user = self
            .account_of(&mut *self.store.view().await?, pending)
            .await?
            .ok_or(VerifyError::NotConfigured)?;
        let stored = user.mfa_secret.as_deref().map(python_trim).unwrap_or_default();
        if stored.is_empty() {
            return Err(VerifyError::NotConfigured);
        }
        self.check_code(&pending.username, stored, code)?;
        Ok(user)
    }

    async fn set_up(&self, pending: &PendingLogin, secret: &str, code: &str) -> Result<User, VerifyError> {
        let username = &pending.username;
        self.check_code(username, secret, code)?;
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        let user = self
            .account_of(&mut *work, pending)
            .await?
            .ok_or(VerifyError::InvalidSession)?;
        if self.is_strict() && has_secret(&user) {
            tracing::warn!(user = %shown(username), "mfa setup refused, the account has a secret");
            return Err(VerifyError::InvalidSession);
        }
        work.set_mfa_secret(username, secret, now).await?;
        work.save().await?;
        audit::changed("account.mfa_set_up", username);
        tracing::info!(user = %shown(username), "mfa secret set");
        Ok(user)
    }

    /// A code counts once (OPR-10).
    fn check_code(&self, username: &str, secret: &str, code: &str) -> Result<(), VerifyError> {
        let now = self.environment.now().time.as_second();
        let step = Secret::read(secret)?
            .matching_step(code, now)
            .ok_or(VerifyError::WrongCode)?;
        if self.use_code(username, secret, step, now) {
            Ok(())
        } else {
            Err(VerifyError::WrongCode)
        }
    }
}

/// Whether codes are checked against a secret of the account's own.
fn has_secret(user: &User) -> bool {
    user.mfa_secret
        .as_deref()
        .is_some_and(|secret| !python_trim(secret).is_empty())
}
