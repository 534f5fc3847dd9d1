//! The world outside the process: clocks, random sources, GitHub, the identity on disk.

pub mod clock;
pub mod github;
pub mod identity;
pub mod random;
pub mod tls;
