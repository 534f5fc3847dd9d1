//! The database: its file, its journals, who keeps it locked, and what is in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    finding::{Report, Verdict},
    writable::{self, Need},
};
use crate::{
    config::settings::Settings,
    domain::clock::Clock,
    integrations::random::OsRandom,
    repositories::{
        StoreError,
        sqlite::{self, Cause, DatabaseState, Locker, MigrationError, TrialError},
    },
};

const SUBJECT: &str = "database";
/// How long another process's lock is waited for, as long as a start would wait.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Tables that a start reads whole: it makes sure that there is an administrator.
const NEEDED_TO_START: [&str; 1] = ["users"];
/// What an upgrade needs beside the database itself: the copy of it, and a journal of as much.
const UPGRADE: u64 = 2;

/// A failure of the database, with its cause and what to do, for whoever starts a server.
pub fn describe(path: &Path, error: &StoreError) -> String {
    match error {
        StoreError::Newer { .. } | StoreError::Foreign => format!("{}: {error}", path.display()),
        _ => describe_cause(path, Cause::of(error), &error.database_message()),
    }
}

/// The same of an upgrade, which changed nothing.
pub fn describe_upgrade(path: &Path, error: &MigrationError) -> String {
    let shown = path.display();
    let why = match error {
        MigrationError::Store(failure) if Cause::of(failure).is_some() => describe(path, failure),
        MigrationError::Store(failure) => format!(
            "{shown} cannot be upgraded ({}): mend what stands in the way, or restore it from a backup",
            failure.database_message()
        ),
        _ => format!("{shown}: {error}"),
    };
    format!("{why}. Nothing in the database was changed")
}

fn describe_cause(path: &Path, cause: Option<Cause>, said: &str) -> String {
    let path = path.display();
    match cause {
        Some(Cause::Locked) => locked(path, None),
        Some(Cause::ReadOnly) => {
            format!("{path} cannot be written ({said}): run the server as the user to whom its files belong")
        }
        Some(Cause::CannotOpen) => format!(
            "{path}, or a file beside it, cannot be opened ({said}): run the server as the user to whom its files \
             belong"
        ),
        Some(Cause::Damaged) => {
            format!("{path} is damaged or no database ({said}): restore it from a backup")
        }
        Some(Cause::DiskFull) => format!("the disk of {path} is full: make room on it"),
        Some(Cause::OlderTables) => format!(
            "{path} lacks a table or column ({said}): run `borealis-engine migrate`, or restore it from a backup"
        ),
        None => format!("{path} cannot be used ({said}): check its permissions, or restore it from a backup"),
    }
}

fn locked(path: impl std::fmt::Display, locker: Option<Locker>) -> String {
    let by = locker
        .and_then(|locker| locker.process)
        .map_or_else(String::new, |process| format!(" (process {process})"));
    format!(
        "{path} is locked: another program{by} has kept it so for more than {} seconds. Stop the legacy server, or \
         whatever else works in the database, and try again",
        LOCK_TIMEOUT.as_secs()
    )
}

/// What is found in the database; nothing where it is not there or cannot be read.
/// `tables_made` says whether the start makes and upgrades tables.
pub(super) async fn look(
    report: &mut Report,
    settings: &Settings,
    tables_made: bool,
    clock: &dyn Clock,
) -> DatabaseState {
    let path = &settings.database_path;
    let shown = path.display();
    if path.to_str().is_none() {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!("{shown} is not written in UTF-8, which SQLite needs: rename the folder, or the file"),
        );
        return DatabaseState::default();
    }
    match fs::metadata(path) {
        Ok(found) if found.is_file() => present(report, path, found.len(), tables_made, clock).await,
        Ok(_) => {
            report.add(
                Verdict::Problem,
                SUBJECT,
                format!("{shown} is no file: move it out of the way, or correct BOREALIS_DATABASE_PATH"),
            );
            DatabaseState::default()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            missing(report, settings, tables_made);
            DatabaseState::default()
        }
        Err(error) => {
            report.add(
                Verdict::Problem,
                SUBJECT,
                format!("{shown} cannot be looked at ({error}): run the server as the user to whom its files belong"),
            );
            DatabaseState::default()
        }
    }
}

fn missing(report: &mut Report, settings: &Settings, tables_made: bool) {
    let path = &settings.database_path;
    let shown = path.display();
    let folder_is_made = settings.root.starts_with(path.parent().unwrap_or(Path::new("")));
    if path.parent().is_some_and(|folder| !folder.is_dir()) && !folder_is_made {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!("the folder of {shown} is not there: make it, or correct BOREALIS_DATABASE_PATH"),
        );
    } else if !tables_made {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!(
                "{shown} is not there, and BOREALIS_ENGINE_AUTO_MIGRATE is off: run `borealis-engine migrate`"
            ),
        );
    } else if let Err(obstacle) = writable::folder_of(path, Need::Database) {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!("{shown} has to be made at the start, but {obstacle}"),
        );
    } else {
        report.add(
            Verdict::Ok,
            SUBJECT,
            format!("{shown} is not there; it is made at the start"),
        );
    }
}

