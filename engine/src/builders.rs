//! Untrusted input to validated, immutable values: parse, don't validate.

pub mod agents;
pub mod approvals;
pub mod assemblies;
pub mod credentials;
pub mod device_access;
pub mod device_reports;
pub mod device_views;
pub mod devices;
pub mod enrollment;
pub mod github;
pub mod install_codes;
pub mod operators;
pub mod playbooks;
pub mod quick_run;
pub mod remote_devices;
pub mod scheduled_jobs;
pub mod search;
pub mod service_accounts;
pub mod sites;
pub mod text;
