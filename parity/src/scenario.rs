//! Scenarios: the YAML files, the templates in them, and the values that clients make.

pub mod agent;
pub mod clock;
pub mod convert;
pub mod emit;
pub mod expect;
pub mod files;
pub mod library;
pub mod literals;
pub mod made;
pub mod model;
pub(crate) mod names;
pub mod polling;
mod read;
pub(crate) mod shorthand;
pub mod socket;
pub mod sqlite_text;
mod steps;
pub mod template;
pub mod upstream;
pub mod verify;
pub mod yaml;
