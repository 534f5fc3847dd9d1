//! What devices send for new tokens.

pub mod refresh;
