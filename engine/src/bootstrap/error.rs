//! What keeps a server from starting.

use std::path::PathBuf;

use crate::{
    integrations::{identity::IdentityError, root_lock::LockError, web_tls::NoTls},
    preflight,
    repositories::{StoreError, sqlite::MigrationError},
    services::{device_access::tokens::SigningError, sealing_keys::NoKeyOpens},
};

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener cannot be used.
    #[error("cannot listen: {0}")]
    Listener(#[source] std::io::Error),
    /// The settings would let everybody in.
    #[error("{0}")]
    Settings(String),
    /// Metrics cannot be served where they should be.
    #[error("{0}")]
    Metrics(String),
    #[error("the access log cannot be written: {0}")]
    AccessLog(#[source] std::io::Error),
    /// Another engine works in this root folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The root folder is not there, and cannot be made.
    #[error("the root folder {} cannot be made: {source}", path.display())]
    Root { path: PathBuf, source: std::io::Error },
    /// Going on would lose every stored secret.
    #[error(transparent)]
    Secrets(#[from] NoKeyOpens),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What GitHub would be asked with.
    #[error("cannot speak TLS with GitHub: {0}")]
    GitHub(#[from] NoTls),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error("{}", preflight::describe(path, source))]
    Store {
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    #[error("{}", preflight::describe_upgrade(path, source))]
    Migration {
        path: PathBuf,
        /// What is wrong with it.
        source: MigrationError,
    },
}
