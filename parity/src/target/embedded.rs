//! The engine inside this process, over a fresh root folder, with a clock that the scenario sets.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use borealis_engine::{
    Engine, RunningEngine, Settings,
    integrations::{clock::ManualClock, random::SeededRandom},
};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use jiff::Timestamp;
use rustix::fs::{StatVfs, StatVfsMountFlags};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{database, files};
use crate::{
    scenario::model::{FileSource, Policy, Scenario},
    transcript::{Body, Keys, Left, USUAL_SECRET},
};

/// The page of the web client that the recordings were made with.
const INDEX: &str = "<!doctype html><title>Borealis</title><div id=\"root\"></div>\n";
/// How long work that has come due may take, in real time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where it lies under the root.
const WEB: &str = "Data/web-interface/build";
/// The file of the key that signs access tokens.
const TOKEN_KEY: &str = "borealis-jwt-ed25519.key";
/// The file of the key that seals stored secrets.
const SEALING_KEY: &str = "server_secret.key";
/// How long the path of the root folder is, as in the recordings: where a server names its folder, answers are as long
/// as theirs.
const ROOT_LENGTH: usize = 53;
/// The root's name in the folder that is removed with it.
const ROOT: &str = "root";
/// What that folder's name begins with.
const PREFIX: &str = "parity-";
/// So many letters of its name keep several runs apart.
const FEWEST_RANDOM: usize = 8;
/// Where Linux keeps files in memory. A server waits for the disk some twenty times a scenario, for the sake of a root that
/// lasts as long as the scenario.
const MEMORY: &str = "/dev/shm";
/// So many bytes must be free there; containers often have less. A scenario's root needs a few millions.
const FREE_MEMORY: u64 = 256 << 20;
/// Where temporary files lie if nothing else is said, and if the folder that is said has too long a path.
const USUAL_FOLDER: &str = "/tmp";
/// Its only script.
const SCRIPT: &str = "console.log(\"borealis\");\n";

/// Why the engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which one, under the root.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A path that leads out of the root.
    #[error("{0} is no path under the root")]
    Outside(String),
    /// The database.
    #[error("the database cannot be read: {0}")]
    Database(String),
    /// The scenario's environment.
    #[error("settings: {0}")]
    Settings(String),
    /// The engine says why.
    #[error("the engine does not start: {0}")]
    Start(String),
}

/// A running engine and what it runs over.
#[derive(Debug)]
pub struct Embedded {
    folder: TempDir,
    variables: BTreeMap<String, String>,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    engine: Option<RunningEngine>,
}

impl Embedded {
    /// Prepares the root and starts the engine, which finds GitHub at the URL `github`.
    ///
    /// # Errors
    /// If the root cannot be prepared or the engine does not start.
    pub async fn start(
        scenario: &Scenario,
        files: &[(String, Vec<u8>)],
        github: &str,
    ) -> Result<Self, TargetError> {
        let parent = if in_memory_fits() {
            PathBuf::from(MEMORY)
        } else {
            std::env::temp_dir()
        };
        let folder = temporary_folder(&parent)?;
        let origin = Timestamp::from_microsecond(scenario.started_at_us).unwrap_or_default();
        let digest = Sha256::digest(&scenario.name);
        let seed = digest
            .iter()
            .take(8)
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let mut target = Self {
            variables: BTreeMap::new(),
            folder,
            clock: Arc::new(ManualClock::new(origin)),
            random: Arc::new(SeededRandom::new(seed)),
            engine: None,
        };
        let web = target.root().join(WEB);
        target.variables = variables(scenario, &target.root(), &web, github);
        write(&target.root(), ".", None, origin)?;
        write(&web, "index.html", Some(INDEX.as_bytes()), origin)?;
        write(&web, "assets/app.js", Some(SCRIPT.as_bytes()), origin)?;
        for (path, bytes) in files {
            target.write_file(path, bytes, origin)?;
        }
        for (path, source) in &scenario.files {
            place(&target.root(), path, source)?;
        }
        target.launch().await?;
        Ok(target)
    }

