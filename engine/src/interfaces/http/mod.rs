//! The HTTP routes, one file a feature.

pub mod accept_errors;
pub mod agent_hash;
pub mod agents;
pub mod approvals;
pub mod auth;
pub mod carried;
pub mod compat;
pub mod credentials;
pub mod device_activity;
pub mod device_details;
pub mod device_gate;
pub mod dpop;
pub mod enrollment;
pub mod errors;
pub mod github;
pub mod guards;
pub mod health;
pub mod heartbeat;
pub mod install_codes;
pub mod mfa;
pub mod pages;
pub mod qr_image;
pub mod quick_run;
pub mod recaps;
pub mod routes;
pub mod routing;
pub mod scheduled_jobs;
pub mod script_request;
pub mod server;
pub mod service_accounts;
pub mod state;
pub mod token_refresh;
pub mod unread_body;
pub mod users;

pub use server::http_service;
