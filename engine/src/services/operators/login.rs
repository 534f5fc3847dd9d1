//! Logins by password. What an account with MFA has to show beyond it is in [`super::mfa`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Operator,
    sessions::{current_sessions, issuing, state_of},
};
use crate::{
    builders::operators::{login::Password, mfa::PendingLogin},
    config::settings::AccessPolicy,
    domain::{
        digest::sha512_hex,
        guess_limit::{Guess, GuessLimit, GuessRules, Guesser},
        mask::shown,
        operator_session::{AccountSessions, Issuing},
        operators::User,
        rate_limit::RateLimited,
        text::same_text,
        used_codes::UsedCodes,
    },
    repositories::{Store, StoreError},
    services::{Environment, audit},
};

/// Wrong passwords and codes before further tries are refused.
const GUESSES: GuessRules = GuessRules {
    most: 10,
    window: Duration::from_secs(300),
    most_of_name: 50,
    name_window: Duration::from_secs(900),
    most_of_address: 100,
    most_of_all: 50_000,
};
/// How long an address is known after a login, in seconds.
const KNOWN_FOR: i64 = 30 * 24 * 60 * 60;

/// Why a login is refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Nobody has this name, or the password is another one; the answer does not say which.
    #[error("invalid username or password")]
    Refused,
    /// The password is no text.
    #[error("the password is no text")]
    NoText,
    /// Too many wrong guesses for this name from this address.
    #[error("too many wrong guesses")]
    RateLimited(RateLimited),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a right password leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Login {
    /// The operator is logged in.
    Complete(LoggedIn),
    /// A code has to be shown first.
    Pending(PendingLogin),
}

/// An operator whose login is complete, and what is to be stored of the session that is issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoggedIn {
    /// Who it is.
    pub operator: Operator,
    /// The second to sign, and what comes after.
    pub issuing: Issuing,
}

/// Where a login comes from.
#[derive(Clone, Copy, Debug)]
pub struct LoginFrom<'a> {
    /// The address that the log shows.
    pub address: &'a str,
    /// What the limit of wrong guesses counts.
    pub limit_key: &'a str,
}

/// Logs operators in.
#[derive(Debug)]
pub struct LoginService {
    pub(super) store: Arc<dyn Store>,
    pub(super) environment: Environment,
    pub(super) issuer: String,
    pub(super) policy: AccessPolicy,
    guesses: Mutex<GuessLimit>,
    used_codes: Mutex<UsedCodes>,
}

