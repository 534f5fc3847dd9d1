//! The HTTP routes, one file a feature.

pub mod compat;
