//! Replays recorded agent scenarios against Borealis servers and reports every divergence.

pub mod scenario;
pub mod transcript;
