//! What is behind a failure of SQLite, for messages that say what to do.

use std::{borrow::Cow, error::Error as StdError};

use sqlx::error::{DatabaseError, ErrorKind};

use crate::repositories::StoreError;

/// Why the database refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Another process kept it locked for longer than is waited for.
    Locked,
    /// It may be read only.
    ReadOnly,
    /// It cannot be opened at all.
    CannotOpen,
    /// It is damaged, or no database.
    Damaged,
    DiskFull,
    /// A table or column that this server needs is not there.
    OlderTables,
}

/// What the database said, without its number.
pub(super) fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// What the database said of a statement that failed, for others whom that concerns: its own error cannot be copied.
#[derive(Clone, Debug, thiserror::Error)]
#[error("(code: {code}) {message}")]
pub(super) struct Failure {
    code: String,
    message: String,
}

impl Failure {
    /// A copy of this error; `None` where it is not the database's.
    pub(super) fn of(error: &sqlx::Error) -> Option<Self> {
        let error = error.as_database_error()?;
        Some(Self {
            code: error.code()?.into_owned(),
            message: error.message().to_owned(),
        })
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Database(sqlx::Error::Database(Box::new(failure)))
    }
}

impl DatabaseError for Failure {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.code))
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// Whether the database only says that there is nothing like this to be ended: why that is, an earlier failure said.
pub(super) fn is_after_another(error: &StoreError) -> bool {
    let StoreError::Database(error) = error.root() else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "1")
}

impl StoreError {
    /// Whether somebody else had the database for longer than is waited for.
    pub fn is_busy(&self) -> bool {
        Cause::of(self) == Some(Cause::Locked)
    }
}

impl Cause {
    /// The cause of this failure; `None` for those that nobody can name an action for.
    pub fn of(error: &StoreError) -> Option<Self> {
        match error.root() {
            StoreError::Database(error) => Self::of_database(error),
            StoreError::Busy => Some(Self::Locked),
            StoreError::Newer { .. }
            | StoreError::Foreign
            | StoreError::UnreadableRow { .. }
            | StoreError::Shared(_) => None,
        }
    }

    /// The same, of what the database itself said.
    pub fn of_database(error: &sqlx::Error) -> Option<Self> {
        let error = error.as_database_error()?;
        let code: u32 = error.code()?.parse().ok()?;
        // The lowest byte is SQLite's primary result code, what is above it are details.
        match code & 0xff {
            5 | 6 => Some(Self::Locked),
            8 => Some(Self::ReadOnly),
            11 | 26 => Some(Self::Damaged),
            13 => Some(Self::DiskFull),
            14 => Some(Self::CannotOpen),
            1 if ["no such table", "no such column", "has no column named"]
                .iter()
                .any(|text| error.message().contains(text)) =>
            {
                Some(Self::OlderTables)
            }
            _ => None,
        }
    }
}
