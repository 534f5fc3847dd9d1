//! The main job: runs scenarios side by side, compares each with its snapshot and judges the differences.
//!
//! Long because it is the way from the files to the verdicts, with its test.

mod sides;

pub use sides::{Compared, Sides};

use std::{
    collections::BTreeSet,
    future::{Future, pending},
    path::PathBuf,
    sync::Arc,
};

use jiff::civil::Date;
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};

use crate::{
    diff::{BothSpans, Spans},
    mask::Masked,
    normalize::Normalized,
    register::{self, KnownScenarios, Ran, Register, RegisterError, StepNames, judge},
    report::{LiveNotes, OwnScenario, Partial, Provenance, RunReport},
    runner::{Between, Nothing, RunEvents, run_between},
    scenario::{
        library::{self, Entry},
        model::Scenario,
    },
    snapshot::{self, SnapshotError},
    transcript::Transcript,
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
    /// Scenarios cannot be read: every fault of each of them.
    #[error("{0}")]
    Unreadable(String),
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
    chosen: Vec<(Scenario, PathBuf)>,
    own: Vec<OwnScenario>,
    between: Arc<dyn Between>,
    sides: Sides,
}

impl Campaign {
    /// Reads scenarios and register and checks that no snapshot was changed. `wanted` names areas or scenarios; empty
    /// means all.
    ///
    /// # Errors
    /// [`CampaignError`]
    pub fn prepare(places: Places, wanted: &[String]) -> Result<Self, CampaignError> {
        if let Some(changed) = snapshot::verify_digests(&places.snapshots)?.into_iter().next() {
            return Err(changed.into());
        }
        let entries = library::load(&places.scenarios).map_err(|source| CampaignError::Scenarios {
            path: places.scenarios.clone(),
            source,
        })?;
        let register = register::load(
            &places.scenarios.join(register::FILE),
            &KnownScenarios::of(&entries),
        )?;
        Self::of(places, entries, register, wanted)
    }

    /// The same of what was read already. Snapshots are looked at when their scenarios run.
    ///
    /// # Errors
    /// A name that is not there, or a scenario that was chosen and cannot be read.
    pub fn of(
        places: Places,
        entries: Vec<Entry>,
        register: Register,
        wanted: &[String],
    ) -> Result<Self, CampaignError> {
        let known: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
        let fits = |name: &str, want: &str| name == want || name.split('/').next() == Some(want);
        if let Some(unknown) = wanted
            .iter()
            .find(|want| !known.iter().any(|name| fits(name, want)))
        {
            return Err(CampaignError::Unknown(unknown.clone()));
        }
        let chosen: Vec<Entry> = entries
            .into_iter()
            .filter(|entry| wanted.is_empty() || wanted.iter().any(|want| fits(&entry.name, want)))
            .collect();
        let chosen = readable(chosen)?;
        let (chosen, own): (Vec<_>, Vec<_>) = chosen
            .into_iter()
            .partition(|(scenario, _)| scenario.has_legacy());
        let recorded = own.iter().map(|(scenario, _)| scenario.name.as_str());
        let recorded = recorded.filter(|name| snapshot::path_of(&places.snapshots, name).exists());
        let faults: Vec<_> = recorded
            .map(|name| {
                format!(
                    "{name} has `policy: strict`, which nothing is compared under, and a snapshot of what the legacy answered: \
                     take away the one or the other"
                )
            })
            .collect();
        if !faults.is_empty() {
            return Err(CampaignError::Unreadable(faults.join("\n")));
        }
        let own = own.into_iter().map(|(scenario, _)| OwnScenario {
            scenario: scenario.name,
            title: scenario.title,
        });
        Ok(Self {
            places,
            register,
            chosen,
            own: own.collect(),
            between: Arc::new(Nothing),
            sides: Sides::default(),
        })
    }

    /// Holds other sides against each other than the snapshots and the engine in this process.
    #[must_use]
    pub fn of_sides(mut self, sides: Sides) -> Self {
        self.sides = sides;
        self
    }

