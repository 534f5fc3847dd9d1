//! Environment to immutable settings, and where the log goes.

pub mod access_log;
pub mod audit_log;
pub mod bounds;
pub mod cookies;
pub mod github;
pub mod log_file;
pub mod logging;
pub mod network;
pub mod observing;
pub mod reader;
pub mod secret;
pub mod settings;
pub mod timing;
pub mod variables;
