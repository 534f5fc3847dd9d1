//! Operators' accounts.

pub mod known_addresses;
pub mod sessions;

use async_trait::async_trait;

use crate::{
    domain::operators::{NewUser, User},
    repositories::StoreError,
};

/// The accounts of operators. An account is meant by its name without regard to the case of ASCII letters, as the
/// legacy does it: where several rows differ in case alone, changes touch all of them.
#[async_trait]
pub trait ReadUsers: Send {
    /// The account whose name equals `username` but for the case of ASCII letters; the lowest id where several do.
    async fn find_user(&mut self, username: &str) -> Result<Option<User>, StoreError>;

    /// Every account, ordered by its name without ASCII letter case.
    async fn list_users(&mut self) -> Result<Vec<User>, StoreError>;

    /// How many accounts there are.
    async fn count_users(&mut self) -> Result<i64, StoreError>;

    /// How many accounts of other names have the role `admin`, in any letter case.
    async fn count_admins_but(&mut self, username: &str) -> Result<i64, StoreError>;

    /// How many accounts there are with the role `admin`, in any letter case.
    async fn count_admins(&mut self) -> Result<i64, StoreError>;
}

#[async_trait]
pub trait WriteUsers: Send {
    /// Makes an account at `now` (Unix seconds).
    async fn insert_user(&mut self, user: &NewUser, now: i64) -> Result<(), StoreError>;

    /// Gives `role` to every account of that name; false where there is none.
    async fn set_role(&mut self, username: &str, role: &str, now: i64) -> Result<bool, StoreError>;

    /// Writes the time of a login into every row of that name, whatever its letter case, as the legacy does.
    async fn record_login(&mut self, username: &str, now: i64) -> Result<(), StoreError>;

    /// Replaces the password's digest; false where there is no such account.
    async fn set_password(
        &mut self,
        username: &str,
        password_sha512: &str,
        now: i64,
    ) -> Result<bool, StoreError>;

    /// Switches the question for a code on or off; false where there is no such account.
    async fn set_mfa(&mut self, username: &str, enabled: bool, now: i64) -> Result<bool, StoreError>;

    /// Stores the secret that codes are made from.
    async fn set_mfa_secret(&mut self, username: &str, secret: &str, now: i64) -> Result<(), StoreError>;

    /// Forgets the secret that codes are made from.
    async fn forget_mfa_secret(&mut self, username: &str) -> Result<(), StoreError>;

    /// Deletes; false where there is no such account.
    async fn delete_user(&mut self, username: &str) -> Result<bool, StoreError>;
}