async fn present(
    report: &mut Report,
    path: &Path,
    length: u64,
    tables_made: bool,
    clock: &dyn Clock,
) -> DatabaseState {
    let shown = path.display();
    let before = report.len();
    for file in std::iter::once(path.to_owned()).chain(journals(path)) {
        if let Err(obstacle) = writable::file(&file) {
            report.add(
                Verdict::Problem,
                SUBJECT,
                format!("{} cannot be written: {obstacle}", file.display()),
            );
        }
    }
    if let Err(obstacle) = writable::folder_of(path, Need::Journal) {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!("the journal of {shown} cannot be written: {obstacle}"),
        );
    }
    if report.len() > before {
        return DatabaseState::default();
    }
    if let Some(locker) = locker_that_stays(path, clock).await {
        report.add(Verdict::Problem, SUBJECT, locked(shown, Some(locker)));
        return DatabaseState::default();
    }
    match sqlite::inspect(path).await {
        Ok(state) => {
            contents(report, path, length, &state, tables_made);
            if tables_made && !state.upgrade.changes().is_empty() && state.damage.is_empty() {
                trial(report, path, clock).await;
            }
            state
        }
        Err(error) => {
            report.add(Verdict::Problem, SUBJECT, describe(path, &error));
            DatabaseState::default()
        }
    }
}

/// Tries the upgrade with a copy: whether rows stand in its way, nothing else can tell.
async fn trial(report: &mut Report, path: &Path, clock: &dyn Clock) {
    match sqlite::try_upgrade(path, clock.now(), &OsRandom).await {
        Ok(()) => {}
        Err(TrialError::Copy(error)) => report.add(
            Verdict::Warning,
            SUBJECT,
            format!("the upgrade could not be tried beforehand with a copy in the folder for temporary files: {error}"),
        ),
        Err(TrialError::Upgrade(error)) => {
            report.add(Verdict::Problem, SUBJECT, describe_upgrade(path, &error));
        }
    }
}

/// The journals that lie beside a database.
fn journals(path: &Path) -> impl Iterator<Item = PathBuf> {
    ["-wal", "-shm", "-journal"]
        .into_iter()
        .map(|suffix| {
            let mut journal = path.as_os_str().to_owned();
            journal.push(suffix);
            PathBuf::from(journal)
        })
        .filter(|journal| journal.exists())
}

/// Who keeps the database locked, and goes on with it: servers do so for moments only.
async fn locker_that_stays(path: &Path, clock: &dyn Clock) -> Option<Locker> {
    let end = clock.monotonic() + LOCK_TIMEOUT;
    loop {
        // A file that cannot be looked at is SQLite's to refuse.
        let locker = sqlite::locked_by(path).ok().flatten()?;
        if clock.monotonic() >= end {
            return Some(locker);
        }
        drop(clock.sleep_until(clock.monotonic() + POLL_INTERVAL).await);
    }
}

fn contents(report: &mut Report, path: &Path, length: u64, state: &DatabaseState, tables_made: bool) {
    let shown = path.display();
    let before = report.len();
    if let Some(first) = state.damage.first() {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!("{shown} is damaged: {first}; restore it from a backup"),
        );
    }
    for (table, columns) in &state.upgrade.gaps {
        let columns = columns.join(", ");
        if NEEDED_TO_START.contains(&table.as_str()) {
            report.add(
                Verdict::Problem,
                SUBJECT,
                format!(
                    "table {table} of {shown} lacks the columns {columns}, without which no start succeeds, and no \
                     upgrade adds them: restore the database from a backup"
                ),
            );
            continue;
        }
        report.add(
            Verdict::Warning,
            SUBJECT,
            format!(
                "table {table} lacks the columns {columns}, and no upgrade adds them: what needs them fails, as it \
                 does with the legacy server"
            ),
        );
    }
    for names in &state.same_hosts {
        let names = names.join(", ");
        report.add(
            Verdict::Warning,
            SUBJECT,
            format!(
                "these devices are one host by their names: {names}. They keep them, and get what is meant for just that \
                 spelling; another spelling means none of them. Rename all but one"
            ),
        );
    }
    let changes = state.upgrade.changes();
    if !changes.is_empty() {
        upgrade(report, path, length, &changes.join("; "), tables_made);
    } else if state.upgrade.fresh {
        if tables_made {
            report.add(
                Verdict::Ok,
                SUBJECT,
                format!("{shown} is empty; its tables are made at the start"),
            );
        } else {
            report.add(
                Verdict::Problem,
                SUBJECT,
                format!("{shown} is empty: run `borealis-engine migrate`"),
            );
        }
    }
    if report.len() == before {
        report.add(
            Verdict::Ok,
            SUBJECT,
            format!("{shown} is whole and has every table"),
        );
    }
}

fn upgrade(report: &mut Report, path: &Path, length: u64, changes: &str, tables_made: bool) {
    let shown = path.display();
    let needed = length.saturating_mul(UPGRADE);
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Err(free) = writable::check_free_space(folder, needed) {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!(
                "{shown} is of an older server and has to be upgraded, which needs {needed} bytes for a copy and a \
                 journal, but its disk has {free}: make room on it"
            ),
        );
    } else if tables_made {
        report.add(
            Verdict::Warning,
            SUBJECT,
            format!(
                "{shown} is of an older server and is upgraded at the start: {changes}. As it is now, it is first \
                 copied to {shown}.before-upgrade-<time>, and nothing is changed if that fails"
            ),
        );
    } else {
        report.add(
            Verdict::Problem,
            SUBJECT,
            format!(
                "{shown} is of an older server, and BOREALIS_ENGINE_AUTO_MIGRATE is off: run `borealis-engine \
                 migrate`. It copies the database to {shown}.before-upgrade-<time>, then: {changes}"
            ),
        );
    }
}
