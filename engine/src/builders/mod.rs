//! Untrusted input to validated, immutable values: parse, don't validate.

pub mod agent_events;
pub mod agent_hash;
pub mod approvals;
pub mod credentials;
pub mod device_details;
pub mod enrollment;
pub mod github;
pub mod heartbeat;
pub mod install_codes;
pub mod login;
pub mod mfa;
pub mod provision;
pub mod quick_run;
pub mod recaps;
pub mod refresh;
pub mod scheduled_jobs;
pub mod service_accounts;
pub mod text;
pub mod users;
