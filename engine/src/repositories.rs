//! What is stored, as traits that speak domain types. `sqlite` holds the only SQL of the project.

pub mod activity;
pub mod approvals;
pub mod credentials;
pub mod device_documents;
pub mod devices;
pub mod github_token;
pub mod install_codes;
pub mod job_runs;
pub mod known_addresses;
pub mod known_devices;
pub mod operator_sessions;
pub mod operators;
pub mod recaps;
pub mod refresh_tokens;
pub mod scheduled_jobs;
pub mod service_accounts;
pub mod sqlite;
pub mod undelivered_work;
pub mod work_devices;

use async_trait::async_trait;

use self::{
    approvals::{ReadApprovals, WriteApprovals},
    credentials::{ReadCredentials, WriteCredentials},
    device_documents::{ReadDeviceDocuments, WriteDeviceDocuments},
    devices::{ReadDevices, WriteDevices},
    github_token::{ReadGitHubTokens, WriteGitHubTokens},
    install_codes::{ReadInstallCodes, WriteInstallCodes},
    job_runs::{ReadJobRuns, WriteJobRuns},
    known_addresses::{ReadKnownAddresses, WriteKnownAddresses},
    known_devices::ReadKnownDevices,
    operator_sessions::{ReadOperatorSessions, WriteOperatorSessions},
    recaps::{ReadRecaps, WriteRecaps},
    refresh_tokens::{ReadRefreshTokens, RefreshNotes, WriteRefreshTokens},
    scheduled_jobs::{ReadScheduledJobs, WriteScheduledJobs},
    service_accounts::{ReadServiceAccounts, WriteServiceAccounts},
    undelivered_work::{ReadUndeliveredWork, WriteUndeliveredWork},
    work_devices::{ReadWorkDevices, WriteWorkDevices},
};
use crate::repositories::{
    activity::{ReadActivityHistory, WriteActivityHistory},
    operators::{ReadUsers, WriteUsers},
};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Others had it for longer than a request waits.
    #[error("database is locked")]
    Busy,
    /// The file was made by a later version, or by another program: only those set these numbers.
    #[error(
        "the database was made by a newer server or by another program (user_version {user_version}, application_id \
         {application_id}): use the server that made it, or restore a database of this one from a backup"
    )]
    Newer {
        /// SQLite's `user_version`; 0 in a database that can be served.
        user_version: u32,
        /// SQLite's `application_id`; 0 in a database that can be served.
        application_id: u32,
    },
    /// A row cannot be read back: somebody wrote another kind of value into it.
    #[error("unreadable value in {table}.{column}: {source}")]
    UnreadableRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        source: sqlx::Error,
    },
}

impl StoreError {
    /// What the database itself said, as the legacy's driver words it.
    pub fn database_message(&self) -> String {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.message().to_owned(),
            other => other.to_string(),
        }
    }
}

/// What every table says.
pub trait ReadTables:
    ReadActivityHistory
    + ReadApprovals
    + ReadCredentials
    + ReadDeviceDocuments
    + ReadDevices
    + ReadGitHubTokens
    + ReadInstallCodes
    + ReadJobRuns
    + ReadKnownAddresses
    + ReadKnownDevices
    + ReadOperatorSessions
    + ReadRecaps
    + ReadRefreshTokens
    + ReadScheduledJobs
    + ReadServiceAccounts
    + ReadUndeliveredWork
    + ReadUsers
    + ReadWorkDevices
{
}

/// What can be changed in every table.
pub trait WriteTables:
    WriteActivityHistory
    + WriteApprovals
    + WriteCredentials
    + WriteDeviceDocuments
    + WriteDevices
    + WriteGitHubTokens
    + WriteInstallCodes
    + WriteJobRuns
    + WriteKnownAddresses
    + WriteOperatorSessions
    + WriteRecaps
    + WriteRefreshTokens
    + WriteScheduledJobs
    + WriteServiceAccounts
    + WriteUndeliveredWork
    + WriteUsers
    + WriteWorkDevices
{
}

/// One change: what it reads and writes is one moment. `save` makes it whole; dropping it undoes it.
#[async_trait]
pub trait UnitOfWork: ReadTables + WriteTables {
    /// Commits.
    async fn save(self: Box<Self>) -> Result<(), StoreError>;
}

/// Where units of work come from.
#[async_trait]
pub trait Store: RefreshNotes + std::fmt::Debug + Send + Sync {
    /// Waits for its turn to write, then begins a change.
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError>;

    /// Reads, and writes what changes nothing, down to the disk.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Begins to read; never waits for a writer.
    async fn view(&self) -> Result<Box<dyn ReadTables>, StoreError>;
}
