//! Replays recorded agent scenarios against Borealis servers and reports every divergence.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when their reader goes away: `cli/output.rs` has what does not"
)]

pub mod approved;
pub mod bench;
pub mod campaign;
pub mod checklist;
pub mod cli;
pub mod coverage;
pub mod doctor;
pub mod import;
pub mod json_form;
pub mod mask;
pub mod record;
pub mod runner;
pub mod scenario;
pub mod socket_io;
pub mod target;
mod together;
pub mod transcript;

pub mod diff;
pub mod normalize;
pub mod prove;
pub mod register;
pub mod report;
pub mod signature;
pub mod snapshot;
