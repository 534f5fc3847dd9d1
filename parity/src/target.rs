//! Where steps go: the engine in this process, a server at a URL, or a server that is started for each scenario.

pub mod cookies;
pub mod database;
pub mod embedded;
pub mod endpoint;
pub mod files;
pub mod http_client;
pub mod needs;
pub mod operator;
pub mod process;
pub mod root;
pub mod settings;
pub mod side;
pub mod tls;
pub mod upstream;
pub mod url;

pub use root::TargetError;
pub use side::{REVISION_UNKNOWN, Side, Spec};

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    scenario::model::Scenario,
    transcript::{Keys, Left},
};
use endpoint::Endpoint;

/// What a target can do besides answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its clock can be set.
    pub clock: bool,
    /// Its database can be read and changed beside it.
    pub database: bool,
    /// Files under its root can be placed and looked at.
    pub files: bool,
    /// It can be stopped and started over the same root.
    pub restart: bool,
    /// It asks a GitHub that parity plays.
    pub upstream: bool,
    /// It begins every scenario empty, and nobody else uses it.
    pub fresh: bool,
}

/// A running server.
#[async_trait]
pub trait Target: std::fmt::Debug + Send + Sync {
    /// Where it is found, while it runs.
    fn endpoint(&self) -> Option<&Endpoint>;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Sets its clock, where that is possible, and waits until the work that has come due is done.
    async fn at(&self, time: Timestamp);

    /// Whether it does nothing by itself any more until its clock moves or somebody asks; never where nobody can tell.
    async fn rests(&self) -> bool {
        false
    }

    /// How far its clock is ahead of this machine's, and how exactly that is known, in microseconds.
    fn skew_us(&self) -> (i64, i64) {
        (0, 0)
    }

    /// The number of its process, where it has one that is known.
    fn process_id(&self) -> Option<u32>;

    /// The database file, where it can be reached.
    fn database(&self) -> Option<PathBuf>;

    /// The root folder, where it can be reached.
    fn root(&self) -> Option<PathBuf>;

    /// Every table and every file under the root as they are now; nothing where nobody can look.
    ///
    /// # Errors
    /// If the database or a file cannot be read.
    async fn left(&self) -> Result<Option<Left>, TargetError>;

    /// Adds the keys that are known of it now to those that are known.
    fn add_keys(&self, keys: &mut Keys);

    /// Writes a file under the root, stamped with `time`.
    ///
    /// # Errors
    /// If it cannot be reached, or the path leads out of the root.
    fn place_file(&self, path: &str, bytes: &[u8], time: Timestamp) -> Result<(), TargetError>;

    /// Stops it and starts it again over the same root.
    ///
    /// # Errors
    /// If it cannot be restarted, or does not start again.
    async fn restart(&mut self) -> Result<(), TargetError>;

    /// Stops what was started; a root that is to be kept is kept, and where it lies comes back.
    async fn stop(&mut self) -> Option<PathBuf>;
}

/// What a scenario begins with.
#[derive(Clone, Copy, Debug)]
pub struct Beginning<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The files that lie under the root before the start.
    pub files: &'a [(String, Vec<u8>)],
    /// Where GitHub is found.
    pub github: &'a str,
}
