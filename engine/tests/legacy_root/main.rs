//! The engine over a root folder that the real legacy made and worked in, and what it leaves there for the legacy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

mod back;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "../realtime/client.rs"]
mod client;
mod forms;
mod over;
mod server;
