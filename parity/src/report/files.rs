//! The folder of a run's reports. A report that lies there is of the run that wrote it last: a run takes the folder for
//! itself, puts a note in the older reports' place before anything is compared, and replaces files whole.

use super::{ReportError, RunReport, json, junit, markdown, page};
use crate::together::{Together, Unwritten};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const MARKDOWN: &str = "divergences.md";
const JSON: &str = "report.json";
const PAGE: &str = "report.html";
const JUNIT: &str = "junit.xml";
const LOCK: &str = ".lock";

/// A folder cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another run has it.
    #[error("{}: another parity run is writing its reports there. Wait for its end, or name another folder with --report", .0.display())]
    Taken(PathBuf),
    /// It cannot be made or used.
    #[error("{}: {source}. Name a folder that you may write to with --report", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A folder that this run has for itself, as long as the value lives.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder and takes it.
    ///
    /// # Errors
    /// If another run has it, or it cannot be written to.
    pub fn take(path: &Path) -> Result<Self, FolderError> {
        let failed = |path: &Path, source| FolderError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(|source| failed(path, source))?;
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|source| failed(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(FolderError::Taken(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(failed(&lock_path, source)),
        }
    }

    /// The table that is signed.
    #[must_use]
    pub fn markdown(&self) -> PathBuf {
        self.path.join(MARKDOWN)
    }

    /// The whole report.
    #[must_use]
    pub fn json(&self) -> PathBuf {
        self.path.join(JSON)
    }

    /// The page for people.
    #[must_use]
    pub fn page(&self) -> PathBuf {
        self.path.join(PAGE)
    }

    /// What CI systems read.
    #[must_use]
    pub fn junit(&self) -> PathBuf {
        self.path.join(JUNIT)
    }

    /// All reports, as a line for people.
    #[must_use]
    pub fn listing(&self) -> String {
        format!(
            "{}, {}, {} and {}",
            self.markdown().display(),
            self.page().display(),
            self.json().display(),
            self.junit().display()
        )
    }

    /// Writes all reports in the place of older ones.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, report: &RunReport) -> Result<(), ReportError> {
        let unwritten = |path: PathBuf, reason: &dyn std::error::Error| ReportError::Unreadable {
            path,
            reason: reason.to_string(),
        };
        let text = json(report).map_err(|error| unwritten(self.json(), &error))?;
        let page = page(report).map_err(|error| unwritten(self.page(), &error))?;
        let junit = junit(report).map_err(|error| unwritten(self.junit(), &error))?;
        replace(&self.markdown(), &markdown(report))?;
        replace(&self.page(), &page)?;
        replace(&self.junit(), &junit)?;
        replace(&self.json(), &text)
    }
}

/// Writes beside the file and renames: whoever reads it sees the old one or the new one whole.
///
/// # Errors
/// If the file cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<(), ReportError> {
    let mut alone = Together::default();
    alone.add(path.to_owned(), text);
    alone
        .write()
        .map_err(|Unwritten { path, source }| ReportError::Io { path, source })
}
