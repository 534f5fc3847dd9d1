//! The server over real sockets, packet by packet. One binary, so that it is linked once:
//! `cargo test --test protocol socket_io::` runs what `socket_io.rs` holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

#[path = "../../examples/echo.rs"]
mod echo;
mod engine_io;
mod promises;
mod socket_io;
mod support;
