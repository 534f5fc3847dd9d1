//! Scenarios: the YAML files, the templates in them, and the values that clients make.

pub mod agent;
pub mod made;
pub mod model;
mod raw;
pub mod template;
