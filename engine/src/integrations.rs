//! The world outside the process: clocks, random sources, GitHub, the identity on disk.

pub mod ansible;
pub mod assembly_files;
pub mod backup_archive;
pub mod clock;
pub mod github;
pub mod identity;
pub mod listener;
pub mod private_files;
mod process_tree;
pub mod proxy_client;
pub mod random;
pub mod recorder;
pub mod replacement;
pub mod restore_places;
pub mod root_lock;
pub mod tls;
pub mod token_signing;
pub mod web_tls;
