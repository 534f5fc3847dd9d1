//! `borealis-engine restore`
//!
//! Long because what a backup may hold, and the way of it into place, are read together.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use jiff::tz::TimeZone;

use super::{
    Failure,
    backup::stop_signal,
    output::{Answer, shown},
};
use crate::{
    config::settings::Settings,
    domain::json::Json,
    integrations::{
        backup_archive::{self, ASSEMBLIES, ArchiveError, Destination},
        private_files::{make_folders, narrow, private},
        replacement::{self, Change},
        restore_places,
        root_lock::RootLock,
    },
    preflight,
    repositories::sqlite::{back_up, holds_fleet, opened_by},
    services::{Environment, audit},
};

/// What SQLite keeps beside a database; the index (`-shm`) is made of the journal.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];
/// The copy of a backup that has a journal, as long as there is no single file of both.
const IN_PARTS: &str = ".in-parts";
/// What every SQLite file begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Put a backup in the place of the database, or of the whole server.
///
/// Takes what `backup` wrote: a copy of the database, or an archive of everything (`backup --all`). The server must be
/// stopped, the legacy server too. The backup is first copied beside what it replaces and read again; then names alone are
/// changed, all or none. What was there before is set aside under its name with `.before-restore-<time>`, and nothing is
/// deleted: remove it once the server runs as it should.
///
/// A copy of the database replaces the database and its journals. Where one that is restored has a journal itself, as a
/// database that was set aside may have, what that holds is restored too. An archive replaces keys, certificates and assemblies
/// too; those that were not there when it was written are set aside. Into an empty root folder it restores a server on
/// another machine: set its variables as they were.
///
/// Where the machine failed in the middle, no server starts there until `restore --roll-back` has put back what was there
/// before.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine restore /var/backups/borealis-before-cut-over.db
  borealis-engine restore /var/backups/borealis-2026-11-28.tar
  borealis-engine restore --roll-back

