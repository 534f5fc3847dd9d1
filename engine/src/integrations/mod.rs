//! The world outside the process: clocks, random sources, the identity on disk.

pub mod clock;
pub mod identity;
pub mod random;
pub mod tls;
