//! Operators: who logs in, and who is calling.

use super::{Environment, approvals::Decider};
use crate::{
    domain::digest::sha512_hex,
    repositories::{
        Store, StoreError, UnitOfWork as _,
        users::{NewUser, User, Users as _},
    },
};

/// The account that the first start makes, as the legacy does.
const DEFAULT_ADMIN: &str = "admin";
const DEFAULT_PASSWORD: &str = "Password";

/// A caller who has been recognised: the account as it is now, not as it was when the cookie was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operator {
    /// The account's row.
    pub id: i64,
    /// The name as stored.
    pub username: String,
    /// The name shown.
    pub display_name: String,
    /// The role as stored, `User` where it is empty.
    pub role: String,
}

impl Operator {
    /// Whether the role is exactly `admin`, in any letter case.
    pub fn is_admin(&self) -> bool {
        self.role.to_lowercase() == "admin"
    }

    /// How this operator's decisions are written down.
    pub fn decider(&self) -> Decider {
        Decider {
            id: self.id.to_string(),
            username: self.username.clone(),
        }
    }
}

impl From<User> for Operator {
    fn from(user: User) -> Self {
        let display_name = user
            .display_name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| user.username.clone());
        let role = if user.role.is_empty() {
            "User".to_owned()
        } else {
            user.role
        };
        Self {
            id: user.id,
            username: user.username,
            display_name,
            role,
        }
    }
}

/// What a login shows to prove itself.
#[derive(Clone, Eq, PartialEq)]
pub enum Password {
    /// The password itself.
    Plain(String),
    /// Its SHA-512 in lower-case hex, which decides alone where it is given.
    Digest(String),
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Why a login is refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Nobody has this name, or the password is another one; which of it is not told.
    #[error("invalid username or password")]
    Refused,
    /// The account asks for a code.
    #[error("the account asks for a code")]
    CodeRequired,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an account is not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// Another account has this name, letter case aside.
    #[error("the user name is taken")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Logs operators in and recognises them.
#[derive(Clone, Debug)]
pub struct OperatorService<S> {
    store: S,
    environment: Environment,
}

impl<S: Store> OperatorService<S> {
    /// Over this store.
    pub fn new(store: S, environment: Environment) -> Self {
        Self { store, environment }
    }

    /// Makes sure that somebody can log in as admin: where nobody is one, the account `admin` becomes one, or is made.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn ensure_default_admin(&self) -> Result<(), StoreError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        if work.count_admins().await? == 0 {
            if !work.set_role(DEFAULT_ADMIN, "Admin", now).await? {
                work.insert_user(
                    &NewUser {
                        username: DEFAULT_ADMIN.to_owned(),
                        display_name: "Administrator".to_owned(),
                        password_sha512: sha512_hex(DEFAULT_PASSWORD.as_bytes()),
                        role: "Admin".to_owned(),
                    },
                    now,
                )
                .await?;
            }
            tracing::info!("default-admin-ensured");
        }
        let admin = work.find_user(DEFAULT_ADMIN).await?;
        work.save().await?;
        if admin.is_some_and(|admin| admin.password_sha512 == sha512_hex(DEFAULT_PASSWORD.as_bytes())) {
            tracing::warn!("the account admin has the default password: change it");
        }
        Ok(())
    }

    /// Logs in.
    ///
    /// # Errors
    /// [`LoginError`]; nothing is written then.
    pub async fn login(&self, username: &str, password: &Password) -> Result<Operator, LoginError> {
        let user = self
            .store
            .view()
            .await?
            .find_user(username)
            .await?
            .ok_or(LoginError::Refused)?;
        let digest = match password {
            Password::Plain(text) => sha512_hex(text.as_bytes()),
            Password::Digest(digest) => digest.clone(),
        };
        if !same_text(&user.password_sha512.to_lowercase(), &digest) {
            return Err(LoginError::Refused);
        }
        if user.mfa_enabled {
            return Err(LoginError::CodeRequired);
        }
        let operator = Operator::from(user);
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        work.record_login(&operator.username, now).await?;
        work.save().await?;
        Ok(operator)
    }

    /// Makes an account. Names that differ in letter case alone are refused: the legacy takes them, and then the second
    /// can never log in (OPR-4).
    ///
    /// # Errors
    /// [`CreateUserError`]; nothing is written then.
    pub async fn create(&self, user: &NewUser, caller: &Operator) -> Result<(), CreateUserError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        if work.find_user(&user.username).await?.is_some() {
            return Err(CreateUserError::NameTaken);
        }
        work.insert_user(user, now).await?;
        work.save().await?;
        tracing::info!(
            "user created name={} role={} by={}",
            user.username.escape_debug(),
            user.role,
            caller.username.escape_debug()
        );
        Ok(())
    }

    /// The account of this name as it is now; `None` where it is gone (the legacy believes the cookie: OPR-1).
    ///
    /// # Errors
    /// The store failed.
    pub async fn recognise(&self, username: &str) -> Result<Option<Operator>, StoreError> {
        Ok(self
            .store
            .view()
            .await?
            .find_user(username.trim())
            .await?
            .map(Operator::from))
    }
}

/// Compares without telling by its duration where two texts differ.
fn same_text(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .fold(0, |differ, (a, b)| differ | (a ^ b))
            == 0
}
