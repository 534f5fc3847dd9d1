//! One scenario on both sides: what each of them shows, and what of it can be compared.
//!
//! Long because a recording, the engine in this process and a live server meet here in every combination.

mod agreement;
mod chance;
mod own_words;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use self::{
    agreement::{noise, several},
    chance::{length_of_a_time, same_second, slack},
    own_words::{forget_signers, in_common_words, without_machine},
};
use super::{provenance, spans};
use crate::{
    mask::{Mask, Masked},
    normalize::{Normalized, normalize, normalize_and_count},
    register::{LegacySide, Ran, StepNames},
    report::{Provenance, SideNotes, Story},
    runner::{Between, RunEvents, clock::retimed, run_on},
    scenario::{files, model::Scenario},
    snapshot::{self, Snapshot},
    target::{
        Side, Spec,
        needs::{self, Limits},
    },
    transcript::Transcript,
};
use jiff::civil::Date;

/// What is held against what, and how often.
#[derive(Clone, Debug)]
pub struct Sides {
    /// The legacy's side.
    pub legacy: Side,
    /// The engine's side.
    pub engine: Arc<Spec>,
    /// What scenarios may ask of servers whose clock is the real one, or that others use.
    pub limits: Limits,
    /// Whether the legacy runs twice, so that what it does not agree with itself on is known.
    pub legacy_twice: bool,
    /// How often each scenario runs, so that what differs only at times is known.
    pub runs: usize,
}

impl Default for Sides {
    /// The snapshots against the engine in this process.
    fn default() -> Self {
        Self {
            legacy: Side::Recorded,
            engine: Arc::new(Spec::embedded()),
            limits: Limits::default(),
            legacy_twice: false,
            runs: 1,
        }
    }
}

/// A scenario, and what surrounds it.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) folder: &'a Path,
    pub(super) snapshots: &'a Path,
    pub(super) events: &'a (dyn RunEvents + Send + Sync),
    pub(super) between: &'a dyn Between,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Compared {
    /// What differs.
    pub ran: Ran,
    /// Which server the snapshot shows, where there is one.
    pub source: Option<String>,
    /// What both sides showed.
    pub story: Option<Story>,
    /// What else is to be said about the servers.
    pub notes: SideNotes,
}

impl From<Ran> for Compared {
    fn from(ran: Ran) -> Self {
        Self {
            ran,
            source: None,
            story: None,
            notes: SideNotes::default(),
        }
    }
}

/// A step in which a side could not be talked to, why, and whether everything behind it is unknown.
type Break = (u32, String, bool);

/// What one side showed.
struct Shown {
    normalized: Normalized,
    masked: Masked,
    /// Steps that this side has no means for.
    lacking: BTreeMap<u32, String>,
    broken: Vec<Break>,
    knows_signers: bool,
}

impl Shown {
    /// A recording shows everything.
    fn recorded(normalized: Normalized) -> Self {
        Self {
            normalized,
            masked: Masked::default(),
            lacking: BTreeMap::new(),
            broken: Vec::new(),
            knows_signers: true,
        }
    }

    fn live(side: &str, transcript: &Transcript) -> Self {
        let (mut normalized, mut masked) = normalize_and_count(transcript);
        if !transcript.run.own.is_empty() {
            for step in &mut normalized.steps {
                in_common_words(&mut step.seen, &transcript.run.own);
            }
        }
        masked.add(&transcript.run.masked);
        if let Some(machine) = &transcript.run.machine {
            for step in &mut normalized.steps {
                without_machine(&mut step.seen, &format!("dns:{machine}"), &mut masked);
            }
        }
        let name = &transcript.scenario;
        let broken = transcript.run.broken.iter();
        let lacking = transcript.run.lacking.iter();
        Self {
            normalized,
            masked,
            lacking: lacking
                .map(|(step, reason)| (*step, format!("{side}: {reason}")))
                .collect(),
            broken: broken
                .map(|one| (one.step, format!("{side}, {name}, {}", one.reason), one.ends))
                .collect(),
            knows_signers: transcript.keys.cookie_secret.is_some(),
        }
    }

    /// Whether a step failed here.
    fn failed(&self, step: u32) -> bool {
        let mut steps = self.normalized.steps.iter();
        steps.any(|one| one.step == step && one.seen.get("failed").is_some())
    }
}

impl Sides {
    /// Whether both sides are there, as far as that can be known beforehand.
    pub(super) async fn look(&self) -> Result<(), String> {
        for (side, spec) in self.specs() {
            if let Err(error) = spec.look().await {
                return Err(format!("{side} ({}): {error}", spec.name));
            }
        }
        Ok(())
    }

