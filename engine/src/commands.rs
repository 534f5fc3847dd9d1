//! Commands for a person on the server's machine, one file a group. They do what the HTTP routes do, by the same
//! services, without a login: whoever may write the database file may do everything.
//!
//! None of them but `restore` needs the server to be stopped. SQLite lets several processes work in one file, changes are single
//! transactions, and the server keeps no rows: it reads accounts, codes and devices anew with every request (the rights
//! of open connections after 5 seconds at most). What it keeps in memory (counts of wrong guesses, the agent registry,
//! rate limits) is touched by none of them.

mod backup;
mod certificate;
mod database;
mod devices;
mod install_codes;
mod output;
mod password;
mod restore;
mod users;

pub use output::{print, printed};

use std::{io, path::Path, sync::Arc};

use clap::Subcommand;
use tracing::Instrument as _;

use crate::{
    config::settings::Settings,
    integrations::{backup_archive::ArchiveError, replacement::ReplacementError},
    preflight,
    repositories::{
        Store, StoreError,
        sqlite::{BackupError, Cause},
    },
    services::{
        Environment,
        audit::{self, Actor},
        device_access::revocation::RevocationService,
        install_codes::InstallCodeService,
        operators::users::UserService,
    },
};

/// The groups of commands.
#[derive(Debug, Subcommand)]
pub enum Administration {
    // No documentation here: a group's help is that of its arguments, which it would hide.
    Users(users::UsersArguments),
    InstallCodes(install_codes::InstallCodesArguments),
    Devices(devices::DevicesArguments),
    Backup(backup::BackupArguments),
    Certificate(certificate::CertificateArguments),
    Restore(restore::RestoreArguments),
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What is wrong and what to do, for the person who asked.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy of the database failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// An archive cannot be written or read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Nothing was replaced.
    #[error(transparent)]
    Replacement(#[from] ReplacementError),
    /// A file or the terminal failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Administration {
    /// Whether it writes into the root folder; reading leaves nothing there.
    fn writes(&self) -> bool {
        match self {
            Self::Users(arguments) => arguments.changes_something(),
            Self::InstallCodes(arguments) => arguments.changes_something(),
            Self::Devices(arguments) => arguments.changes_something(),
            Self::Certificate(arguments) => arguments.changes_something(),
            Self::Restore(_) => true,
            Self::Backup(_) => false,
        }
    }
}

impl Failure {
    fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// The message for the person who asked.
    fn message(&self, database: &Path) -> String {
        let cause = match self {
            Self::Store(error) => Cause::of(error),
            Self::Backup(BackupError::Database(error)) => Cause::of_database(error),
            _ => None,
        };
        cause.map_or_else(
            || self.to_string(),
            |cause| database::describe(cause, &self.to_string(), database),
        )
    }
}

/// Runs `command` and prints its result on standard output.
///
/// # Errors
/// A message for the person who asked: nothing was changed then, unless it says so.
pub async fn run(
    command: &Administration,
    settings: &Settings,
    environment: &Environment,
) -> Result<(), String> {
    // Whoever may write the database file needs no login; the machine knows a number of them at most.
    let user = format!("uid {}", rustix::process::geteuid().as_raw());
    let span = audit::span("console");
    span.in_scope(|| audit::acts(Actor::Console(&user)));
    carry_out(command, settings, environment)
        .instrument(span)
        .await
        .map_err(|failure| failure.message(&settings.database_path))
}

async fn carry_out(
    command: &Administration,
    settings: &Settings,
    environment: &Environment,
) -> Result<(), Failure> {
    if command.writes() {
        preflight::refuse_root_user(settings).map_err(Failure::Refused)?;
    }
    let plan = preflight::restore_plan(settings);
    if !matches!(command, Administration::Restore(_)) && plan.exists() {
        // Half of it is another server's: what is changed now is deleted when it is taken back.
        return Err(Failure::Refused(preflight::cut_short(&plan)));
    }
    if let Administration::Certificate(arguments) = command {
        return certificate::run(arguments, settings, environment);
    }
    if let Administration::Restore(arguments) = command {
        return restore::run(arguments, settings, environment).await;
    }
    database::must_exist(&settings.database_path)?;
    if let Administration::Backup(arguments) = command {
        return backup::run(arguments, settings).await;
    }
    let opened = database::open(&settings.database_path).await?;
    let store: Arc<dyn Store> = Arc::new(opened.clone());
    let done = match command {
        Administration::Users(arguments) => {
            if arguments.changes_something() {
                // Where the ends of sessions are recorded: the legacy alone may have worked here until now. Beside accounts of
                // an older form nothing is made; the command fails over them.
                store.view().await?.find_user("").await?;
                opened.make_own_tables().await?;
            }
            users::run(
                arguments,
                &UserService::new(store, environment.clone()),
                environment,
            )
            .await
        }
        Administration::InstallCodes(arguments) => {
            install_codes::run(arguments, &InstallCodeService::new(store, environment.clone())).await
        }
        Administration::Devices(arguments) => {
            devices::run(arguments, &RevocationService::new(store, environment.clone())).await
        }
        Administration::Backup(_) | Administration::Certificate(_) | Administration::Restore(_) => Ok(()),
    };
    opened.leave().await;
    done
}