    /// Without the differences that the register expects: the sides are to be the same.
    #[must_use]
    pub fn without_register(mut self) -> Self {
        self.register = Register::default();
        self
    }

    /// With something between the clients and the engine.
    #[must_use]
    pub fn with(mut self, between: Arc<dyn Between>) -> Self {
        self.between = between;
        self
    }

    /// How many scenarios will run.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Whether there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Runs everything that has a recording, at most `side_by_side` scenarios at a time, and keeps both sides.
    ///
    /// # Errors
    /// What could not run, and why.
    pub async fn observe(
        self,
        side_by_side: usize,
        events: Arc<dyn RunEvents + Send + Sync>,
    ) -> Result<(Register, Vec<BothSides>), String> {
        let (places, between) = (Arc::new(self.places), self.between);
        // What nobody has recorded has no other side to compare with.
        let recorded = |(scenario, _): &(Scenario, PathBuf)| {
            scenario.shared.is_none() || snapshot::path_of(&places.snapshots, &scenario.name).exists()
        };
        let chosen = self.chosen.into_iter().filter(recorded).collect();
        let mut tasks = begin(chosen, side_by_side, |scenario, folder| {
            let (places, events, between) = (Arc::clone(&places), Arc::clone(&events), Arc::clone(&between));
            async move {
                let snapshot =
                    snapshot::read_for(&places.snapshots, &scenario).map_err(|it| it.to_string())?;
                let scenario = scenario.with_times(snapshot.recorded.iter().map(|step| step.at_us));
                let transcript = run_between(&scenario, &folder, &*events, &*between)
                    .await
                    .map_err(|it| format!("{}: {it}", scenario.name))?;
                Ok::<_, String>(BothSides {
                    legacy: snapshot.normalized,
                    spans: spans(&scenario, None, &transcript),
                    transcript,
                    names: StepNames::of(&scenario),
                })
            }
        });
        let mut sides = Vec::new();
        while let Some(result) = tasks.join_next().await {
            sides.push(result.map_err(|error| format!("the run broke off: {error}"))??);
        }
        sides.sort_by(|one, other| one.legacy.scenario.cmp(&other.legacy.scenario));
        Ok((self.register, sides))
    }

    /// Runs everything that the legacy can be compared with, at most `side_by_side` scenarios at a time.
    pub async fn run(
        self,
        side_by_side: usize,
        today: Date,
        events: Arc<dyn RunEvents + Send + Sync>,
    ) -> RunReport {
        self.run_until(pending(), side_by_side, today, events).await
    }