    fn legacy_spec(&self) -> Option<&Arc<Spec>> {
        match &self.legacy {
            Side::Recorded => None,
            Side::Live(spec) => Some(spec),
        }
    }

    /// The sides that are servers.
    fn specs(&self) -> impl Iterator<Item = (&'static str, &Arc<Spec>)> {
        let legacy = self.legacy_spec().map(|spec| ("legacy", spec));
        legacy.into_iter().chain([("engine", &self.engine)])
    }

    /// What everybody who reads a report has to know of the sides.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let insecure = self.specs().filter_map(|(side, spec)| {
            let warning = spec.warning()?;
            Some(format!("{side} ({}): {warning}", spec.name))
        });
        insecure.collect()
    }

    /// What every report is made from; `recorded` is which server the snapshots show.
    #[must_use]
    pub fn provenance(&self, recorded: String, today: Date) -> Provenance {
        let own = provenance(today);
        let revision = self.engine.revision();
        Provenance {
            legacy: self.legacy_spec().map_or(recorded, |spec| spec.about()),
            engine: self.engine.about(),
            // Another engine than that of this program's sources.
            parity: match revision == own.revision {
                true => own.parity,
                false => format!("{}, {}", own.parity, own.revision),
            },
            revision,
            date: own.date,
        }
    }

    /// Runs one scenario as often as that is wanted, and compares its sides.
    pub(super) async fn compare(&self, one: One<'_>) -> Compared {
        let mut all = Vec::new();
        for _ in 0..self.runs.max(1) {
            let compared = Box::pin(self.once(one)).await;
            let over = compared.ran.outcome.is_err() || compared.ran.broken.is_some();
            all.push(compared);
            if over {
                break;
            }
        }
        several(one.scenario, all)
    }

    async fn once(&self, one: One<'_>) -> Compared {
        let name = &one.scenario.name;
        let contents = match files::before_start(one.scenario, one.folder) {
            Ok(contents) => contents,
            Err(error) => return Ran::could_not_run(name, error.to_string()).into(),
        };
        for (side, spec) in self.specs() {
            if let Some(reason) = needs::lacking(one.scenario, &contents, spec.capabilities(), self.limits) {
                let reason = format!("{side} ({}): {reason}", spec.name);
                return Ran::not_compared(name, StepNames::of(one.scenario), &reason).into();
            }
        }
        match self.legacy_spec() {
            None => self.against_recording(one).await,
            Some(legacy) => self.against_server(one, legacy).await,
        }
    }

    async fn against_recording(&self, one: One<'_>) -> Compared {
        let One {
            scenario, snapshots, ..
        } = one;
        let failed = |reason: String| Compared::from(Ran::could_not_run(&scenario.name, reason));
        let is_recorded = snapshot::path_of(snapshots, &scenario.name).exists();
        if !is_recorded && scenario.expects() {
            return match self.run_engine(one, scenario).await {
                Ok(transcript) => {
                    let shown = Shown::live(&self.engine_name(), &transcript);
                    let ran = expected(scenario, &transcript);
                    self.with_notes(broken(ran, shown), None, &transcript)
                }
                Err(error) => failed(error),
            };
        }
        let Snapshot {
            provenance,
            normalized,
            recorded,
        } = match snapshot::read_for(snapshots, scenario) {
            Ok(snapshot) => snapshot,
            Err(error) => return failed(error.to_string()),
        };
        let scenario = scenario
            .clone()
            .with_times(recorded.iter().map(|step| step.at_us));
        match self.run_engine(one, &scenario).await {
            Ok(transcript) => {
                let engine = Shown::live(&self.engine_name(), &transcript);
                let story = Story::of(&scenario, &normalized, &engine.normalized)
                    .with_times(&BTreeMap::new(), &transcript.took_us);
                let ran = ran(&scenario, Shown::recorded(normalized), engine, None, &transcript);
                let mut compared = self.with_notes(ran, None, &transcript);
                compared.story = Some(story);
                compared.source = Some(format!("{} {}", provenance.server, provenance.revision));
                compared
            }
            Err(error) => failed(error),
        }
    }

    async fn against_server(&self, one: One<'_>, legacy: &Arc<Spec>) -> Compared {
        let scenario = one.scenario;
        let failed = |reason: String| Compared::from(Ran::could_not_run(&scenario.name, reason));
        let side = format!("legacy ({})", legacy.name);
        let (first, engine) = match self.both(one, legacy, &side).await {
            Ok(both) => both,
            Err(reason) => return failed(reason),
        };
        let shown = || Shown::live(&side, &first);
        let engine_shown = Shown::live(&self.engine_name(), &engine);
        let story = Story::of(scenario, &shown().normalized, &engine_shown.normalized)
            .with_times(&first.took_us, &engine.took_us);
        let timed = &recorded_times(scenario, one.snapshots);
        let ran = ran(timed, shown(), engine_shown, Some(&first), &engine);
        let mut compared = self.with_notes(ran, Some((legacy, &first)), &engine);
        compared.story = Some(story);
        if self.legacy_twice && compared.ran.broken.is_none() {
            match self.run_spec(one, scenario, legacy, &side).await {
                Ok(second) => {
                    let again = Shown::live(&side, &second);
                    noise(
                        &mut compared,
                        self::ran(timed, shown(), again, Some(&first), &second),
                    );
                }
                Err(reason) => return failed(reason),
            }
        }
        compared
    }

    /// What both servers showed. Two real clocks show the same time; the engine in this process gets the other side's.
    async fn both(
        &self,
        one: One<'_>,
        legacy: &Arc<Spec>,
        side: &str,
    ) -> Result<(Transcript, Transcript), String> {
        let scenario = one.scenario;
        let at_one_port = legacy.port().is_some_and(|port| self.engine.port() == Some(port));
        match (legacy.is_embedded(), self.engine.is_embedded()) {
            (false, true) => {
                let first = self.run_spec(one, scenario, legacy, side).await?;
                let engine = self.run_engine(one, &at_the_time_of(scenario, &first)).await?;
                Ok((first, with_names_of(engine, scenario)))
            }
            (true, false) => {
                let engine = self.run_engine(one, scenario).await?;
                let again = at_the_time_of(scenario, &engine);
                let first = self.run_spec(one, &again, legacy, side).await?;
                Ok((with_names_of(first, scenario), engine))
            }
            (false, false) if !at_one_port => {
                let first = Box::pin(self.run_spec(one, scenario, legacy, side));
                let engine = Box::pin(self.run_engine(one, scenario));
                let (first, engine) = tokio::join!(first, engine);
                Ok((first?, engine?))
            }
            _ => Ok((
                self.run_spec(one, scenario, legacy, side).await?,
                self.run_engine(one, scenario).await?,
            )),
        }
    }

    fn engine_name(&self) -> String {
        format!("engine ({})", self.engine.name)
    }

    async fn run_engine(&self, one: One<'_>, scenario: &Scenario) -> Result<Transcript, String> {
        self.run_spec(one, scenario, &self.engine, &self.engine_name())
            .await
    }

    async fn run_spec(
        &self,
        one: One<'_>,
        scenario: &Scenario,
        spec: &Arc<Spec>,
        side: &str,
    ) -> Result<Transcript, String> {
        let _turn = spec.turn().await;
        let result = Box::pin(run_on(spec, scenario, one.folder, one.events, one.between)).await;
        result.map_err(|error| format!("{side}, {}: {error}", scenario.name))
    }

    fn with_notes(
        &self,
        ran: Ran,
        legacy: Option<(&Arc<Spec>, &Transcript)>,
        engine: &Transcript,
    ) -> Compared {
        let mut notes = SideNotes::default();
        let legacy = legacy.map(|(spec, shown)| (format!("legacy ({})", spec.name), spec, shown));
        let engine = (self.engine_name(), &self.engine, engine);
        for (side, spec, transcript) in legacy.into_iter().chain([engine]) {
            // Where the server was parity's own nothing is left of it.
            if !spec.capabilities().fresh {
                notes.left_behind(&side, &transcript.scenario, &transcript.run.left_behind);
            }
            if let Some(kept) = &transcript.run.kept {
                notes.kept(&side, &transcript.scenario, kept);
            }
        }
        Compared {
            ran,
            source: None,
            story: None,
            notes,
        }
    }
}