impl LoginService {
    /// Over this store. `issuer` is the name that authenticator apps show for this server.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        issuer: String,
        policy: AccessPolicy,
    ) -> Self {
        Self {
            store,
            environment,
            issuer,
            policy,
            guesses: Mutex::new(GuessLimit::new(GUESSES)),
            used_codes: Mutex::new(UsedCodes::default()),
        }
    }

    /// Checks name and password of a caller.
    ///
    /// # Errors
    /// [`LoginError`]; nothing is written then.
    pub async fn login(
        &self,
        username: &str,
        password: &Password,
        from: LoginFrom<'_>,
    ) -> Result<Login, LoginError> {
        let guess = self
            .begin_guess(username, from)
            .await?
            .map_err(LoginError::RateLimited)?;
        let checked = self.check_password(username, password).await;
        let is_wrong = match &checked {
            Err(LoginError::Refused) => true,
            Err(LoginError::NoText) => self.is_strict(),
            _ => false,
        };
        if is_wrong {
            tracing::info!(user = %shown(username), address = %shown(from.address), "login refused");
        } else {
            self.take_back(guess);
        }
        let (user, sessions) = checked?;
        if user.mfa_enabled {
            let sessions = match sessions.filter(|sessions| sessions.state == Some(state_of(&user))) {
                None if self.is_strict() => Some(self.sessions_now(&user).await?),
                sessions => sessions,
            };
            tracing::info!(user = %shown(&user.username), "login asks for a code");
            return Ok(Login::Pending(self.pending(user, sessions.as_ref())));
        }
        let logged_in = self.complete(user, from).await;
        Ok(Login::Complete(logged_in.ok_or(LoginError::Refused)?))
    }

    pub(super) fn is_strict(&self) -> bool {
        self.policy == AccessPolicy::Strict
    }

    /// The account of this name and password, and what is stored of its sessions.
    async fn check_password(
        &self,
        username: &str,
        password: &Password,
    ) -> Result<(User, Option<AccountSessions>), LoginError> {
        if *password == Password::NoText && self.is_strict() {
            return Err(LoginError::NoText);
        }
        let mut view = self.store.view().await?;
        // Before the account: an end that comes between both is another one than is recorded here.
        let sessions = match self.is_strict() {
            true => view.account_sessions(username).await?,
            false => None,
        };
        let user = view.find_user(username).await?.ok_or(LoginError::Refused)?;
        // Nothing below needs it.
        drop(view);
        let digest = match password {
            Password::Plain(text) => sha512_hex(text.as_bytes()),
            Password::Digest(digest) => digest.clone(),
            Password::NoText => return Err(LoginError::NoText),
        };
        if same_text(&user.password_sha512.to_lowercase(), &digest) {
            Ok((user, sessions))
        } else {
            Err(LoginError::Refused)
        }
    }

    /// Brings what is stored of the sessions of an account up to date.
    async fn sessions_now(&self, checked: &User) -> Result<AccountSessions, LoginError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        let user = work.find_user(&checked.username).await?;
        let user = user
            .filter(|user| state_of(user) == state_of(checked))
            .ok_or(LoginError::Refused)?;
        let sessions = current_sessions(&mut *work, &user, now).await?;
        work.save().await?;
        Ok(sessions)
    }

    /// Records the login of an account that was checked so. One that cannot be recorded counts all the same, as in the
    /// legacy; `None` where the account was changed since, so that what was checked no longer holds.
    pub(super) async fn complete(&self, checked: User, from: LoginFrom<'_>) -> Option<LoggedIn> {
        let now = self.environment.now().time.as_second();
        let issuing = match self.record(&checked, from, now).await {
            Ok(Some(issuing)) => issuing,
            Ok(None) => {
                tracing::info!(
                    user = %shown(&checked.username),
                    address = %shown(from.address),
                    "login refused, the account was changed meanwhile"
                );
                return None;
            }
            Err(error) => {
                tracing::error!(%error, "the time of a login could not be written");
                Issuing::at(now)
            }
        };
        let operator = Operator::from(checked);
        audit::acts(audit::Actor::Operator(&operator.username));
        audit::changed("session.begun", &operator.username);
        tracing::info!(user = %shown(&operator.username), address = %shown(from.address), "login");
        Some(LoggedIn { operator, issuing })
    }

    async fn record(
        &self,
        checked: &User,
        from: LoginFrom<'_>,
        now: i64,
    ) -> Result<Option<Issuing>, StoreError> {
        let username = &checked.username;
        let mut work = self.store.begin().await?;
        let mut issuing_now = Issuing::at(now);
        if self.is_strict() {
            let Some(user) = work.find_user(username).await? else {
                return Ok(None);
            };
            if state_of(&user) != state_of(checked) {
                return Ok(None);
            }
            issuing_now = issuing(&current_sessions(&mut *work, &user, now).await?, now);
            work.reopen_session(username, now).await?;
        }
        work.record_login(username, now).await?;
        work.store_address(username, from.limit_key, now, now.saturating_sub(KNOWN_FOR))
            .await?;
        work.save().await?;
        Ok(Some(issuing_now))
    }

    /// Counts a try as a wrong guess until it is taken back. Names are folded as the table compares them.
    pub(super) async fn begin_guess(
        &self,
        username: &str,
        from: LoginFrom<'_>,
    ) -> Result<Result<Guess, RateLimited>, StoreError> {
        let since = self.environment.now().time.as_second().saturating_sub(KNOWN_FOR);
        let is_known = self
            .store
            .view()
            .await?
            .is_known_address(username, from.limit_key, since)
            .await?;
        let guesser = Guesser {
            name: &username.to_ascii_lowercase(),
            address: from.limit_key,
            is_known,
        };
        let now = self.environment.clock.monotonic();
        Ok(lock(&self.guesses).begin(guesser, now).inspect_err(|_| {
            tracing::warn!(
                user = %shown(username),
                address = %shown(from.address),
                "login refused after too many wrong guesses"
            );
        }))
    }

    pub(super) fn take_back(&self, guess: Guess) {
        lock(&self.guesses).take_back(guess);
    }

    /// Uses up a code; false where it has been used before.
    pub(super) fn use_code(&self, username: &str, secret: &str, step: u64, now: i64) -> bool {
        lock(&self.used_codes).take(&username.to_ascii_lowercase(), secret, step, now)
    }
}

/// The books stay usable after a panic elsewhere: every change to them is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