    async fn launch(&mut self) -> Result<(), TargetError> {
        let settings = Settings::from_map(&self.variables, &self.root())
            .map_err(|error| TargetError::Settings(error.to_string()))?;
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).map_err(|error| TargetError::Start(error.to_string()))?;
        let engine = Engine::start(settings, self.clock.clone(), self.random.clone(), listener)
            .await
            .map_err(|error| TargetError::Start(error.to_string()))?;
        self.engine = Some(engine);
        Ok(())
    }

    /// Stops the engine and starts it again over the same root.
    ///
    /// # Errors
    /// If it does not start again.
    pub async fn restart(&mut self) -> Result<(), TargetError> {
        self.halt().await;
        self.launch().await
    }

    async fn halt(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
    }

    /// Stops the engine and removes the root.
    pub async fn stop(mut self) {
        self.halt().await;
    }

    /// Where it listens, while it runs.
    pub fn address(&self) -> Option<SocketAddr> {
        self.engine.as_ref().map(RunningEngine::address)
    }

    /// The root folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join(ROOT)
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.variables
            .get("BOREALIS_DATABASE_PATH")
            .map_or_else(|| self.root().join("database.db"), PathBuf::from)
    }

    /// Every table and every file under the root as they are now.
    ///
    /// # Errors
    /// If the database or a file cannot be read.
    pub async fn left(&self) -> Result<Left, TargetError> {
        let database = self.database();
        let unreadable = |source: sqlx::Error| TargetError::Database(source.to_string());
        let tables = database::tables(&database).await.map_err(unreadable)?;
        let mut files = files::under(&self.root(), &database)
            .map_err(|(path, source)| TargetError::File { path, source })?;
        for (name, file) in &mut files {
            // Its bytes follow the version of SQLite, what stands in it does not.
            if file.is_database {
                let tables = database::tables(&self.root().join(name))
                    .await
                    .map_err(unreadable)?;
                file.content = Some(Body::Json(json!(tables)));
            }
        }
        Ok(Left { tables, files })
    }

    /// Adds the keys that lie under the root now to those that are known. One that cannot be read is none: whoever signs
    /// with it shows that.
    pub fn add_keys(&self, keys: &mut Keys) {
        for path in files::all(&self.root()).unwrap_or_default() {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if ![TOKEN_KEY, SEALING_KEY].contains(&name) {
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            if name == SEALING_KEY {
                add(&mut keys.own_sealing_keys, text);
            } else if let Ok(key) = SigningKey::from_pkcs8_pem(&text) {
                add(&mut keys.token_keys, key.verifying_key());
            }
        }
    }

    /// Moves the clock, and waits until the work that has come due is done.
    pub async fn set_time(&self, time: Timestamp) {
        let moved = async {
            self.clock.advance(time).await;
            self.clock.rest().await;
        };
        if tokio::time::timeout(PATIENCE, moved).await.is_err() {
            self.clock.set(time);
            // What is compared next shows what is missing.
            // Where nobody reads it there is nobody to tell.
            let _ = writeln!(
                std::io::stderr(),
                "parity: work that came due was not done within {} seconds",
                PATIENCE.as_secs()
            );
        }
    }

    /// Writes a file under the root, stamped with `time`.
    ///
    /// # Errors
    /// If the path leads out of the root or cannot be written.
    pub fn write_file(&self, path: &str, bytes: &[u8], time: Timestamp) -> Result<(), TargetError> {
        let inside = Path::new(path)
            .components()
            .all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside || path.is_empty() {
            return Err(TargetError::Outside(path.to_owned()));
        }
        write(&self.root(), path, Some(bytes), time)
    }
}

/// Whether roots may lie in memory: nobody says that temporary files belong elsewhere, and there is room for files that may
/// be programs.
fn in_memory_fits() -> bool {
    let room = |state: StatVfs| {
        let programs = !state.f_flag.contains(StatVfsMountFlags::NOEXEC);
        programs && state.f_bavail.saturating_mul(state.f_frsize) >= FREE_MEMORY
    };
    std::env::temp_dir() == Path::new(USUAL_FOLDER) && rustix::fs::statvfs(MEMORY).is_ok_and(room)
}

