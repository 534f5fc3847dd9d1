//! What operators send to log in and to manage accounts.

pub mod login;
pub mod mfa;
pub mod users;
