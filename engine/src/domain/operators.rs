//! Operators' accounts.

use super::json::Json;

/// A role that an account can be given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// May do everything.
    Admin,
    /// May not touch accounts, credentials and approvals.
    User,
}

impl Role {
    /// The role as it is stored.
    pub fn as_stored(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::User => "User",
        }
    }
}

/// An operator's account, as stored.
#[derive(Clone, PartialEq)]
pub struct User {
    /// Row number.
    pub id: i64,
    /// The name as it was given, letter case kept.
    pub username: String,
    /// The name shown; `None` or empty means the user name.
    pub display_name: Option<String>,
    /// SHA-512 of the password in hex; empty where an older table has none, and then no password fits.
    pub password_sha512: String,
    /// `Admin`, `User` or whatever an older server wrote; empty counts as `User`.
    pub role: String,
    /// Whether a code is asked for at login.
    pub mfa_enabled: bool,
    /// The secret that codes are made from, in base32; `None` or blank where none was set up.
    pub mfa_secret: Option<String>,
    /// Unix seconds of the last login, or whatever else is stored there.
    pub last_login: Json,
    /// Unix seconds at which the account was made, or whatever else is stored there.
    pub created_at: Json,
    /// Unix seconds of the last change, or whatever else is stored there.
    pub updated_at: Json,
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
