//! What is stored, as traits that speak domain types. `sqlite` holds the only SQL of the project.

pub mod activity;
pub mod approvals;
pub mod credentials;
pub mod device_access;
pub mod device_reports;
pub mod device_views;
pub mod devices;
pub mod github;
pub mod indexed;
pub mod install_codes;
pub mod operators;
pub mod playbooks;
pub mod scheduled_jobs;
pub mod scheduler;
pub mod service_accounts;
pub mod sites;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;

use self::{
    approvals::{ReadApprovals, WriteApprovals},
    credentials::{ReadCredentials, WriteCredentials},
    device_views::{ReadDeviceViews, WriteDeviceViews},
    devices::{ReadDevices, ReportNotes, WriteDevices, listing::ReadInventory},
    indexed::ReadIndexed,
    install_codes::{ReadInstallCodes, WriteInstallCodes},
    playbooks::{ReadPlaybookRuns, WritePlaybookRuns},
    scheduled_jobs::{ReadScheduledJobs, WriteScheduledJobs},
    service_accounts::{ReadServiceAccounts, WriteServiceAccounts},
    sites::{ReadSites, WriteSites},
};
use crate::repositories::{
    activity::{
        ReadActivityHistory, WriteActivityHistory,
        work_devices::{ReadWorkDevices, WriteWorkDevices},
    },
    device_access::{DeviceLookups, ReadRefreshTokens, RefreshNotes, WriteRefreshTokens},
    device_reports::{ReadDeviceDocuments, WriteDeviceDocuments},
    github::{ReadGitHubTokens, WriteGitHubTokens},
    operators::{
        ReadUsers, WriteUsers,
        known_addresses::{ReadKnownAddresses, WriteKnownAddresses},
        sessions::{ReadOperatorSessions, WriteOperatorSessions},
    },
    scheduler::{
        ReadJobRuns, WriteJobRuns,
        undelivered_work::{ReadUndeliveredWork, WriteUndeliveredWork},
    },
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
    /// What was done together with others failed: a commit, or a look-up.
    #[error("{0}")]
    Shared(Arc<StoreError>),
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
    /// The file has tables, and none of them is one of this server's: another program's.
    #[error(
        "the database is another program's: it has tables, but no devices and no accounts. Correct BOREALIS_DATABASE_PATH or \
         BOREALIS_ROOT, or move the file out of the way"
    )]
    Foreign,
    /// A row cannot be read back: somebody wrote another kind of value into it.
    #[error("unreadable value in {table}.{column}: {source}")]
    UnreadableRow {
        table: &'static str,
        column: &'static str,
        /// What is wrong with it.
        source: sqlx::Error,
    },
}

impl StoreError {
    /// The failure, whomever it was shared with.
    pub fn root(&self) -> &Self {
        match self {
            Self::Shared(error) => error.root(),
            error => error,
        }
    }

    /// What the database itself said, as the legacy's driver words it.
    pub fn database_message(&self) -> String {
        match self.root() {
            Self::Database(sqlx::Error::Database(error)) => error.message().to_owned(),
            other => other.to_string(),
        }
    }
}

/// All tables, to read.
pub trait ReadTables:
    ReadActivityHistory
    + ReadApprovals
    + ReadCredentials
    + ReadDeviceDocuments
    + ReadDeviceViews
    + ReadDevices
    + ReadGitHubTokens
    + ReadInstallCodes
    + ReadInventory
    + ReadJobRuns
    + ReadKnownAddresses
    + ReadOperatorSessions
    + ReadPlaybookRuns
    + ReadRefreshTokens
    + ReadScheduledJobs
    + ReadServiceAccounts
    + ReadSites
    + ReadUndeliveredWork
    + ReadUsers
    + ReadWorkDevices
{
}

/// All tables, to write.
pub trait WriteTables:
    WriteActivityHistory
    + WriteApprovals
    + WriteCredentials
    + WriteDeviceDocuments
    + WriteDeviceViews
    + WriteDevices
    + WriteGitHubTokens
    + WriteInstallCodes
    + WriteJobRuns
    + WriteKnownAddresses
    + WriteOperatorSessions
    + WritePlaybookRuns
    + WriteRefreshTokens
    + WriteScheduledJobs
    + WriteServiceAccounts
    + WriteSites
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
pub trait Store:
    DeviceLookups + ReadIndexed + RefreshNotes + ReportNotes + std::fmt::Debug + Send + Sync
{
    /// Waits for its turn to write, then begins a change.
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError>;

    /// The same, for a change of a few statements that waits for nothing else in between: those that wait at the same
    /// moment are committed together. Each of them fails alone.
    async fn begin_brief(&self) -> Result<Box<dyn UnitOfWork>, StoreError>;

    /// Reads, and writes what changes nothing, down to the disk.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Begins to read; never waits for a writer.
    async fn view(&self) -> Result<Box<dyn ReadTables>, StoreError>;
}
