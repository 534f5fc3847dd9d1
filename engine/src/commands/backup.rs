//! `borealis-engine backup`

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use tempfile::{NamedTempFile, TempDir};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Failure,
    output::{Answer, shown},
};
use crate::{
    config::settings::Settings,
    domain::json::Json,
    integrations::{
        backup_archive::{self, ASSEMBLIES, ArchiveError, DATABASE, Destination, Source, Written},
        identity, replacement,
    },
    repositories::sqlite::back_up,
    services::audit,
};

/// What the name of the folder in which one is made begins with, and how long the rest is.
const WORKSHOP: &str = ".borealis-backup-";
const RANDOM: usize = 6;

/// Write a copy of the database, or of the whole server, while the server runs or not.
///
/// Safe beside a running server: the copy is the database as it is at one moment, with what its journal (`-wal`) holds,
/// and requests are served and changes made meanwhile. The copy is read again before it gets its name, so a file of
/// that name is whole. A file that exists is never overwritten. Only its owner may read it: it holds digests of
/// passwords and sealed credentials.
///
/// Without `--all` the copy holds the database alone. With it, it is an archive (tar) of the database, the server's
/// certificates and keys, and the assemblies: whoever has it controls the fleet. Only what the variables hold
/// (BOREALIS_SECRET_KEY, BOREALIS_FLASK_SECRET_KEY, BOREALIS_SECRET) is not in it. The database alone is of no use where
/// the keys are lost: devices have to enroll again, and stored passwords cannot be opened.
///
/// `borealis-engine restore FILE` restores either.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine backup /var/backups/borealis-before-cut-over.db
  borealis-engine backup --all \"/var/backups/borealis-$(date +%F).tar\"
  borealis-engine backup \"/var/backups/borealis-$(date +%F).db\" --json

Exit codes: 0 done, 1 could not do it (no file of that name was made), 2 wrong command line or settings.")]
pub struct BackupArguments {
    /// The file to write, in a folder that exists.
    file: PathBuf,
    /// Copy keys, certificates and assemblies too.
    #[arg(long)]
    all: bool,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &BackupArguments, settings: &Settings) -> Result<(), Failure> {
    let database = &settings.database_path;
    let target = std::path::absolute(&arguments.file).map_err(Failure::io("cannot tell where to write"))?;
    if target.to_str().is_none() {
        // It could be told neither here nor in the audit log.
        return Err(Failure::Refused(format!(
            "{} is not written in UTF-8: choose another name; nothing was written",
            shown(&target.to_string_lossy())
        )));
    }
    let shown_target = shown(&target.to_string_lossy());
    // Asked before the work, for the sake of whoever waits for it; what decides is the way the file gets its name.
    match fs::symlink_metadata(&target) {
        Ok(_) => return Err(exists_already(&shown_target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::io(format!("cannot look at {shown_target}"))(error)),
    }
    let folder = target
        .parent()
        .ok_or_else(|| Failure::Refused(format!("{shown_target} is no name of a file")))?;
    let cannot_write = || format!("cannot write into {}", shown(&folder.to_string_lossy()));
    // Beside the target, so that the copy can get its name in one step, and in a folder of its own that is gone at the
    // end with whatever else SQLite made there.
    let (workshop, held) = workshop(folder).map_err(Failure::io(cannot_write()))?;
    remove_stale(folder);
    let copy = NamedTempFile::new_in(workshop.path()).map_err(Failure::io(cannot_write()))?;
    tokio::select! {
        copied = back_up(database, copy.path()) => copied?,
        stopped = stop_signal() => {
            stopped.map_err(Failure::io("cannot wait for signals"))?;
            return Err(Failure::refused("stopped before the copy was whole; nothing was written"));
        }
    }
    let (copy, all) = if arguments.all {
        let (archive, written) = archived(copy, workshop.path(), settings).await?;
        (archive, Some(written))
    } else {
        (copy, None)
    };
    let bytes = keep(copy, &target, folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists_already(&shown_target),
        _ => Failure::io(cannot_write())(error),
    })?;
    drop((workshop, held));
    audit::changed("backup.written", target.display());
    tracing::info!(file = %shown_target, %bytes, all = arguments.all, "backup written");
    let mut members = vec![
        ("status", "ok".into()),
        ("file", target.to_string_lossy().as_ref().into()),
        ("bytes", i64::try_from(bytes).unwrap_or(i64::MAX).into()),
    ];
    let mut text = format!("wrote {shown_target}, {bytes} bytes");
    if let Some(Written { files, left_out }) = all {
        text += &format!(", {files} files: it opens the fleet, keep it as you keep the server's keys\n");
        let left_out: Vec<_> = left_out.iter().map(|path| path.display().to_string()).collect();
        for path in &left_out {
            text += &format!(
                "left out, as it is neither file, folder nor link: {}\n",
                shown(path)
            );
            tracing::warn!(%path, "left out of a backup, as it is neither file, folder nor link");
        }
        members.push(("files", files.into()));
        members.push(("left_out", Json::list(left_out)));
    }
    Answer {
        text,
        json: Json::Object(Json::members(members)),
    }
    .show(arguments.json)
}

