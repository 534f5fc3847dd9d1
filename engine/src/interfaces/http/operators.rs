//! Operators: logins, codes and accounts.

pub mod login;
pub mod mfa;
pub mod users;
