//! The habits of Flask and Python that clients can see.

pub mod json_reader;
pub mod json_writer;
