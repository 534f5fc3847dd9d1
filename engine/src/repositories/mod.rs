//! What is stored, as traits that speak domain types. `sqlite` holds the only SQL of the project.

pub mod activity_history;
pub mod approvals;
pub mod credentials;
pub mod device_documents;
pub mod devices;
pub mod github_token;
pub mod install_codes;
pub mod job_runs;
pub mod known_devices;
pub mod recaps;
pub mod refresh_tokens;
pub mod scheduled_jobs;
pub mod sealed_secrets;
pub mod service_accounts;
pub mod sqlite;
pub mod undelivered_work;
pub mod users;
pub mod work_devices;

use std::future::Future;

use self::{
    activity_history::ActivityHistory,
    approvals::Approvals,
    credentials::Credentials,
    device_documents::DeviceDocuments,
    devices::Devices,
    github_token::GitHubTokens,
    install_codes::InstallCodes,
    job_runs::JobRuns,
    known_devices::KnownDevices,
    recaps::Recaps,
    refresh_tokens::{RefreshNotes, RefreshTokens},
    scheduled_jobs::ScheduledJobs,
    service_accounts::ServiceAccounts,
    undelivered_work::UndeliveredWork,
    users::Users,
    work_devices::WorkDevices,
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

/// All that one change may touch. `save` makes it whole; dropping it undoes it.
pub trait UnitOfWork: Tables {
    /// Commits.
    fn save(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Every table there is.
pub trait Tables:
    Users
    + ActivityHistory
    + Approvals
    + Credentials
    + DeviceDocuments
    + Devices
    + GitHubTokens
    + InstallCodes
    + JobRuns
    + KnownDevices
    + Recaps
    + RefreshTokens
    + ScheduledJobs
    + ServiceAccounts
    + UndeliveredWork
    + WorkDevices
{
}

/// Where units of work come from.
pub trait Store: RefreshNotes + Clone + std::fmt::Debug + Send + Sync + 'static {
    /// One change.
    type Work: UnitOfWork;
    /// Reading, beside writers.
    type View: Tables;

    /// Waits for its turn to write, then begins a change.
    fn begin(&self) -> impl Future<Output = Result<Self::Work, StoreError>> + Send;

    /// Reads, and writes what changes nothing, down to the disk.
    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins to read; never waits for a writer.
    fn view(&self) -> impl Future<Output = Result<Self::View, StoreError>> + Send;
}
