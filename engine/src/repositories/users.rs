//! Operators' accounts.

use std::future::Future;

use super::StoreError;

/// An operator's account, as stored.
#[derive(Clone, Debug, Eq, PartialEq)]
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

/// The accounts of operators.
pub trait Users: Send {
    /// The account whose name equals `username` but for the case of ASCII letters; the lowest id where several do.
    fn find_user(&mut self, username: &str) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;

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
}
