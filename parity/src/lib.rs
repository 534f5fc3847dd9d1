//! Replays recorded agent scenarios against Borealis servers and reports every divergence.

pub mod normalize;
pub mod transcript;
