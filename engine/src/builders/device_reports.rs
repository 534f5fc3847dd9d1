//! What devices report: heartbeats, details, and the hash of their agent.

pub mod details;
pub mod hash;
pub mod heartbeat;
