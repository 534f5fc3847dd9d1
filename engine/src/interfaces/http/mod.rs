//! The HTTP routes, one file a feature.

pub mod compat;
pub mod pages;
pub mod routing;