Exit codes: 0 done, 1 could not do it (everything is as it was, unless the message says otherwise), 2 wrong command \
line or settings.")]
pub struct RestoreArguments {
    /// What `backup` wrote.
    #[arg(required_unless_present = "roll_back")]
    file: Option<PathBuf>,
    /// Put back what was there before a restore, or a `certificate replace`, that was cut short.
    #[arg(long, conflicts_with = "file")]
    roll_back: bool,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    arguments: &RestoreArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<(), Failure> {
    look_at_root(settings)?;
    let lock = RootLock::acquire(&settings.database_path, &*environment.clock)
        .await
        .map_err(|error| Failure::Refused(error.to_string()))?;
    refuse_others(&settings.database_path)?;
    let plan = preflight::restore_plan(settings);
    let answer = match &arguments.file {
        None => roll_back(&plan, settings)?,
        Some(_) if plan.exists() => return Err(Failure::Refused(preflight::cut_short(&plan))),
        Some(file) => restore(file, &plan, settings, environment).await?,
    };
    drop(lock);
    answer.show(arguments.json)
}

/// A mistyped root folder gets no database, and what is restored must be its server's.
fn look_at_root(settings: &Settings) -> Result<(), Failure> {
    let root = settings.root.display();
    if !settings.root.exists() {
        return Err(Failure::Refused(format!(
            "there is no root folder {root}: set BOREALIS_ROOT to the server's folder, or make it for the server's user"
        )));
    }
    preflight::refuse_root(settings, false).map_err(Failure::Refused)
}

/// The legacy server knows no lock, but has its database open.
fn refuse_others(database: &Path) -> Result<(), Failure> {
    refuse_open(database, "stop the server first, the legacy too")
}

fn refuse_open(database: &Path, cure: &str) -> Result<(), Failure> {
    let shown_path = shown(&database.to_string_lossy());
    let looked = opened_by(database).map_err(Failure::io(format!("cannot look at {shown_path}")))?;
    let Some(locker) = looked else {
        return Ok(());
    };
    let process = locker
        .process
        .map(|process| format!(" (process {process})"))
        .unwrap_or_default();
    Err(Failure::Refused(format!(
        "{shown_path} is open in another program{process}: {cure}; nothing was changed"
    )))
}

/// Removes what one that was killed had made ready; what that was. The lock is held, and no plan needs it. Where somebody
/// wants to restore from just that, it all stays.
fn remove_leftovers(settings: &Settings, source: Option<&Path>) -> Vec<String> {
    let leftovers = restore_places::leftovers(settings);
    let source = source.and_then(|source| fs::canonicalize(source).ok());
    if source.is_some_and(|source| leftovers.iter().any(|path| source.starts_with(path))) {
        return Vec::new();
    }
    for path in &leftovers {
        replacement::discard(path);
        tracing::warn!(path = %path.display(), "removed what was made ready for a restore that was killed");
    }
    leftovers
        .iter()
        .filter(|path| fs::symlink_metadata(path).is_err())
        .map(|path| path.display().to_string())
        .collect()
}

fn roll_back(plan: &Path, settings: &Settings) -> Result<Answer, Failure> {
    let undone = replacement::roll_back(plan)?;
    if undone {
        audit::changed("backup.rolled_back", plan.display());
        tracing::warn!("a replacement that was cut short was taken back");
    }
    let removed = remove_leftovers(settings, None);
    let (text, status) = match (undone, removed.is_empty()) {
        (true, _) => ("what was there before is back\n", "rolled_back"),
        (false, false) => (
            "no name had been changed; what was made ready is gone\n",
            "removed",
        ),
        (false, true) => (
            "nothing was cut short here; nothing was changed\n",
            "nothing_to_do",
        ),
    };
    let mut text = text.to_owned();
    text.extend(removed.iter().map(|path| format!("removed {}\n", shown(path))));
    Ok(Answer {
        text,
        json: Json::object([("status", status.into()), ("removed", Json::list(removed))]),
    })
}

async fn restore(
    file: &Path,
    plan: &Path,
    settings: &Settings,
    environment: &Environment,
) -> Result<Answer, Failure> {
    let source = std::path::absolute(file).map_err(Failure::io("cannot tell where the backup is"))?;
    remove_leftovers(settings, Some(&source));
    let shown_source = shown(&source.to_string_lossy());
    let mut backup = File::open(&source).map_err(Failure::io(format!("cannot read {shown_source}")))?;
    let is_database =
        begins_as_sqlite(&mut backup).map_err(Failure::io(format!("cannot read {shown_source}")))?;
    // Its journals lie where the file does, also when a link leads there.
    let database = is_database.then(|| fs::canonicalize(&source).unwrap_or_else(|_| source.clone()));
    if let Some(database) = &database {
        refuse_open(
            database,
            "what is copied meanwhile is not of one moment; `borealis-engine backup` makes a copy that is",
        )?;
    }
    let now = environment.clock.now().to_zoned_datetime(TimeZone::UTC);
    let parts = Arc::new(Parts::of(
        settings,
        is_database,
        &now.strftime("%Y%m%dT%H%M%SZ").to_string(),
    ));
    let restored = stage_and_replace(backup, database, plan, &parts).await;
    // As long as there is a plan, what is ready is needed to tell what has been replaced by it.
    if restored.is_err() && !plan.exists() {
        parts.discard();
    }
    let aside = restored?;
    // Databases and keys are secrets there, too, and no start looks at them again.
    narrow(aside.iter().cloned());
    audit::changed("backup.restored", source.display());
    tracing::warn!(file = %shown_source, "backup restored");
    let aside: Vec<_> = aside.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!("restored {shown_source}; start the server\n");
    if !aside.is_empty() {
        text += "what was there before was set aside; remove it once the server runs as it should:\n";
        text.extend(aside.iter().map(|path| format!("  {}\n", shown(path))));
    }
    Ok(Answer {
        text,
        json: Json::object([("status", "ok".into()), ("set_aside", Json::list(aside))]),
    })
}

fn begins_as_sqlite(file: &mut File) -> io::Result<bool> {
    let mut begin = Vec::new();
    file.take(SQLITE.len() as u64).read_to_end(&mut begin)?;
    file.rewind()?;
    Ok(begin == SQLITE)
}

/// Copies the backup beside what it replaces, sees to it that it is whole, and changes the names.
async fn stage_and_replace(
    backup: File,
    source: Option<PathBuf>,
    plan: &Path,
    parts: &Arc<Parts>,
) -> Result<Vec<PathBuf>, Failure> {
    let stopped = Arc::new(AtomicBool::new(false));
    let (stop, staging) = (Arc::clone(&stopped), Arc::clone(parts));
    let mut copying = tokio::task::spawn_blocking(move || match source {
        Some(source) => staging.stage_database(backup, &source),
        None => backup_archive::extract(
            backup,
            |name| staging.destination(name),
            || !stop.load(Ordering::Relaxed),
        )
        .map(|()| None),
    });
    let staging = async {
        let copied = (&mut copying).await;
        if let Some(copy) = copied.map_err(|error| Failure::Refused(error.to_string()))?? {
            parts.put_together(&copy).await?;
        }
        Ok::<_, Failure>(())
    };
    let signal = tokio::select! {
        staged = staging => {
            staged?;
            None
        }
        signal = stop_signal() => Some(signal),
    };
    if let Some(signal) = signal {
        stopped.store(true, Ordering::Relaxed);
        if !copying.is_finished() {
            let _ = copying.await;
        }
        signal.map_err(Failure::io("cannot wait for signals"))?;
        return Err(Failure::refused("stopped; nothing was changed"));
    }
    let database = &parts.database().staged;
    if !database.exists() {
        return Err(Failure::refused(
            "the backup holds no database; nothing was changed",
        ));
    }
    if let Err(wrong) = holds_fleet(database).await? {
        return Err(Failure::Refused(format!(
            "the backup cannot be used: {wrong}; nothing was changed"
        )));
    }
    // Copying may have taken minutes, in which somebody may have started the legacy.
    refuse_others(&parts.database().path)?;
    let (plan, changes) = (plan.to_owned(), parts.changes());
    // From here on a signal comes too late.
    tokio::task::spawn_blocking(move || replacement::replace(&plan, &changes))
        .await
        .map_err(|error| Failure::Refused(error.to_string()))?
        .map_err(Failure::from)
}

/// Something that a backup may hold.
#[derive(Debug)]
struct Part {
    /// What it is called in an archive.
    name: String,
    path: PathBuf,
    /// Where it is made ready.
    staged: PathBuf,
    aside: PathBuf,
}

/// All of it, and what is in the way.
#[derive(Debug)]
struct Parts {
    /// The database comes last: without it no server finds anything to serve.
    parts: Vec<Part>,
    /// Journals of the database, and where they are set aside.
    journals: Vec<(PathBuf, PathBuf)>,
    /// Folders that are not there yet, the outer ones first.
    missing: Vec<PathBuf>,
}

impl Parts {
    fn of(settings: &Settings, database_alone: bool, time: &str) -> Self {
        let places = restore_places::places(settings, database_alone);
        let time = free(&places, time);
        let parts: Vec<_> = places
            .into_iter()
            .map(|(name, path)| Part {
                staged: beside(&path, &format!(".restoring-{time}")),
                aside: beside(&path, &format!(".before-restore-{time}")),
                name,
                path,
            })
            .collect();
        let journals = parts.last().into_iter().flat_map(|database| {
            ["-wal", "-shm", "-journal"]
                .map(|suffix| (beside(&database.path, suffix), beside(&database.aside, suffix)))
        });
        let journals = journals.collect();
        let mut missing: Vec<PathBuf> = parts
            .iter()
            .flat_map(|part| part.path.ancestors().skip(1))
            .filter(|folder| !folder.exists())
            .map(Path::to_owned)
            .collect();
        missing.sort();
        missing.dedup();
        Self {
            parts,
            journals,
            missing,
        }
    }