/// The scenario as it plays when another server has played it before: at the same times.
fn at_the_time_of(scenario: &Scenario, played: &Transcript) -> Scenario {
    let mut scenario = scenario.clone();
    scenario.started_at_us = played.started_at_us;
    for step in &mut scenario.steps {
        let span = played.run.spans.iter().find(|(number, ..)| *number == step.id);
        step.at_us = span.map(|(_, _, end)| *end).or(step.at_us);
    }
    scenario
}

/// What was played at another server's time, with names of files as they are at the scenario's own: the register names those.
fn with_names_of(mut played: Transcript, scenario: &Scenario) -> Transcript {
    if let Some(left) = &mut played.left {
        let files = std::mem::take(&mut left.files);
        left.files = retimed(files, played.started_at_us, scenario.started_at_us);
    }
    played
}

/// The scenario with the times of its recording, where it has one: those that the register speaks of.
fn recorded_times(scenario: &Scenario, snapshots: &Path) -> Scenario {
    let timed = scenario.clone();
    match snapshot::read_for(snapshots, scenario) {
        Ok(snapshot) => timed.with_times(snapshot.recorded.iter().map(|step| step.at_us)),
        Err(_) => timed,
    }
}

/// Compares what both sides showed, less what one of them could not show.
fn ran(
    scenario: &Scenario,
    mut legacy: Shown,
    mut engine: Shown,
    legacy_ran: Option<&Transcript>,
    engine_ran: &Transcript,
) -> Ran {
    let mut without = legacy.lacking.clone();
    without.extend(engine.lacking.clone());
    let breaks = breaks(&legacy, &engine);
    for (step, reason, ends) in &breaks {
        without.insert(*step, reason.clone());
        if *ends {
            let steps = legacy.normalized.steps.iter().chain(&engine.normalized.steps);
            let behind = steps.map(|one| one.step).filter(|other| other > step);
            let behind: Vec<u32> = behind.collect();
            without.extend(behind.into_iter().map(|other| (other, reason.clone())));
        }
    }
    let forgets = !(legacy.knows_signers && engine.knows_signers);
    for side in [&mut legacy, &mut engine] {
        side.normalized
            .steps
            .retain(|step| !without.contains_key(&step.step));
        if forgets {
            for step in &mut side.normalized.steps {
                forget_signers(&mut step.seen, &mut side.masked);
            }
        }
    }
    let names = StepNames::of(scenario);
    let spans = spans(scenario, legacy_ran, engine_ran);
    let mut masked = engine.masked;
    masked.add(&legacy.masked);
    let mut ran = Ran::compare(&legacy.normalized, &engine.normalized, &spans, names)
        .with_masked(&masked)
        .with_missed(&engine_ran.missed)
        .without(without);
    if legacy_ran.is_some() {
        ran.legacy_side = LegacySide::Server;
    }
    ran.slack = slack(scenario, legacy_ran, engine_ran);
    if let (Some(_), Some(starts), Ok(differences)) = (&ran.slack, ran.started_at_us, &mut ran.outcome) {
        let before = differences.len();
        differences.retain(|one| !same_second(one, &spans, starts));
        for _ in differences.len()..before {
            ran.masked.note(Mask::Moment);
        }
        let before = differences.len();
        differences.retain(|one| !length_of_a_time(one, legacy_ran.into_iter().chain([engine_ran])));
        for _ in differences.len()..before {
            ran.masked.note(Mask::BodyLength);
        }
    }
    ran.broken = breaks.into_iter().next().map(|(_, reason, _)| reason);
    ran
}