    /// As [`Self::run`], but ends when it is told to stop; the report is partial then, and says so.
    pub async fn run_until(
        self,
        stop: impl Future<Output = ()>,
        side_by_side: usize,
        today: Date,
        events: Arc<dyn RunEvents + Send + Sync>,
    ) -> RunReport {
        let chosen = self.len();
        tokio::pin!(stop);
        let looked = tokio::select! {
            biased;
            () = &mut stop => None,
            looked = self.sides.look() => Some(looked),
        };
        match looked {
            Some(Ok(())) => {}
            Some(Err(reason)) => {
                return RunReport::failed(self.sides.provenance(String::new(), today), reason);
            }
            None => {
                let provenance = self.sides.provenance(String::new(), today);
                return RunReport::new(provenance, judge(&self.register, &[], today), &self.register)
                    .with_own(self.own)
                    .interrupted(Some(Partial { ran: 0, chosen }));
            }
        }
        let (places, between, sides) = (Arc::new(self.places), self.between, Arc::new(self.sides));
        let mut tasks = begin(self.chosen, side_by_side, |scenario, folder| {
            let (places, events, between) = (Arc::clone(&places), Arc::clone(&events), Arc::clone(&between));
            let sides = Arc::clone(&sides);
            async move {
                let one = sides::One {
                    scenario: &scenario,
                    folder: &folder,
                    snapshots: &places.snapshots,
                    events: &*events,
                    between: &*between,
                };
                sides.compare(one).await
            }
        });
        let mut legacy = BTreeSet::new();
        let (mut ran, mut stories) = (Vec::new(), Vec::new());
        let mut live = LiveNotes::of(&sides);
        let mut take = |result: Result<Compared, JoinError>| match result {
            Ok(compared) => {
                legacy.extend(compared.source);
                stories.extend(compared.story);
                ran.push(compared.ran);
                live.add(compared.notes);
            }
            Err(error) => ran.push(Ran::could_not_run("?", format!("the run broke off: {error}"))),
        };
        let interrupted = loop {
            tokio::select! {
                biased;
                () = &mut stop => break true,
                result = tasks.join_next() => match result {
                    Some(result) => take(result),
                    None => break false,
                },
            }
        };
        while interrupted && let Some(result) = tasks.try_join_next() {
            take(result);
        }
        let partial = interrupted.then_some(Partial {
            ran: ran.len(),
            chosen,
        });
        tasks.shutdown().await;
        ran.sort_by(|one, other| one.scenario.cmp(&other.scenario));
        stories.sort_by(|one, other| one.scenario.cmp(&other.scenario));
        let judgement = judge(&self.register, &ran, today);
        let several = legacy.len() > 1;
        let recorded = legacy.into_iter().collect::<Vec<_>>().join("; ");
        let provenance = sides.provenance(recorded, today);
        live.sort();
        if several {
            let reason = format!(
                "the snapshots show several revisions of the legacy: {}",
                provenance.legacy
            );
            return RunReport::failed(provenance, reason);
        }
        let mut masked = Masked::default();
        ran.iter().for_each(|one| masked.add(&one.masked));
        RunReport::new(provenance, judgement, &self.register)
            .with_masked(&masked)
            .with_stories(stories)
            .with_own(self.own)
            .with_live(live)
            .interrupted(partial)
    }
}

/// What every report is made from; the legacy's side is known once snapshots are read.
#[must_use]
pub fn provenance(today: Date) -> Provenance {
    let version = env!("CARGO_PKG_VERSION");
    Provenance {
        legacy: String::new(),
        engine: format!("borealis-engine {version}, in this process"),
        revision: env!("BOREALIS_REVISION").to_owned(),
        parity: format!("parity {version}"),
        date: today.to_string(),
    }
}

/// What both servers showed of one scenario: the legacy normalised, the engine as it came.
#[derive(Debug)]
pub struct BothSides {
    /// The snapshot.
    pub legacy: Normalized,
    /// What the engine showed.
    pub transcript: Transcript,
    /// When each step began and ended on either side.
    pub spans: BothSpans,
    /// What the steps are called.
    pub names: StepNames,
}

/// Begins every scenario, at most `side_by_side` of them at a time.
fn begin<F>(
    chosen: Vec<(Scenario, PathBuf)>,
    side_by_side: usize,
    one: impl Fn(Scenario, PathBuf) -> F,
) -> JoinSet<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(side_by_side.max(1)));
    let mut tasks = JoinSet::new();
    for (scenario, folder) in chosen {
        let (turns, running) = (Arc::clone(&turns), one(scenario, folder));
        tasks.spawn(async move {
            // The semaphore is never closed; without a turn the scenario would merely run at once.
            let _turn = turns.acquire().await;
            running.await
        });
    }
    tasks
}

fn readable(entries: Vec<Entry>) -> Result<Vec<(Scenario, PathBuf)>, CampaignError> {
    let (mut scenarios, mut faults) = (Vec::new(), Vec::new());
    for entry in entries {
        let folder = entry.folder().to_owned();
        match entry.scenario {
            Ok(scenario) => scenarios.push((scenario, folder)),
            Err(error) => faults.extend(error.faults().iter().map(|fault| fault.in_file(&entry.path))),
        }
    }
    if faults.is_empty() {
        Ok(scenarios)
    } else {
        Err(CampaignError::Unreadable(faults.join("\n")))
    }
}

