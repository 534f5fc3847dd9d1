//! Untrusted input to validated, immutable values: parse, don't validate.

pub mod approvals;
pub mod credentials;
pub mod enrollment;
pub mod fields;
pub mod heartbeat;
pub mod install_codes;
pub mod login;
pub mod mfa;
pub mod refresh;
pub mod users;
