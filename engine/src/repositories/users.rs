//! Operators' accounts.

use std::future::Future;

use super::StoreError;

/// An operator's account, as stored.
#[derive(Clone, Eq, PartialEq)]
pub struct User {
    /// Row number.
    pub id: i64,
    /// The name as it was given, letter case kept.
    pub username: String,
    /// The name shown; `None` or empty means the user name.
    pub display_name: Option<String>,
    /// SHA-512 of the password in hex.
    pub password_sha512: String,
    /// `Admin`, `User` or whatever an older server wrote.
    pub role: String,
    /// Whether a code is asked for at login.
    pub mfa_enabled: bool,
    /// The secret that codes are made from, in base32; `None` or blank where none was set up.
    pub mfa_secret: Option<String>,
    /// Unix seconds of the last login.
    pub last_login: Option<i64>,
    /// Unix seconds at which the account was made.
    pub created_at: Option<i64>,
    /// Unix seconds of the last change.
    pub updated_at: Option<i64>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "User({} {})", self.id, self.username)
    }
}

/// An account that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewUser {
    /// The name, unique by letter case (as the table has it).
    pub username: String,
    /// The name shown.
    pub display_name: String,
    /// SHA-512 of the password in hex.
    pub password_sha512: String,
    /// `Admin` or `User`.
    pub role: String,
}

/// The accounts of operators. An account is meant by its name without regard to the case of ASCII letters, as the
/// legacy does it: where several rows differ in case alone, changes touch all of them.
pub trait Users: Send {
    /// The account whose name equals `username` but for the case of ASCII letters; the lowest id where several do.
    fn find_user(&mut self, username: &str) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;

    /// Every account, ordered by its name without ASCII letter case.
    fn list_users(&mut self) -> impl Future<Output = Result<Vec<User>, StoreError>> + Send;

    /// How many accounts there are.
    fn count_users(&mut self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// How many accounts of other names have the role `admin`, in any letter case.
    fn count_admins_but(&mut self, username: &str) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// How many accounts there are with the role `admin`, in any letter case.
    fn count_admins(&mut self) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Makes an account at `now` (Unix seconds).
    fn insert_user(
        &mut self,
        user: &NewUser,
        now: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives `role` to every account of that name; false where there is none.
    fn set_role(
        &mut self,
        username: &str,
        role: &str,
        now: i64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Writes the time of a login into every row of that name, whatever its letter case, as the legacy does.
    fn record_login(
        &mut self,
        username: &str,
        now: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Replaces the password's digest; false where there is no such account.
    fn set_password(
        &mut self,
        username: &str,
        password_sha512: &str,
        now: i64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Switches the question for a code on or off; false where there is no such account.
    fn set_mfa(
        &mut self,
        username: &str,
        enabled: bool,
        now: i64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Stores the secret that codes are made from.
    fn set_mfa_secret(
        &mut self,
        username: &str,
        secret: &str,
        now: i64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets the secret that codes are made from.
    fn forget_mfa_secret(&mut self, username: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes; false where there is no such account.
    fn delete_user(&mut self, username: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
