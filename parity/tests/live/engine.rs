//! The engine with the machine's own clock, in a thread of the test, and as a process.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use borealis_engine::{
    Engine, Settings,
    integrations::{clock::SystemClock, random::OsRandom},
};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A running engine over a root of its own.
pub(crate) struct Serving {
    root: TempDir,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Starts one with an access policy.
    pub(crate) fn start(policy: &str) -> Self {
        Self::over(policy, "off", tempfile::tempdir().unwrap())
    }

    /// Starts one that speaks TLS, with a certificate that it makes.
    pub(crate) fn start_over_tls() -> Self {
        Self::over("legacy", "on", tempfile::tempdir().unwrap())
    }

    /// Starts one over a root with a web client in it.
    pub(crate) fn start_with_web_client(policy: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let web = root.path().join("Data/Server/web-interface/build");
        std::fs::create_dir_all(&web).unwrap();
        std::fs::write(web.join("index.html"), "<!doctype html><title>Borealis</title>").unwrap();
        Self::over(policy, "off", root)
    }

    fn over(policy: &str, tls: &str, root: TempDir) -> Self {
        let variables: BTreeMap<String, String> = [
            ("BOREALIS_ROOT", root.path().display().to_string()),
            ("BOREALIS_SECRET", "the secret of the tests".to_owned()),
            ("BOREALIS_ACCESS_POLICY", policy.to_owned()),
            ("BOREALIS_HOST", "127.0.0.1".to_owned()),
            ("BOREALIS_TLS", tls.to_owned()),
            ("BOREALIS_GITHUB_API_URL", "http://127.0.0.1:9".to_owned()),
            ("TZ", "UTC".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let settings = Settings::from_map(&variables, root.path()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (up, is_up) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let clock = Arc::new(SystemClock::new());
                let engine = Engine::start(settings, clock, Arc::new(OsRandom), listener)
                    .await
                    .unwrap();
                up.send(()).unwrap();
                let _ = stopped.await;
                engine.stop().await;
            });
        });
        is_up.recv().unwrap();
        Self {
            root,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Stops it, and keeps its root.
    pub(crate) fn stop(mut self) -> TempDir {
        let root = std::mem::replace(&mut self.root, tempfile::tempdir().unwrap());
        drop(self);
        root
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where clients find it over TLS.
    pub(crate) fn tls_url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    /// What agents are given to verify it with.
    pub(crate) fn bundle(&self) -> String {
        let bundle = self
            .root
            .path()
            .join("Certificates/Server/borealis-server-bundle.pem");
        bundle.display().to_string()
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// How many rows a table has.
    pub(crate) fn rows(&self, table: &str) -> i64 {
        let options = SqliteConnectOptions::new().filename(self.root.path().join("database.db"));
        let query = format!("SELECT COUNT(*) FROM {table}");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query_scalar(AssertSqlSafe(query))
                .fetch_one(&mut connection)
                .await
                .unwrap()
        })
    }

    /// The scripts under its root.
    pub(crate) fn scripts(&self) -> usize {
        let folder = self.root.path().join("Assemblies/Scripts");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The engine's program of the same build: `cargo test --workspace` makes it.
pub(crate) fn program() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_parity")).with_file_name("borealis-engine");
    assert!(
        program.is_file(),
        "{} is not there: `cargo build --workspace` makes it",
        program.display()
    );
    program
}

/// A `parity.toml` with the engine's program as the target `engine`, and more.
pub(crate) fn parity_toml(folder: &TempDir, more: &str) -> String {
    let program = program();
    let text = format!(
        "format = 1\n[targets.engine]\ncommand = [\"{}\"]\nsecret = \"BOREALIS_SECRET\"\n{more}\n\
         [targets.engine.environment]\nBOREALIS_ROOT = \"{{root}}\"\nBOREALIS_STATIC_ROOT = \"{{web}}\"\n\
         BOREALIS_PORT = \"{{port}}\"\nBOREALIS_ACCESS_POLICY = \"legacy\"\nBOREALIS_SECRET = \"borealis-dev-secret\"\n\
         BOREALIS_GITHUB_API_URL = \"{{github}}\"\nTZ = \"UTC\"\n",
        program.display()
    );
    let path = folder.path().join("parity.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
