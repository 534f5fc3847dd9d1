//! The two sides of a run: a recording, or a target that is started or reached for each scenario.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Beginning, Capabilities, Target, TargetError, embedded,
    embedded::Embedded,
    operator::Operator,
    process::{Process, ProcessSettings},
    tls::Verification,
    url::{self, UrlSettings},
};
use crate::normalize::sha256_hex;

/// What a revision begins with that cannot be told; that of sources outside a checkout does too.
pub const REVISION_UNKNOWN: &str = "revision unknown";

/// One side of a run.
#[derive(Clone, Debug)]
pub enum Side {
    /// What stands in the snapshots.
    Recorded,
    /// A server.
    Live(Arc<Spec>),
}

/// What kind of server it is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The engine in this process.
    Embedded,
    /// A server that runs already.
    Url(Box<UrlSettings>),
    /// A server that is started for each scenario.
    Process(Box<ProcessSettings>),
}

/// A server as it is chosen.
#[derive(Debug)]
pub struct Spec {
    /// As people call it.
    pub name: String,
    kind: Kind,
    /// Of a server that can only be asked by one scenario at a time.
    turn: Option<Arc<Semaphore>>,
}

impl Spec {
    /// A server of some kind, under the name by which it was chosen.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        let alone = match &kind {
            Kind::Embedded => false,
            Kind::Url(_) => true,
            Kind::Process(process) => process.port.is_some(),
        };
        Self {
            name: name.into(),
            kind,
            turn: alone.then(|| Arc::new(Semaphore::new(1))),
        }
    }

    /// The engine in this process.
    #[must_use]
    pub fn embedded() -> Self {
        Self::new("embedded", Kind::Embedded)
    }

    /// Whether it is the engine in this process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self.kind, Kind::Embedded)
    }

    /// The only port that it can listen at, where it is so.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.kind {
            Kind::Process(process) => process.port,
            Kind::Embedded | Kind::Url(_) => None,
        }
    }

    /// What it can do.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        match &self.kind {
            Kind::Embedded => embedded::CAPABILITIES,
            Kind::Url(_) => url::CAPABILITIES,
            Kind::Process(process) => process.capabilities(),
        }
    }

    /// Who logs in there.
    #[must_use]
    pub fn operator(&self) -> Operator {
        match &self.kind {
            Kind::Embedded => Operator::default(),
            Kind::Url(url) => url.operator.clone(),
            Kind::Process(process) => process.operator.clone(),
        }
    }

    /// What every report has to say loudly, if anything.
    #[must_use]
    pub fn warning(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Embedded => None,
            Kind::Url(url) => url.verification.warning().filter(|_| url.url.is_tls),
            Kind::Process(process) => process.tls.as_ref().and_then(Verification::warning),
        }
    }

    /// What it is, for reports.
    #[must_use]
    pub fn about(&self) -> String {
        let about = match &self.kind {
            Kind::Embedded => format!("borealis-engine {}, in this process", env!("CARGO_PKG_VERSION")),
            Kind::Url(url) if url.text == self.name => url.text.clone(),
            Kind::Url(url) => format!("{}, {}", self.name, url.text),
            Kind::Process(process) => {
                let program = process.command.first().map_or("", String::as_str);
                let program = program.rsplit('/').next().unwrap_or(program);
                format!("{}, a process of its own for each scenario: {program}", self.name)
            }
        };
        match self.warning() {
            Some(warning) => format!("{about} ({warning})"),
            None => about,
        }
    }

    /// What was built there, as far as that can be told: the revision of the sources, or the digest of the program.
    #[must_use]
    pub fn revision(&self) -> String {
        match &self.kind {
            Kind::Embedded => env!("BOREALIS_REVISION").to_owned(),
            Kind::Url(_) => format!("{REVISION_UNKNOWN}, because a server at a URL does not tell it"),
            Kind::Process(process) => {
                let program = process.command.first().filter(|program| !program.contains('{'));
                match program.and_then(|program| std::fs::read(program).ok()) {
                    Some(bytes) => format!("program of SHA-256 {}", sha256_hex(&bytes)),
                    None => format!("{REVISION_UNKNOWN}, because its program cannot be read beforehand"),
                }
            }
        }
    }

    /// Waits until a scenario may use it.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(self.turn.as_ref()?).acquire_owned().await.ok()
    }

    /// Whether it is there at all, as far as that can be known before a scenario runs.
    ///
    /// # Errors
    /// That it is not, and why.
    pub async fn look(&self) -> Result<(), TargetError> {
        match &self.kind {
            Kind::Url(url) => url.reach().await.map(drop),
            Kind::Embedded | Kind::Process(_) => Ok(()),
        }
    }

    /// Starts it, or reaches it.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(&self, beginning: Beginning<'_>) -> Result<Box<dyn Target>, TargetError> {
        Ok(match &self.kind {
            Kind::Embedded => Box::new(Embedded::start(beginning).await?),
            Kind::Url(url) => Box::new(url.reach().await?),
            Kind::Process(process) => Box::new(Process::start(process, beginning).await?),
        })
    }
}
