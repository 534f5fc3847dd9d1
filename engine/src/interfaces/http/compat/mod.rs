//! The habits of Flask and Python that clients can see.

pub mod body;
pub mod error_page;
pub mod json_reader;
pub mod json_writer;
pub mod reply;
pub mod session;
pub mod signed_value;
pub mod query;
