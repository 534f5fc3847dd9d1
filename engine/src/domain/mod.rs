//! Pure types and pure rules: no I/O, nothing that reads the time or randomness by itself.

pub mod clock;
pub mod coerce;
pub mod json;
pub mod random;
pub mod text;