/// A fresh folder in `parent`, named so that the root in it has a path of its length.
fn temporary_folder(parent: &Path) -> Result<TempDir, TargetError> {
    let length = |parent: &Path| parent.join(PREFIX).join(ROOT).as_os_str().len();
    let parents = [parent, Path::new(USUAL_FOLDER)];
    let fits = |parent: &&&Path| length(parent) + FEWEST_RANDOM <= ROOT_LENGTH;
    let parent = parents.iter().find(fits).unwrap_or(&parent);
    tempfile::Builder::new()
        .prefix(PREFIX)
        .rand_bytes(ROOT_LENGTH.saturating_sub(length(parent)).max(FEWEST_RANDOM))
        .tempdir_in(parent)
        .map_err(|source| TargetError::File {
            path: format!("a temporary folder in {}", parent.display()),
            source,
        })
}

/// Adds what is not there yet.
fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

fn variables(scenario: &Scenario, root: &Path, web: &Path, github: &str) -> BTreeMap<String, String> {
    let policy = match scenario.policy {
        Policy::Legacy => "legacy",
        Policy::Strict => "strict",
    };
    let usual = [
        ("BOREALIS_ROOT", root.display().to_string()),
        ("BOREALIS_STATIC_ROOT", web.display().to_string()),
        ("BOREALIS_SECRET", USUAL_SECRET.to_owned()),
        ("BOREALIS_ACCESS_POLICY", policy.to_owned()),
        ("BOREALIS_HOST", "127.0.0.1".to_owned()),
        ("BOREALIS_TLS", "off".to_owned()),
        ("BOREALIS_GITHUB_API_URL", github.to_owned()),
        ("TZ", "UTC".to_owned()),
    ];
    let mut variables: BTreeMap<String, String> = usual
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let root = root.display().to_string();
    for (name, value) in &scenario.env {
        variables.insert(name.clone(), value.replace("${root}", &root));
    }
    variables
}

/// Makes a link, or gives a file that was written its mode.
fn place(root: &Path, path: &str, source: &FileSource) -> Result<(), TargetError> {
    let target = root.join(path);
    let placed = match source {
        FileSource::Link(to) => target
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::os::unix::fs::symlink(to, &target)),
        FileSource::Mode(_, mode) => {
            std::fs::set_permissions(&target, std::fs::Permissions::from_mode(*mode))
        }
        _ => Ok(()),
    };
    placed.map_err(|source| TargetError::File {
        path: path.to_owned(),
        source,
    })
}

fn write(folder: &Path, path: &str, bytes: Option<&[u8]>, time: Timestamp) -> Result<(), TargetError> {
    let target = folder.join(path);
    let wrong = |source| TargetError::File {
        path: path.to_owned(),
        source,
    };
    let Some(bytes) = bytes else {
        return std::fs::create_dir_all(folder).map_err(wrong);
    };
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent).map_err(wrong)?;
    }
    std::fs::write(&target, bytes).map_err(wrong)?;
    let since_epoch = Duration::from_micros(u64::try_from(time.as_microsecond()).unwrap_or(0));
    let file = std::fs::File::options()
        .write(true)
        .open(&target)
        .map_err(wrong)?;
    file.set_modified(SystemTime::UNIX_EPOCH + since_epoch)
        .map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roots_path_is_of_one_length_wherever_temporary_files_lie() {
        let parent = tempfile::tempdir_in("/tmp").unwrap();
        let long = parent.path().join("a".repeat(ROOT_LENGTH));
        std::fs::create_dir(&long).unwrap();
        for parent in [Path::new("/tmp"), Path::new("/tmp/"), parent.path(), &long] {
            let folder = temporary_folder(parent).unwrap();
            let root = folder.path().join(ROOT);
            assert_eq!(root.as_os_str().len(), ROOT_LENGTH, "{}", root.display());
        }
    }
}