    #[allow(clippy::expect_used, reason = "the database is always the last of them")]
    fn database(&self) -> &Part {
        self.parts.last().expect("a backup has a database")
    }

    /// Where an entry of an archive is made ready.
    fn destination(&self, name: &str) -> Option<Destination> {
        self.parts.iter().find_map(|part| {
            let below = name.strip_prefix(&part.name)?;
            let path = match below.strip_prefix('/') {
                None if below.is_empty() => part.staged.clone(),
                Some(below) if part.name == ASSEMBLIES => part.staged.join(below),
                _ => return None,
            };
            Some(Destination {
                path: Some(path),
                keeps_mode: part.name == ASSEMBLIES,
            })
        })
    }

    /// Copies a database. Where a journal lies beside it that holds something, both are copied under a name of their own,
    /// which is returned: they have to be put together.
    fn stage_database(&self, backup: File, source: &Path) -> Result<Option<PathBuf>, ArchiveError> {
        let staged = &self.database().staged;
        let journals = JOURNALS.map(|suffix| (suffix, beside(source, suffix)));
        let journals: Vec<_> = journals
            .into_iter()
            .filter(|(_, journal)| fs::metadata(journal).is_ok_and(|found| found.len() > 0))
            .collect();
        if journals.is_empty() {
            copy(backup, staged)?;
            return Ok(None);
        }
        let in_parts = beside(staged, IN_PARTS);
        copy(backup, &in_parts)?;
        for (suffix, journal) in journals {
            let file = File::open(&journal).map_err(|source| ArchiveError::File {
                what: format!("cannot read {}", shown(&journal.to_string_lossy())),
                source,
            })?;
            copy(file, &beside(&in_parts, suffix))?;
        }
        Ok(Some(in_parts))
    }

