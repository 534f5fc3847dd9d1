//! The measured server: the release binary as a process of its own over a fresh root folder.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, client::Resumption};
use tempfile::TempDir;

use super::{client::Connection, usage};
use crate::target::{
    endpoint::Endpoint,
    tls::{TlsError, Verification, as_agents_do},
};

/// Where the server puts what agents verify it with.
const BUNDLE: &str = "Certificates/Server/borealis-server-bundle.pem";
/// How long the server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to reach a server that starts.
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The binary cannot be run.
    #[error(
        "{path} cannot be started: {source}; build it with `cargo build --release` or name it with --engine"
    )]
    Start { path: String, source: std::io::Error },
    /// One of the two servers of `bench channel` cannot be run.
    #[error(
        "{path} cannot be started: {source}; build both with `cargo build --release --workspace --examples` or name them \
         with --ours and --peer"
    )]
    StartExample { path: String, source: std::io::Error },
    /// It started and did not say where it listens.
    #[error("{path} says {said:?} and not where it listens")]
    NoAddress {
        path: String,
        /// Its first line.
        said: String,
    },
    /// There is no place for it.
    #[error("no root folder or port for the server: {0}")]
    Place(#[source] std::io::Error),
    /// It does not answer.
    #[error("the server did not answer within {} seconds; its log: {log}", PATIENCE.as_secs())]
    Silent {
        /// The log's last lines.
        log: String,
    },
    /// It was asked to end, and did not.
    #[error("the server did not end within {} seconds; its log: {log}", PATIENCE.as_secs())]
    Endless {
        /// The log's last lines.
        log: String,
    },
    /// Its certificate.
    #[error("TLS with the server: {0}")]
    Tls(#[from] TlsError),
    /// What the system tells about it cannot be read.
    #[error("what the server uses cannot be read: {0}")]
    Usage(#[source] std::io::Error),
}

/// A running server.
#[derive(Debug)]
pub struct ServerProcess {
    process: Child,
    root: TempDir,
    address: SocketAddr,
    /// How its certificate is verified, where it shows one.
    tls: Option<Arc<ClientConfig>>,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
}

impl ServerProcess {
    /// Starts the binary over a fresh root folder and waits for its first answer.
    pub async fn start(binary: &Path) -> Result<Self, ServerError> {
        let root = tempfile::tempdir().map_err(ServerError::Place)?;
        Self::start_over(binary, root).await
    }

    /// The same, with the certificate that it makes.
    pub async fn start_with_tls(binary: &Path) -> Result<Self, ServerError> {
        let root = tempfile::tempdir().map_err(ServerError::Place)?;
        let anybody = Verification::Insecure.config()?;
        let mut server = Self::run(Command::new(binary), binary, root, Some(anybody)).await?;
        let bundle = server.root.path().join(BUNDLE);
        let mut config = ClientConfig::clone(&*as_agents_do(&bundle)?);
        // Each agent is a program of its own, which has never been there before.
        config.resumption = Resumption::disabled();
        server.tls = Some(Arc::new(config));
        Ok(server)
    }

    /// Starts the binary as a shell with this soft limit of open files would.
    pub async fn start_with_soft_limit(binary: &Path, files: u32) -> Result<Self, ServerError> {
        let root = tempfile::tempdir().map_err(ServerError::Place)?;
        let mut shell = Command::new("/bin/sh");
        shell
            .arg("-c")
            .arg(format!("ulimit -S -n {files} && exec \"$0\""))
            .arg(binary);
        Self::run(shell, binary, root, None).await
    }

    async fn start_over(binary: &Path, root: TempDir) -> Result<Self, ServerError> {
        Self::run(Command::new(binary), binary, root, None).await
    }

    async fn run(
        mut command: Command,
        binary: &Path,
        root: TempDir,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, ServerError> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(ServerError::Place)?;
        let begin = Instant::now();
        let process = command
            .env_clear()
            .env("BOREALIS_ROOT", root.path())
            .env("BOREALIS_PORT", address.port().to_string())
            .env("BOREALIS_TLS", if tls.is_some() { "on" } else { "off" })
            .env("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9")
            // With a default one nothing that a proxy forwards is answered.
            .env("BOREALIS_SECRET", "the secret of the measured server")
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| ServerError::Start {
                path: binary.display().to_string(),
                source,
            })?;
        let mut server = Self {
            process,
            root,
            address,
            tls,
            started_in: Duration::ZERO,
        };
        while !server.answers().await {
            if begin.elapsed() > PATIENCE {
                return Err(ServerError::Silent { log: server.log() });
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        server.started_in = begin.elapsed();
        Ok(server)
    }

    /// Kills the server in the middle of what it does and starts it again over the same root folder.
    pub async fn restart(mut self, binary: &Path) -> Result<Self, ServerError> {
        self.end();
        self.start_again(binary).await
    }

    /// Stops the server as a service manager does and starts it again over the same root folder.
    ///
    /// # Errors
    /// It does not end, or does not start again.
    pub async fn restart_in_order(mut self, binary: &Path) -> Result<Self, ServerError> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)
            .map_err(|error| ServerError::Usage(error.into()))?;
        let begin = Instant::now();
        while self.process.try_wait().map_err(ServerError::Usage)?.is_none() {
            if begin.elapsed() > PATIENCE {
                return Err(ServerError::Endless { log: self.log() });
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        self.start_again(binary).await
    }

    async fn start_again(mut self, binary: &Path) -> Result<Self, ServerError> {
        let root = std::mem::replace(&mut self.root, tempfile::tempdir().map_err(ServerError::Place)?);
        Self::start_over(binary, root).await
    }

    async fn answers(&self) -> bool {
        match Connection::open(self.endpoint()).await {
            Ok(mut connection) => connection.get("/health").await.is_ok_and(|status| status == 200),
            Err(_) => false,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is reached.
    pub fn endpoint(&self) -> Endpoint {
        let plain = Endpoint::from(self.address);
        match &self.tls {
            Some(config) => plain.with_tls(Arc::clone(config)),
            None => plain,
        }
    }

    pub fn database(&self) -> PathBuf {
        self.root.path().join("database.db")
    }

    /// Puts a file under its root folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn place_file(&self, path: &str, text: &str) -> Result<(), ServerError> {
        let path = self.root.path().join(path);
        path.parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(path, text))
            .map_err(ServerError::Place)
    }

    /// Bytes of its log.
    ///
    /// # Errors
    /// If there is none.
    pub fn log_bytes(&self) -> Result<u64, ServerError> {
        std::fs::metadata(self.root.path().join("Logs/Server/engine.log"))
            .map(|log| log.len())
            .map_err(ServerError::Usage)
    }

    /// Bytes of its database's journal, in megabytes of a million bytes.
    pub fn journal_megabytes(&self) -> f64 {
        let length =
            std::fs::metadata(self.root.path().join("database.db-wal")).map_or(0, |journal| journal.len());
        #[allow(clippy::cast_precision_loss, reason = "bytes of a file")]
        let length = length as f64;
        length / 1e6
    }

    /// How many files and connections it has open.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn open_files(&self) -> Result<usize, ServerError> {
        usage::open_files(self.process.id())
    }

    /// Resident memory, in megabytes of a million bytes.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn resident_megabytes(&self) -> Result<f64, ServerError> {
        usage::resident_megabytes(self.process.id())
    }

    /// The most that was resident since [`ServerProcess::forget_peak`].
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn peak_megabytes(&self) -> Result<f64, ServerError> {
        usage::peak_megabytes(self.process.id())
    }

    /// Begins to note the peak anew.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn forget_peak(&self) -> Result<(), ServerError> {
        usage::forget_peak(self.process.id())
    }

    /// Processor time that the server has used so far.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn processor_time(&self) -> Result<Duration, ServerError> {
        usage::processor_time(self.process.id())
    }

    fn log(&self) -> String {
        let path = self.root.path().join("Logs/Server/engine.log");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    fn end(&mut self) {
        // A server that has gone already is stopped too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end();
    }
}
