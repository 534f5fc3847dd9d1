//! The HTTP routes, one file a feature.

pub mod compat;
pub mod health;
pub mod pages;
pub mod routing;
pub mod server;

pub use server::http_service;
