//! Environment to immutable settings.

pub mod settings;