/// When each step began and was over on both sides; of the legacy's side, where it is recorded, the recording knows.
fn spans(scenario: &Scenario, legacy: Option<&Transcript>, engine: &Transcript) -> BothSpans {
    let recorded = || Spans::recorded(&scenario.step_ends());
    let legacy = legacy.map_or_else(recorded, spans_of);
    BothSpans::new(legacy, spans_of(engine)).through(scenario)
}

/// When the steps of a run began and were over: as its server's clock ran, or where it stood.
fn spans_of(transcript: &Transcript) -> Spans {
    if transcript.run.clock_ran {
        return Spans::new(transcript.run.spans.iter().copied());
    }
    let moments: Vec<_> = transcript
        .run
        .spans
        .iter()
        .map(|(step, _, at_us)| (*step, *at_us))
        .collect();
    Spans::standing(&moments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{register::Outcome, report, runner::Silent};

    /// What becomes of a scenario that nobody has recorded.
    async fn unrecorded(steps: &str) -> RunReport {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            scenarios: folder.path().join("scenarios"),
            snapshots: folder.path().join("snapshots"),
        };
        std::fs::create_dir_all(places.scenarios.join("a")).unwrap();
        std::fs::create_dir_all(&places.snapshots).unwrap();
        std::fs::write(places.scenarios.join("divergences.toml"), "format = 2\n").unwrap();
        let text = format!("format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n{steps}");
        std::fs::write(places.scenarios.join("a/b.yaml"), text).unwrap();
        let campaign = Campaign::prepare(places, &[]).unwrap();
        campaign
            .run(1, jiff::civil::date(2026, 11, 29), Arc::new(Silent))
            .await
    }

    #[test]
    fn a_recorded_scenario_cannot_be_taken_out_of_the_comparison_by_its_policy() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            scenarios: folder.path().join("scenarios"),
            snapshots: folder.path().join("snapshots"),
        };
        std::fs::create_dir_all(places.scenarios.join("a")).unwrap();
        std::fs::create_dir_all(places.snapshots.join("a")).unwrap();
        std::fs::write(places.scenarios.join("divergences.toml"), "format = 2\n").unwrap();
        let text = "format: 2\ntitle: T\narea: A\npolicy: strict\nstarted_at: 1700000000\nsteps:\n  - get: /health\n";
        std::fs::write(places.scenarios.join("a/b.yaml"), text).unwrap();
        let entries = || library::load(&places.scenarios).unwrap();
        let of = || Campaign::of(places.clone(), entries(), Register::default(), &[]);
        assert!(of().is_ok());
        std::fs::write(snapshot::path_of(&places.snapshots, "a/b"), "").unwrap();
        let refused = of().unwrap_err().to_string();
        assert!(refused.contains("a/b has `policy: strict`"), "{refused}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scenario_without_a_recording_is_held_against_what_it_expects() {
        let met =
            unrecorded("  - get: /health\n  - {get: /health, expect: {status: 200, body: {status: ok}}}\n")
                .await;
        let verdict = &met.judgement.verdicts[0];
        assert_eq!(
            (verdict.outcome, verdict.compared_steps, verdict.alone_steps),
            (Outcome::Alone, 0, Some(1))
        );
        assert_eq!(report::ending(&met), report::Ending::Pass);

        let missed = unrecorded("  - {get: /health, expect: {status: 404, \"/nothing\": 1}}\n").await;
        assert_eq!(report::ending(&missed), report::Ending::Differs);
        let different: Vec<_> = missed.judgement.verdicts[0]
            .different
            .iter()
            .map(|one| (one.path.as_str(), one.legacy.clone(), one.engine.clone()))
            .collect();
        assert_eq!(
            different,
            [
                ("/expect/status", Some(404.into()), Some(200.into())),
                ("/expect/nothing", Some(1.into()), None),
            ]
        );

        let silent = unrecorded("  - get: /health\n").await;
        assert_eq!(silent.judgement.verdicts[0].outcome, Outcome::CouldNotRun);
    }
}
