//! The Borealis server: a drop-in replacement for the legacy Flask server, over the same root folder.

pub mod bootstrap;
pub mod builders;
pub mod check;
pub mod commands;
pub mod config;
pub mod domain;
pub mod integrations;
pub mod interfaces;
pub mod preflight;
pub mod repositories;
pub mod services;
#[cfg(test)]
mod testkit;

pub use bootstrap::{Engine, RunningEngine, StartError};
pub use config::settings::Settings;
