//! Replays recorded agent scenarios against Borealis servers and reports every divergence.

pub mod transcript;

pub mod diff;
pub mod normalize;
pub mod register;
pub mod report;
pub mod snapshot;
