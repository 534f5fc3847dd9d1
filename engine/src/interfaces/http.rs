//! The HTTP routes, one file a feature.

pub mod accept_errors;
pub mod activity;
pub mod agents;
pub mod approvals;
pub mod browser;
pub mod compat;
pub mod connections;
pub mod credentials;
pub mod detached;
pub mod device_access;
pub mod device_reports;
pub mod enrollment;
pub mod errors;
pub mod github;
pub mod guards;
pub mod health;
pub mod install_codes;
pub mod operators;
pub mod pages;
pub mod playbooks;
pub mod qr_image;
pub mod quick_run;
pub mod routes;
pub mod routing;
pub mod scheduled_jobs;
pub mod script_request;
pub mod server;
pub mod service_accounts;
pub mod signature;
pub mod state;
pub mod unread_body;

pub use server::http_service;
