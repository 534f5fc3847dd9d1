//! Where steps go.

pub mod cookies;
pub mod database;
pub mod embedded;
pub mod http_client;
pub mod upstream;
