//! Untrusted input to validated, immutable values: parse, don't validate.

pub mod approvals;
pub mod enrollment;
pub mod install_codes;
pub mod login;
pub mod users;