/// A folder that is gone at the end, and a lock on it for as long as somebody works in it.
fn workshop(folder: &Path) -> io::Result<(TempDir, File)> {
    loop {
        let workshop = tempfile::Builder::new().prefix(WORKSHOP).tempdir_in(folder)?;
        let held = File::open(workshop.path())?;
        if let Err(TryLockError::WouldBlock) = held.try_lock() {
            // Another one takes it for left behind, in the moment before it was locked.
            continue;
        }
        let is_there = |found: fs::Metadata| held.metadata().is_ok_and(|own| own.ino() == found.ino());
        if fs::metadata(workshop.path()).is_ok_and(is_there) {
            return Ok((workshop, held));
        }
    }
}

/// Removes the folders of this user's backups that were killed: what lies there holds digests of passwords, and keys.
/// Where locks cannot be had nobody knows whether they are, and they stay.
fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(WORKSHOP));
        let is_one = random.is_some_and(|random| {
            random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let path = entry.path();
        let is_own = fs::symlink_metadata(&path)
            .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw());
        if is_one
            && is_own
            && let Ok(held) = File::open(&path)
            && held.try_lock().is_ok()
        {
            replacement::discard(&path);
            tracing::warn!(path = %path.display(), "removed what a backup that was killed had left");
        }
    }
}

/// The copy of the database with everything else, read again.
async fn archived(
    copy: NamedTempFile,
    workshop: &Path,
    settings: &Settings,
) -> Result<(NamedTempFile, Written), Failure> {
    let mut sources = vec![Source {
        name: DATABASE.to_owned(),
        path: copy.path().to_owned(),
    }];
    sources.extend(identity::all_files(settings).into_iter().map(|file| Source {
        name: file.name,
        path: file.path,
    }));
    sources.push(Source {
        name: ASSEMBLIES.to_owned(),
        path: settings.root.join("Assemblies"),
    });
    let archive = NamedTempFile::new_in(workshop).map_err(Failure::io("cannot write the archive"))?;
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    let mut writing = tokio::task::spawn_blocking(move || {
        let goes_on = || !stop.load(Ordering::Relaxed);
        let written = backup_archive::write(archive.as_file(), &sources, goes_on)?;
        let anywhere = |_: &str| {
            Some(Destination {
                path: None,
                keeps_mode: false,
            })
        };
        let again = archive.reopen().map_err(|source| ArchiveError::File {
            what: "cannot read the archive again".to_owned(),
            source,
        })?;
        backup_archive::extract(again, anywhere, goes_on)?;
        Ok::<_, ArchiveError>((archive, written))
    });
    tokio::select! {
        written = &mut writing => match written {
            Ok(written) => Ok(written?),
            Err(error) => Err(Failure::Refused(error.to_string())),
        },
        signal = stop_signal() => {
            stopped.store(true, Ordering::Relaxed);
            signal.map_err(Failure::io("cannot wait for signals"))?;
            // The files that it writes go with the folder that they are in.
            let _ = writing.await;
            Err(Failure::refused("stopped before the copy was whole; nothing was written"))
        }
    }
}

/// Gives the copy its name once it lies safely on the disk, unless another file has that name by now; how long it is.
fn keep(copy: NamedTempFile, target: &Path, folder: &Path) -> io::Result<u64> {
    copy.as_file().sync_all()?;
    let bytes = copy.as_file().metadata()?.len();
    copy.persist_noclobber(target).map_err(|error| error.error)?;
    // The name, too, must outlast a power failure.
    File::open(folder)?.sync_all()?;
    Ok(bytes)
}

fn exists_already(target: &str) -> Failure {
    Failure::Refused(format!(
        "{target} exists already, and no file is overwritten: choose another name"
    ))
}

pub(super) async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
