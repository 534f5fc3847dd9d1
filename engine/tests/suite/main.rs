//! The whole server over its doors, and the program as an operator runs it. One binary, so that the server is linked
//! once: `cargo test --test suite realtime::` runs what `realtime.rs` and the files below `realtime/` hold.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

mod assemblies;
mod binding;
mod broken_roots;
mod browsers;
mod command_line;
mod delivery;
mod device_documents;
mod device_routes;
mod dpop;
mod drops;
mod failed_writes;
mod github;
mod http_rules;
mod inventory;
mod kill;
mod layers;
mod legacy_pages;
mod legacy_root;
mod log_lines;
mod observing;
mod odd_rows;
mod operator_sessions;
mod operators;
mod proxy;
mod realtime;
mod scheduler;
mod slow_clients;
mod strangers;
mod testkit;
mod who_may_what;
