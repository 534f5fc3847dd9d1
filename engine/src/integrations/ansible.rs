//! Runs `ansible-playbook` as a process of the server's own.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    pin::pin,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};

use super::{
    private_files::{make_folder, make_folders, private},
    process_tree::{kill_every, kill_tree},
};

/// Bytes of output that are kept; what comes after is read and dropped.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;

/// The variable that tells Ansible where its own files go: below the run's folder.
pub const OWN_FOLDER: &str = "ANSIBLE_LOCAL_TEMP";

/// Until the output of a run that has ended is taken for the whole: what it left in the background may keep the pipes.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// What a run needs in its work folder: name, content.
pub type WorkFile = (&'static str, Vec<u8>);

/// A playbook to be run.
#[derive(Debug)]
pub struct PlaybookCommand {
    pub program: OsString,
    pub arguments: Vec<OsString>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Its whole environment: nothing is inherited.
    pub environment: BTreeMap<String, OsString>,
    /// For how long at most.
    pub patience: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlaybookOutcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Whether it was killed because it took longer than it may.
    pub timed_out: bool,
    pub stdout: String,
    /// What it printed of errors.
    pub stderr: String,
}

/// The folder that runs' own folders lie in, readable by the server alone.
#[derive(Clone, Debug)]
pub struct WorkRoot {
    path: PathBuf,
}

impl WorkRoot {
    /// At this place; nothing is made yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where a run's folder lies.
    pub fn folder(&self, run_id: &str) -> PathBuf {
        self.path.join(run_id)
    }

    /// Ends what a crash of the server left at work: playbooks that nobody waits for any more. How many processes there
    /// were. They are known by the folder that they were given; nothing is looked for where no folder was left.
    pub async fn end_left_over(&self) -> io::Result<usize> {
        let path = self.path.clone();
        blocking(move || {
            let path = match std::fs::canonicalize(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                path => path?,
            };
            if std::fs::read_dir(&path)?.next().is_none() {
                return Ok(0);
            }
            Ok(kill_every(|id| works_below(id, &path)))
        })
        .await
    }

    /// Makes it anew, without anything in it: what a crash left behind holds keys and passwords.
    ///
    /// # Errors
    /// The disk refuses.
    pub async fn empty(&self) -> io::Result<()> {
        let path = self.path.clone();
        blocking(move || {
            remove(&path)?;
            if let Some(parent) = path.parent() {
                make_folders(parent)?;
            }
            make_folder(&path)
        })
        .await
    }
}

/// Removes the folder in which earlier versions, and the legacy, keep the files of runs; whether there was one.
///
/// # Errors
/// The disk refuses.
pub async fn remove_left_over(folder: PathBuf) -> io::Result<bool> {
    blocking(move || remove(&folder)).await
}

/// Removes a folder with all that is in it, or what lies in its place; whether anything did.
fn remove(path: &Path) -> io::Result<bool> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a process was given a folder for its own files below this one.
fn works_below(process: u32, folder: &Path) -> bool {
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| std::str::from_utf8(variable).ok()?.split_once('='))
        .filter(|(name, _)| *name == OWN_FOLDER)
        // The folder itself may not be there yet; the run's, above it, is.
        .filter_map(|(_, value)| std::fs::canonicalize(Path::new(value).parent()?).ok())
        .any(|run| run.starts_with(folder))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// A folder for one run's files, readable by the server alone (ASM-8). Goes when dropped.
#[derive(Debug)]
pub struct WorkFolder {
    path: PathBuf,
}

impl WorkFolder {
    /// Makes the folder and writes the files.
    ///
    /// # Errors
    /// The disk refuses.
    pub async fn create(path: PathBuf, files: Vec<WorkFile>) -> io::Result<Self> {
        blocking(move || {
            if let Some(parent) = path.parent() {
                make_folders(parent)?;
            }
            make_folder(&path)?;
            let folder = Self { path };
            for (name, content) in files {
                private_file(&folder.path.join(name), &content)?;
            }
            Ok(folder)
        })
        .await
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a work folder cannot be removed");
        }
    }
}

fn private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    private()
        .write(true)
        .create_new(true)
        .open(path)?
        .write_all(content)
}

/// A playbook whose process runs. Where this is dropped before its end, it is killed with everything that it started.
#[derive(Debug)]
pub struct RunningPlaybook {
    child: Child,
    patience: Option<Duration>,
}

impl Drop for RunningPlaybook {
    fn drop(&mut self) {
        // It has none once its end was seen.
        if let Some(id) = self.child.id() {
            kill_tree(id);
        }
    }
}

/// Starts a playbook.
///
/// # Errors
/// Its process cannot be started.
pub fn start(command: &PlaybookCommand) -> io::Result<RunningPlaybook> {
    let mut process = Command::new(&command.program);
    process
        .args(&command.arguments)
        .current_dir(&command.folder)
        .env_clear()
        .envs(&command.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    #[cfg(unix)]
    process.process_group(0);
    Ok(RunningPlaybook {
        child: process.spawn()?,
        patience: command.patience,
    })
}

impl RunningPlaybook {
    /// Waits for its end. Where it takes longer than it may, that is its death, with everything that it started.
    ///
    /// # Errors
    /// The system does not say how it ended.
    pub async fn finish(mut self) -> io::Result<PlaybookOutcome> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let status = {
            let child = &mut self.child;
            let pipes = (child.stdout.take(), child.stderr.take());
            let whole = async {
                let mut output = pin!(async {
                    tokio::join!(keep(pipes.0, &mut stdout), keep(pipes.1, &mut stderr));
                });
                tokio::select! {
                    () = &mut output => child.wait().await,
                    status = child.wait() => {
                        let _ = tokio::time::timeout(LAST_OUTPUT, output).await;
                        status
                    }
                }
            };
            match self.patience {
                None => Some(whole.await?),
                Some(patience) => tokio::time::timeout(patience, whole).await.ok().transpose()?,
            }
        };
        drop(self);
        Ok(PlaybookOutcome {
            code: status.and_then(|status| status.code()),
            timed_out: status.is_none(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }
}

async fn keep<R: AsyncRead + Unpin>(pipe: Option<R>, text: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut portion = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut portion).await {
        let room = MOST_OUTPUT.saturating_sub(text.len());
        text.extend(portion.iter().take(read.min(room)));
    }
}

#[cfg(test)]
mod tests;
