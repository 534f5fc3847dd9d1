//! The HTTP routes, one file a feature, and what serves them.

// The features.
pub mod activity;
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
pub mod health;
pub mod install_codes;
pub mod metrics;
pub mod ocr;
pub mod operators;
pub mod pages;
pub mod playbooks;
pub mod proxy;
pub mod quick_run;
pub mod remote_devices;
pub mod scheduled_jobs;
pub mod script_request;
pub mod search;
pub mod server_time;
pub mod service_accounts;
pub mod sites;

// What every request passes, or several features use.
pub mod accept_errors;
pub mod arrivals;
pub mod browser;
pub mod compat;
pub mod connections;
pub mod detached;
pub mod errors;
pub mod guards;
pub mod observed;
pub mod qr_image;
pub mod routes;
pub mod routing;
pub mod server;
pub mod set_apart;
pub mod signature;
pub mod state;
pub mod unread_body;

pub use server::http_service;
