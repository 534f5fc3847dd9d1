//! The main job: runs scenarios side by side, compares each with its snapshot and judges the differences.

use std::{path::PathBuf, sync::Arc};

use jiff::civil::Date;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    diff::Spans,
    normalize::normalize,
    register::{self, Ran, Register, RegisterError, judge},
    report::{OwnScenario, Provenance, RunReport},
    runner::{RunEvents, run_embedded},
    scenario::{
        library::{self, Entry},
        model::Scenario,
    },
    snapshot::{self, Snapshot, SnapshotError},
};

/// Where everything lies.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folder of the scenarios, with `divergences.toml` in it.
    pub scenarios: PathBuf,
    /// Folder of the snapshots.
    pub snapshots: PathBuf,
}

/// Why nothing could be run.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// The folder of scenarios.
    #[error("{}: {source}", path.display())]
    Scenarios {
        /// The folder.
        path: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// A scenario cannot be read.
    #[error("{}: {reason}", path.display())]
    Scenario {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The register.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The snapshots.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A name that fits no scenario.
    #[error("no scenario or area is called {0}; `parity list` shows them")]
    Unknown(String),
}

/// What is going to be run.
#[derive(Debug)]
pub struct Campaign {
    places: Places,
    register: Register,
    known: Vec<String>,
    chosen: Vec<(Scenario, PathBuf)>,
    own: Vec<OwnScenario>,
}

impl Campaign {
    /// Reads scenarios and register and checks that no snapshot was changed. `wanted` names areas or scenarios; empty
    /// means all.
    ///
    /// # Errors
    /// [`CampaignError`]
    pub fn prepare(places: Places, wanted: &[String]) -> Result<Self, CampaignError> {
        let register = register::load(&places.scenarios.join("divergences.toml"))?;
        if let Some(changed) = snapshot::verify_digests(&places.snapshots)?.into_iter().next() {
            return Err(changed.into());
        }
        let entries = library::load(&places.scenarios).map_err(|source| CampaignError::Scenarios {
            path: places.scenarios.clone(),
            source,
        })?;
        let known: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let fits = |name: &str, want: &str| name == want || name.split('/').next() == Some(want);
        if let Some(unknown) = wanted
            .iter()
            .find(|want| !known.iter().any(|name| fits(name, want)))
        {
            return Err(CampaignError::Unknown(unknown.clone()));
        }
        let chosen: Vec<_> = entries
            .into_iter()
            .filter(|entry| wanted.is_empty() || wanted.iter().any(|want| fits(&entry.name, want)))
            .map(readable)
            .collect::<Result<_, _>>()?;
        let (chosen, own): (Vec<_>, Vec<_>) = chosen
            .into_iter()
            .partition(|(scenario, _)| scenario.has_legacy());
        let own = own.into_iter().map(|(scenario, _)| OwnScenario {
            scenario: scenario.name,
            title: scenario.title,
        });
        Ok(Self {
            places,
            register,
            known,
            chosen,
            own: own.collect(),
        })
    }

    /// How many scenarios will run.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Runs everything that the legacy can be compared with, at most `side_by_side` scenarios at a time.
    pub async fn run(
        self,
        side_by_side: usize,
        today: Date,
        events: Arc<dyn RunEvents + Send + Sync>,
    ) -> RunReport {
        let places = Arc::new(self.places);
        let turns = Arc::new(Semaphore::new(side_by_side.max(1)));
        let mut tasks = JoinSet::new();
        for (scenario, folder) in self.chosen {
            let (places, turns, events) = (Arc::clone(&places), Arc::clone(&turns), Arc::clone(&events));
            tasks.spawn(async move {
                // The semaphore is never closed; without a turn the scenario would merely run at once.
                let _turn = turns.acquire().await;
                compare(&scenario, &folder, &places, &*events).await
            });
        }
        let mut legacy = String::new();
        let mut ran = Vec::new();
        while let Some(result) = tasks.join_next().await {
            match result {
                Ok((one, source)) => {
                    legacy = source.unwrap_or(legacy);
                    ran.push(one);
                }
                Err(error) => ran.push(Ran::not_compared("?", format!("the run broke off: {error}"))),
            }
        }
        ran.sort_by(|one, other| one.scenario.cmp(&other.scenario));
        let judgement = judge(&self.register, &ran, &self.known, today);
        let version = env!("CARGO_PKG_VERSION");
        let provenance = Provenance {
            legacy,
            engine: format!("borealis-engine {version}, in this process"),
            parity: format!("parity {version}"),
            date: today.to_string(),
        };
        RunReport::new(provenance, judgement, &self.register).with_own(self.own)
    }
}

fn readable(entry: Entry) -> Result<(Scenario, PathBuf), CampaignError> {
    let folder = entry.folder().to_owned();
    match entry.scenario {
        Ok(scenario) => Ok((scenario, folder)),
        Err(error) => Err(CampaignError::Scenario {
            path: entry.path,
            reason: error.to_string(),
        }),
    }
}

/// Runs one scenario and compares it with its snapshot; also says which server the snapshot shows.
async fn compare(
    scenario: &Scenario,
    folder: &std::path::Path,
    places: &Places,
    events: &dyn RunEvents,
) -> (Ran, Option<String>) {
    let Snapshot {
        provenance,
        normalized: legacy,
    } = match snapshot::read(&places.snapshots, &scenario.name) {
        Ok(snapshot) => snapshot,
        Err(error) => return (Ran::not_compared(&scenario.name, error.to_string()), None),
    };
    let source = Some(format!("{} {}", provenance.server, provenance.revision));
    let ran = match run_embedded(scenario, folder, events).await {
        Ok(transcript) => {
            Ran::compare(&legacy, &normalize(&transcript), &spans(scenario)).with_notices(transcript.notices)
        }
        Err(error) => Ran::not_compared(&scenario.name, error.to_string()),
    };
    (ran, source)
}

/// When each step was over in the recording; a step without a time of its own ended with the one before it.
fn spans(scenario: &Scenario) -> Spans {
    let mut at = 0;
    let steps: Vec<_> = scenario
        .steps
        .iter()
        .map(|step| {
            at = step.at_us.unwrap_or(at);
            (step.id, at)
        })
        .collect();
    Spans::new(&steps)
}
