//! The HTTP routes, one file a feature.

pub mod approvals;
pub mod auth;
pub mod compat;
pub mod device_gate;
pub mod dpop;
pub mod enrollment;
pub mod errors;
pub mod github;
pub mod guards;
pub mod health;
pub mod heartbeat;
pub mod install_codes;
pub mod pages;
pub mod routes;
pub mod routing;
pub mod server;
pub mod state;
pub mod token_refresh;
pub mod users;

pub use server::http_service;
