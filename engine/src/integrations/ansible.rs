//! Runs `ansible-playbook` as a process of the server's own.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};

/// Bytes of output that are kept; what comes after is read and dropped.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;

/// Variables that a run gets where the server's own environment does not set them.
const DEFAULTS: [(&str, &str); 2] = [
    ("ANSIBLE_STDOUT_CALLBACK", "yaml"),
    ("ANSIBLE_RETRY_FILES_ENABLED", "False"),
];

/// What a run needs in its work folder: name, content.
pub type WorkFile = (&'static str, Vec<u8>);

/// A playbook to be run.
#[derive(Debug)]
pub struct PlaybookCommand {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it runs.
    pub folder: PathBuf,
    /// For how long at most.
    pub patience: Option<Duration>,
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlaybookOutcome {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed of errors.
    pub stderr: String,
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
        tokio::task::spawn_blocking(move || {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            private_folder(&path)?;
            let folder = Self { path };
            for (name, content) in files {
                private_file(&folder.path.join(name), &content)?;
            }
            Ok(folder)
        })
        .await
        .map_err(io::Error::other)?
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!("the work folder {} stays: {error}", self.path.display());
        }
    }
}

#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

fn private_file(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)?.write_all(content)
}

/// A playbook whose process runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct RunningPlaybook {
    child: Child,
    patience: Option<Duration>,
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
        .env("ANSIBLE_HOST_KEY_CHECKING", "False")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for (name, value) in DEFAULTS {
        if !inherits(name) {
            process.env(name, value);
        }
    }
    Ok(RunningPlaybook {
        child: process.spawn()?,
        patience: command.patience,
    })
}

impl RunningPlaybook {
    /// Waits for its end.
    ///
    /// # Errors
    /// It took longer than it may.
    pub async fn finish(mut self) -> io::Result<PlaybookOutcome> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let whole = async {
            let (stdout, stderr, status) = tokio::join!(kept(stdout), kept(stderr), self.child.wait());
            Ok(PlaybookOutcome {
                code: status?.code(),
                stdout,
                stderr,
            })
        };
        match self.patience {
            None => whole.await,
            Some(patience) => tokio::time::timeout(patience, whole)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the process inherits the environment, so what it would inherit is asked for"
)]
fn inherits(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

async fn kept<R: AsyncRead + Unpin>(pipe: Option<R>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let mut text = Vec::new();
    let mut portion = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut portion).await {
        let room = MOST_OUTPUT.saturating_sub(text.len());
        text.extend(portion.iter().take(read.min(room)));
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: PlaybookCommand) -> io::Result<PlaybookOutcome> {
        start(&command)?.finish().await
    }

    fn shell(script: &str, patience: Option<Duration>) -> PlaybookCommand {
        PlaybookCommand {
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            folder: std::env::temp_dir(),
            patience,
        }
    }

    #[tokio::test]
    async fn output_and_code_come_back_and_output_is_bounded() {
        let outcome = run(shell("echo out; echo err >&2; exit 3", None)).await.unwrap();
        assert_eq!(
            (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
        let long = run(shell("head -c 6000000 /dev/zero", None)).await.unwrap();
        assert_eq!(long.stdout.len(), MOST_OUTPUT);
    }

    #[tokio::test]
    async fn what_cannot_start_or_does_not_end_is_an_error() {
        let mut missing = shell("", None);
        missing.program = "no-such-program-anywhere".into();
        assert_eq!(run(missing).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        let endless = shell("sleep 600", Some(Duration::from_millis(20)));
        assert_eq!(run(endless).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn work_files_are_private_and_go_away() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let folder = WorkFolder::create(path.clone(), vec![("secret", b"x".to_vec())])
            .await
            .unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(folder.path()), mode(&folder.path().join("secret"))),
            (0o700, 0o600)
        );
        drop(folder);
        assert!(!path.exists());
    }
}
