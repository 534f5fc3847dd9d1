//! A server that is started for each scenario, over a root and at a port of its own, and stopped by its process id.
//!
//! Long because starting, watching and stopping a process are one thing.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{process::Child, time::timeout};

use super::{
    Beginning, Capabilities, Target, TargetError,
    endpoint::{Endpoint, Url},
    http_client::{Outgoing, send},
    operator::Operator,
    root::{Root, Template},
    tls::Verification,
};
use crate::{
    scenario::{clock::real_time, model::Scenario},
    transcript::{Keys, Left, USUAL_SECRET},
};

/// Between two looks at a server that starts.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// How often another port is tried where somebody else took the free one.
const TRIES: usize = 3;
/// So much of what the process said last is repeated where it does not start.
const LAST_WORDS: u64 = 600;
/// Where its output goes, beside the root.
const OUTPUT: &str = "output.log";

/// A server as `parity.toml` describes it. Texts may hold `{root}`, `{web}`, `{port}` and `{github}`.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its whole environment, but for what a scenario sets.
    pub environment: BTreeMap<String, String>,
    /// Where it works.
    pub directory: PathBuf,
    /// The path that is asked for until it is answered.
    pub ready_path: String,
    /// How long the start may take.
    pub ready_within: Duration,
    /// The signal that stops it.
    pub stop_signal: Signal,
    /// How long it may take to stop.
    pub stop_within: Duration,
    /// The database's place under the root.
    pub database: String,
    /// The variable with the secret that it signs cookies with.
    pub secret: Option<String>,
    /// The only port that it can listen at.
    pub port: Option<u16>,
    /// What the root begins as.
    pub template: Option<Template>,
    /// Where the web client lies under the root.
    pub web: String,
    /// How its certificate is verified, where it speaks TLS.
    pub tls: Option<Verification>,
    /// Who logs in there.
    pub operator: Operator,
    /// How long it may take to answer.
    pub patience: Duration,
    /// Whether roots stay.
    pub keep: bool,
}

impl ProcessSettings {
    /// What it can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let mut texts = self.environment.values().chain(&self.command);
        Capabilities {
            clock: false,
            database: true,
            files: true,
            restart: true,
            upstream: texts.any(|text| text.contains("{github}")),
            fresh: true,
        }
    }
}

/// A running server process.
#[derive(Debug)]
pub struct Process {
    settings: ProcessSettings,
    root: Root,
    /// What stands for the placeholders, less the port.
    places: Vec<(&'static str, String)>,
    /// What the scenario sets.
    scenario: BTreeMap<String, String>,
    running: Option<Running>,
    endpoint: Option<Endpoint>,
    port: u16,
}

/// The process; what is left of its group dies with the value.
#[derive(Debug)]
struct Running {
    child: Child,
    id: Pid,
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended already is what is wanted.
        let _ = kill_process_group(self.id, Signal::KILL);
    }
}

impl Process {
    /// Prepares the root, starts the server and waits until it answers.
    ///
    /// # Errors
    /// If the root cannot be prepared, or the server does not come up.
    pub async fn start(settings: &ProcessSettings, beginning: Beginning<'_>) -> Result<Self, TargetError> {
        let template = settings.template.as_ref();
        let root = Root::prepare(beginning, &settings.web, template, real_time(), settings.keep)?;
        let web = root.path().join(&settings.web);
        let places = vec![
            ("{root}", root.path().display().to_string()),
            ("{web}", web.display().to_string()),
            ("{github}", beginning.github.to_owned()),
        ];
        let mut process = Self {
            settings: settings.clone(),
            scenario: variables(beginning.scenario, root.path()),
            root,
            places,
            running: None,
            endpoint: None,
            port: 0,
        };
        let result = process.launch().await;
        if result.is_err() && settings.keep {
            process.root.keep();
        }
        result.map(|()| process)
    }

