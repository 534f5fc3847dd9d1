//! GitHub: its REST API, and the file that outlives a restart.

mod answer;
pub mod client;
pub mod head_file;

pub use answer::{GitHubAnswer, InvalidAnswer};
pub use client::{GitHubClient, Unreachable};