/// Where a side could not be talked to, and the other one could: what fails on both says the same of both.
fn breaks(legacy: &Shown, engine: &Shown) -> Vec<Break> {
    let of = |one: &Shown, other: &Shown| -> Vec<Break> {
        let told = one
            .broken
            .iter()
            .filter(|(step, _, ends)| *ends || !other.failed(*step));
        told.cloned().collect()
    };
    let mut all = of(legacy, engine);
    all.extend(of(engine, legacy));
    all.sort();
    all
}

/// A scenario without another side that broke off.
fn broken(mut ran: Ran, shown: Shown) -> Ran {
    ran.broken = shown
        .broken
        .into_iter()
        .min_by_key(|(step, ..)| *step)
        .map(|(_, reason, _)| reason);
    ran
}

/// A scenario that nobody has recorded: it is held against what it says itself, and only the steps that say something
/// count as compared.
fn expected(scenario: &Scenario, transcript: &Transcript) -> Ran {
    let mut shown = normalize(transcript);
    let expects = |id: u32| {
        scenario
            .steps
            .iter()
            .any(|step| step.id == id && !step.expect.is_empty())
    };
    shown.steps.retain(|step| expects(step.step));
    let names = StepNames::of(scenario);
    let mut ran = Ran::compare(&shown, &shown, &spans(scenario, None, transcript), names)
        .with_missed(&transcript.missed);
    ran.is_alone = true;
    ran
}