    async fn launch(&mut self) -> Result<(), TargetError> {
        let mut tries = if self.settings.port.is_some() { 1 } else { TRIES };
        loop {
            tries -= 1;
            self.port = self.free_port()?;
            match self.launch_at(self.port).await {
                Err(Fault::Ended(_)) if tries > 0 && !is_free(self.port) => {}
                Err(fault) => return Err(TargetError::Start(fault.to_string())),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn free_port(&self) -> Result<u16, TargetError> {
        if let Some(port) = self.settings.port {
            return if is_free(port) {
                Ok(port)
            } else {
                let reason = format!("something listens at its port {port} already: stop that first");
                Err(TargetError::Start(reason))
            };
        }
        if self.port != 0 && is_free(self.port) {
            return Ok(self.port);
        }
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
            .map_err(|error| TargetError::Start(format!("there is no free port: {error}")))
    }

    async fn launch_at(&mut self, port: u16) -> Result<(), Fault> {
        let mut running = self.spawn(port)?;
        let deadline = real_time() + self.settings.ready_within;
        let mut last;
        loop {
            if let Ok(Some(status)) = running.child.try_wait() {
                return Err(Fault::Ended(self.said(&ended(status))));
            }
            match self.ask(port).await {
                Ok(endpoint) => {
                    self.endpoint = Some(endpoint);
                    self.running = Some(running);
                    return Ok(());
                }
                Err(reason) => last = reason,
            }
            if real_time() > deadline {
                let within = self.settings.ready_within.as_secs();
                let path = &self.settings.ready_path;
                let reason = format!("{path} was not answered with success within {within} seconds ({last})");
                return Err(Fault::Silent(self.said(&reason)));
            }
            pause().await;
        }
    }

    fn filled(&self, text: &str, port: u16) -> String {
        let port = ("{port}", port.to_string());
        let places = self.places.iter().chain(std::iter::once(&port));
        places.fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn environment(&self, port: u16) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = self
            .settings
            .environment
            .iter()
            .map(|(name, value)| (name.clone(), self.filled(value, port)))
            .collect();
        all.extend(self.scenario.clone());
        all
    }

    fn spawn(&self, port: u16) -> Result<Running, Fault> {
        let words: Vec<String> = self
            .settings
            .command
            .iter()
            .map(|word| self.filled(word, port))
            .collect();
        let Some((program, arguments)) = words.split_first() else {
            return Err(Fault::Spawn("its command is empty".to_owned()));
        };
        let wrong = |error: std::io::Error| Fault::Spawn(format!("{program} cannot be started: {error}"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.root.beside().join(OUTPUT))
            .map_err(wrong)?;
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment(port))
            .current_dir(self.filled(&self.settings.directory.display().to_string(), port))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(wrong)?)
            .stderr(output)
            // Whoever interrupts parity does not stop it in the middle of a step, and what it starts is found again.
            .process_group(0);
        let child = tokio::process::Command::from(command).spawn().map_err(wrong)?;
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let id = id.ok_or_else(|| Fault::Spawn(format!("{program} ended at once")))?;
        Ok(Running { child, id })
    }

    /// Its endpoint, once it answers.
    async fn ask(&self, port: u16) -> Result<Endpoint, String> {
        let (scheme, host) = match self.settings.tls {
            Some(_) => ("https", "localhost"),
            None => ("http", "127.0.0.1"),
        };
        let url = Url::read(&format!("{scheme}://{host}:{port}")).map_err(|error| error.to_string())?;
        let tls = match &self.settings.tls {
            Some(verification) => {
                let filled = verification.with_path(|path| self.filled(path, port).into());
                Some(filled.config().map_err(|error| error.to_string())?)
            }
            None => None,
        };
        let endpoint = url.endpoint(tls, self.settings.patience);
        let look = Outgoing {
            method: "GET".to_owned(),
            path: self.settings.ready_path.clone(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let answer = send(&endpoint, &look).await.map_err(|error| error.to_string())?;
        if (200..400).contains(&answer.line.status) {
            Ok(endpoint)
        } else {
            Err(format!("the last answer was {}", answer.line.status))
        }
    }

    /// A reason, with what the process said last.
    fn said(&self, reason: &str) -> String {
        let last = last_words(&self.root.beside().join(OUTPUT)).unwrap_or_default();
        if last.is_empty() {
            format!("{reason}; it said nothing")
        } else {
            format!("{reason}; it said last: {last}")
        }
    }

    async fn halt(&mut self) {
        self.endpoint = None;
        let Some(mut running) = self.running.take() else {
            return;
        };
        if let Ok(None) = running.child.try_wait() {
            let _ = kill_process(running.id, self.settings.stop_signal);
            if timeout(self.settings.stop_within, running.child.wait())
                .await
                .is_err()
            {
                let _ = kill_process(running.id, Signal::KILL);
                let _ = running.child.wait().await;
            }
        }
    }

    fn database_path(&self) -> PathBuf {
        self.root.path().join(&self.settings.database)
    }
}

/// Why a process is not up.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Spawn(String),
    #[error("{0}")]
    Ended(String),
    #[error("{0}")]
    Silent(String),
}

fn ended(status: ExitStatus) -> String {
    format!("it ended before it answered ({status})")
}

/// What a scenario sets.
fn variables(scenario: &Scenario, root: &Path) -> BTreeMap<String, String> {
    let root = root.display().to_string();
    let own = scenario.env.iter();
    own.map(|(name, value)| (name.clone(), value.replace("${root}", &root)))
        .collect()
}

/// Whether nobody on this machine listens at a port.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a process of its own has no clock but the machine's"
)]
async fn pause() {
    tokio::time::sleep(BETWEEN_LOOKS).await;
}

/// The end of a file, in one line.
fn last_words(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
    let mut bytes = Vec::new();
    file.take(LAST_WORDS).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    Ok(lines.join(" | "))
}

#[async_trait]
impl Target for Process {
    fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    fn capabilities(&self) -> Capabilities {
        self.settings.capabilities()
    }

    async fn at(&self, _time: Timestamp) {}

    fn process_id(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| running.child.id())
    }

    fn database(&self) -> Option<PathBuf> {
        Some(self.database_path())
    }

    fn root(&self) -> Option<PathBuf> {
        Some(self.root.path().to_owned())
    }

    async fn left(&self) -> Result<Option<Left>, TargetError> {
        self.root.left(&self.database_path()).await.map(Some)
    }

    fn add_keys(&self, keys: &mut Keys) {
        if let Some(name) = &self.settings.secret {
            let value = self.environment(self.port).remove(name);
            keys.cookie_secret = Some(value.unwrap_or_else(|| USUAL_SECRET.to_owned()));
        }
        self.root.add_keys(keys);
    }

    fn place_file(&self, path: &str, bytes: &[u8], time: Timestamp) -> Result<(), TargetError> {
        self.root.place_file(path, bytes, time)
    }

    async fn restart(&mut self) -> Result<(), TargetError> {
        self.halt().await;
        self.launch().await
    }

    async fn stop(&mut self) -> Option<PathBuf> {
        self.halt().await;
        self.settings.keep.then(|| self.root.keep())
    }
}

#[cfg(test)]
mod tests;
