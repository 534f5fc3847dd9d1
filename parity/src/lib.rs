//! Replays recorded agent scenarios against Borealis servers and reports every divergence.

pub mod cli;
pub mod import;
pub mod runner;
pub mod scenario;
pub mod target;
pub mod transcript;
