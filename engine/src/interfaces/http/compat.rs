//! The habits of Flask and Python that clients can see.

pub mod address;
mod bodies_in_flight;
pub mod body;
pub mod conditional;
pub mod cookies;
pub mod cors;
pub mod error_page;
pub mod file_headers;
pub mod forwarded;
pub mod headers;
pub mod json_writer;
pub mod limits;
pub mod long_list;
pub mod path;
pub mod query;
pub mod reply;
pub mod session;
pub mod signed_value;
pub mod wire;

pub use crate::domain::json_reader;
