//! `borealis-engine backup`

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Failure,
    output::{Answer, shown},
};
use crate::{domain::json::Json, repositories::sqlite::back_up, services::audit};

/// Write a copy of the database, while the server runs or not.
///
/// Safe beside a running server: the copy is the database as it is at one moment, with what its journal (`-wal`) holds,
/// and requests are served and changes made meanwhile. The copy is read again before it gets its name, so a file of
/// that name is whole. A file that exists is never overwritten. Only its owner may read it: it holds digests of
/// passwords and sealed credentials.
///
/// The copy holds the database alone. Keys, certificates and assemblies are files that seldom change; copy
/// `Certificates`, `Server/Borealis`, `Data/Server/server_secret.key` and `Assemblies` of the root folder
/// along with it, or devices have to enroll again and stored passwords cannot be opened.
///
/// To restore: stop the server, move `database.db`, `database.db-wal` and `database.db-shm` out of the root folder,
/// copy the backup there as `database.db`, and start the server.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 1 could not do it, 2 wrong command line or settings.")]
#[command(after_long_help = "\
Examples:
  borealis-engine backup /var/backups/borealis-before-cut-over.db
  borealis-engine backup \"/var/backups/borealis-$(date +%F).db\" --json

Exit codes: 0 done, 1 could not do it (no file of that name was made), 2 wrong command line or settings.")]
pub struct BackupArguments {
    /// The file to write, in a folder that exists.
    file: PathBuf,
    /// Answer in JSON; messages of failures stay text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &BackupArguments, database: &Path) -> Result<(), Failure> {
    let target = std::path::absolute(&arguments.file).map_err(Failure::io("cannot tell where to write"))?;
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
    let workshop = tempfile::Builder::new()
        .prefix(".borealis-backup-")
        .tempdir_in(folder)
        .map_err(Failure::io(cannot_write()))?;
    let copy = NamedTempFile::new_in(workshop.path()).map_err(Failure::io(cannot_write()))?;
    tokio::select! {
        copied = back_up(database, copy.path()) => copied?,
        stopped = stop_signal() => {
            stopped.map_err(Failure::io("cannot wait for signals"))?;
            return Err(Failure::refused("stopped before the copy was whole; nothing was written"));
        }
    }
    let bytes = keep(copy, &target, folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists_already(&shown_target),
        _ => Failure::io(cannot_write())(error),
    })?;
    audit::changed("backup.written", target.display());
    tracing::info!(file = %shown_target, %bytes, "database backup written");
    Answer {
        text: format!("wrote {shown_target}, {bytes} bytes"),
        json: Json::object([
            ("status", "ok".into()),
            ("file", target.to_string_lossy().as_ref().into()),
            ("bytes", i64::try_from(bytes).unwrap_or(i64::MAX).into()),
        ]),
    }
    .show(arguments.json)
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

async fn stop_signal() -> io::Result<()> {
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
