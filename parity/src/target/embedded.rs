//! The engine inside this process, over a fresh root folder, with a clock that the scenario sets.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use borealis_engine::{
    Engine, RunningEngine, Settings,
    integrations::{clock::ManualClock, random::SeededRandom},
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    Beginning, Capabilities, Target, TargetError,
    endpoint::Endpoint,
    root::{Root, WEB},
};
use crate::{
    scenario::model::{Policy, Scenario},
    transcript::{Keys, Left, USUAL_SECRET},
};

/// How long work that has come due may take, in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it can do: everything.
pub const CAPABILITIES: Capabilities = Capabilities {
    clock: true,
    database: true,
    files: true,
    restart: true,
    upstream: true,
    fresh: true,
};

/// A running engine and what it runs over.
#[derive(Debug)]
pub struct Embedded {
    root: Root,
    variables: BTreeMap<String, String>,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    engine: Option<RunningEngine>,
    endpoint: Option<Endpoint>,
}

impl Embedded {
    /// Prepares the root and starts the engine.
    ///
    /// # Errors
    /// If the root cannot be prepared or the engine does not start.
    pub async fn start(beginning: Beginning<'_>) -> Result<Self, TargetError> {
        let scenario = beginning.scenario;
        let origin = Timestamp::from_microsecond(scenario.started_at_us).unwrap_or_default();
        let digest = Sha256::digest(&scenario.name);
        let seed = digest
            .iter()
            .take(8)
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let root = Root::prepare(beginning, WEB, None, origin, false)?;
        let web = root.path().join(WEB);
        let mut target = Self {
            variables: variables(scenario, root.path(), &web, beginning.github),
            root,
            clock: Arc::new(ManualClock::new(origin)),
            random: Arc::new(SeededRandom::new(seed)),
            engine: None,
            endpoint: None,
        };
        target.launch().await?;
        Ok(target)
    }

    async fn launch(&mut self) -> Result<(), TargetError> {
        let settings = Settings::from_map(&self.variables, self.root.path())
            .map_err(|error| TargetError::Settings(error.to_string()))?;
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).map_err(|error| TargetError::Start(error.to_string()))?;
        let engine = Engine::start(settings, self.clock.clone(), self.random.clone(), listener)
            .await
            .map_err(|error| TargetError::Start(error.to_string()))?;
        self.endpoint = Some(engine.address().into());
        self.engine = Some(engine);
        Ok(())
    }

    async fn halt(&mut self) {
        self.endpoint = None;
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
    }

    fn database_path(&self) -> PathBuf {
        self.variables
            .get("BOREALIS_DATABASE_PATH")
            .map_or_else(|| self.root.path().join("database.db"), PathBuf::from)
    }
}

#[async_trait]
impl Target for Embedded {
    fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn at(&self, time: Timestamp) {
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

    async fn rests(&self) -> bool {
        // What the clock has woken may begin what takes its own time.
        let rested = tokio::time::timeout(PATIENCE, self.clock.rest()).await.is_ok();
        rested && !self.engine.as_ref().is_some_and(RunningEngine::works_by_itself)
    }

    fn process_id(&self) -> Option<u32> {
        Some(std::process::id())
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
        None
    }
}

fn variables(scenario: &Scenario, root: &Path, web: &Path, github: &str) -> BTreeMap<String, String> {
    let policy = match scenario.policy {
        Policy::Legacy => "legacy",
        Policy::Strict => "strict",
    };
    // Whatever this machine has in its PATH, there is no `ansible-playbook` but where the scenario puts one.
    let programs = root.join("bin");
    let usual = [
        ("PATH", programs.display().to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_those_that_the_scenario_puts_under_the_root() {
        let head = "format: 2\ntitle: T\narea: A\nstarted_at: 1\n";
        let path = |env: &str| {
            let text = format!("{head}{env}steps:\n  - get: /\n");
            let scenario = Scenario::read("a/b", &text).unwrap();
            let all = variables(&scenario, Path::new("/r"), Path::new("/r/web"), "http://g");
            all.get("PATH").cloned()
        };
        assert_eq!(path("").as_deref(), Some("/r/bin"));
        assert_eq!(
            path("env: {PATH: \"${root}/x:/bin\"}\n").as_deref(),
            Some("/r/x:/bin")
        );
    }
}
