//! The world outside the process: clocks, random sources.

pub mod clock;
pub mod random;