    /// Makes one file of a database and its journal.
    async fn put_together(&self, in_parts: &Path) -> Result<(), Failure> {
        let staged = &self.database().staged;
        copy(io::empty(), staged)?;
        back_up(in_parts, staged).await.map_err(|error| {
            Failure::Refused(format!(
                "the backup and the journal beside it cannot be used: {error}; nothing was changed"
            ))
        })?;
        File::open(staged)
            .and_then(|file| file.sync_all())
            .map_err(Failure::io(format!("cannot write {}", staged.display())))?;
        self.discard_parts();
        Ok(())
    }

    fn discard_parts(&self) {
        let in_parts = beside(&self.database().staged, IN_PARTS);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            replacement::discard(&beside(&in_parts, suffix));
        }
    }

    /// What gets which name: what is ready, and what is in its way.
    fn changes(&self) -> Vec<Change> {
        let parts = self.parts.iter().map(|part| Change {
            path: part.path.clone(),
            new: fs::symlink_metadata(&part.staged)
                .is_ok()
                .then(|| part.staged.clone()),
            aside: part.aside.clone(),
        });
        let journals = self.journals.iter().map(|(path, aside)| Change {
            path: path.clone(),
            new: None,
            aside: aside.clone(),
        });
        journals.chain(parts).collect()
    }

    /// Removes what was made ready, and the folders that were made for it.
    fn discard(&self) {
        for part in &self.parts {
            replacement::discard(&part.staged);
        }
        self.discard_parts();
        for folder in self.missing.iter().rev() {
            // One that holds something by now was made for something else.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Writes what is read into a new file for its owner alone.
fn copy(mut from: impl io::Read, to: &Path) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::File {
        what: format!("cannot write {}", to.display()),
        source,
    };
    if let Some(folder) = to.parent() {
        make_folders(folder).map_err(failed)?;
    }
    let mut file = private().write(true).create_new(true).open(to).map_err(failed)?;
    io::copy(&mut from, &mut file)
        .and_then(|_| file.sync_all())
        .map_err(failed)
}

/// The time, with a number where something bears it already.
fn free(places: &[(String, PathBuf)], time: &str) -> String {
    let is_free = |time: &str| {
        places.iter().all(|(_, path)| {
            ["restoring", "before-restore"]
                .iter()
                .all(|word| fs::symlink_metadata(beside(path, &format!(".{word}-{time}"))).is_err())
        })
    };
    let mut number = 1_u32;
    loop {
        let named = match number {
            1 => time.to_owned(),
            number => format!("{time}-{number}"),
        };
        if is_free(&named) {
            return named;
        }
        number += 1;
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
