//! Operators: who is calling. Logins, codes and accounts are in files of their own.

pub mod login;
pub mod mfa;
pub mod sessions;
pub mod users;

use std::sync::Arc;

use super::{Environment, approvals::Decider};
use crate::{
    config::settings::AccessPolicy,
    domain::{
        digest::sha512_hex,
        operators::{NewUser, User},
    },
    repositories::{Store, StoreError},
    services::audit,
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
    /// Whoever may write the database file without logging in: a person at the server's command line.
    pub fn at_command_line() -> Self {
        Self {
            id: 0,
            username: "command line".to_owned(),
            display_name: "command line".to_owned(),
            role: "Admin".to_owned(),
        }
    }

    /// Whether the role is exactly `admin`, in any letter case.
    pub fn is_admin(&self) -> bool {
        self.role.to_lowercase() == "admin"
    }

    /// Whether `name` is this operator's name, letter case aside.
    pub fn is_named(&self, name: &str) -> bool {
        self.username.to_lowercase() == name.to_lowercase()
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

/// Recognises operators, and sees to it that there is one.
#[derive(Debug)]
pub struct OperatorService {
    store: Arc<dyn Store>,
    environment: Environment,
    policy: AccessPolicy,
    longest_session: i64,
}

impl OperatorService {
    /// Over this store. Under the policy `legacy` sessions end with their age alone, which is never beyond
    /// `longest_session` seconds.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        policy: AccessPolicy,
        longest_session: i64,
    ) -> Self {
        Self {
            store,
            environment,
            policy,
            longest_session,
        }
    }

    /// Makes sure that somebody can log in as admin: where nobody is one, the account `admin` becomes one, or is made.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    pub async fn ensure_default_admin(&self) -> Result<(), StoreError> {
        let now = self.environment.now().time.as_second();
        let mut work = self.store.begin().await?;
        let mut ensured = false;
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
            ensured = true;
        }
        let admin = work.find_user(DEFAULT_ADMIN).await?;
        work.save().await?;
        if ensured {
            audit::changed("account.made_admin", DEFAULT_ADMIN);
        }
        if admin.is_some_and(|admin| admin.password_sha512 == sha512_hex(DEFAULT_PASSWORD.as_bytes())) {
            tracing::warn!("the account admin has the default password: change it");
        }
        Ok(())
    }
}
