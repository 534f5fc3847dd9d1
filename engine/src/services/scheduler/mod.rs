//! Runs scheduled jobs.

pub mod channel;
