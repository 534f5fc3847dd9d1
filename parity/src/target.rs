//! Where steps go.

pub mod cookies;
pub mod database;
pub mod embedded;
pub mod files;
pub mod http_client;
pub mod upstream;
