//! Untrusted input to validated, immutable values: parse, don't validate.

pub mod approvals;
pub mod enrollment;
pub mod github;
pub mod heartbeat;
pub mod install_codes;
pub mod login;
pub mod refresh;
pub mod users;
