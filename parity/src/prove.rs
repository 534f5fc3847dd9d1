//! The mutation campaign: what the engine showed is changed in one place, as a faulty server would show it, and sent
//! through the whole comparison. A change that nobody notices is a survivor.
//!
//! Long because what is done again for a change, and what is not, is read together.

pub mod operators;
pub mod subject;
pub mod survivors;
pub mod tally;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use jiff::civil::Date;
use serde_json::Value;

use crate::{
    campaign::BothSides,
    diff::{Comparison, Difference, paired},
    json_form::same,
    normalize::{Item, Names, NormalStep, Normalized, Normalizer, left_of, normalize},
    register::{Outcome, Ran, Register, covers, judge},
    transcript::Transcript,
};
use operators::{Change, Known, Operator, Place};
use subject::{Subject, sites};
use tally::Tally;

/// At most so many places of one part are changed by one operator, if not said otherwise; which of them depends on their
/// names alone. There are thousands of parts, so each kind of place is met in many of them.
pub const PLACES: usize = 1;

/// A mutant that was not noticed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Survivor {
    /// The operator.
    pub operator: &'static str,
    /// `<area>/<name>`.
    pub scenario: String,
    /// The part, for people: `step 4`, `table users`.
    pub part: String,
    /// The kind of part and the path in it: `answer/headers/date`, `tables/users/0/created_at`.
    pub path: String,
}

/// Why the campaign could not judge anything.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// Without a change the scenario must be as expected.
    #[error("{0} differs from the legacy without any change: `parity run {0}` says where")]
    Different(String),
}

/// Proves every scenario, as many at a time as there are processors, with at most `places` places of each part for each
/// operator. `done` hears of each one that is over.
///
/// # Errors
/// If a scenario is not as expected without any change.
pub fn prove(
    register: &Register,
    scenarios: &[BothSides],
    today: Date,
    places: usize,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Tally, ProveError> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut tally = Tally::default();
        while let Some(one) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (register, mut transcript) = (about(register, &one.legacy.scenario), one.transcript.clone());
            let engine = normalize(&one.transcript);
            let judge = Judge::new(&register, one, &engine, today)
                .inspect_err(|_| next.store(scenarios.len(), Ordering::Relaxed))?;
            judge.mutate(&mut transcript, places, &mut tally);
            done(&one.legacy.scenario);
        }
        Ok(tally)
    };
    let mut whole = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(tally) => whole.add(tally?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(whole)
    })
}

/// What of the register speaks of a scenario.
fn about(register: &Register, scenario: &str) -> Register {
    let mut register = register.clone();
    for entry in &mut register.entries {
        entry.expectations.retain(|expectation| {
            expectation
                .places
                .iter()
                .any(|place| covers(&place.scenarios, scenario))
        });
    }
    register.entries.retain(|entry| {
        !entry.expectations.is_empty() || entry.not_compared_from_step.contains_key(scenario)
    });
    register
}

/// Judges the mutants of one scenario as `parity run` would, without doing again what a mutant leaves as it was.
struct Judge<'a> {
    register: &'a Register,
    legacy: &'a Normalized,
    engine: &'a Normalized,
    today: Date,
    /// The comparison in front of each step, and what the step shows, without any change.
    steps: Vec<(Comparison<'a>, Vec<Difference>)>,
    /// The names in front of each part of the transcript and behind the last, without any change.
    names: Vec<Names>,
    /// What the server left: each table and file, the names in front of it, and what it is normalised to.
    left: Vec<(Item<'a>, Names, Value)>,
    sides: &'a BothSides,
    /// The scenario as it ran, without what was found.
    ran: Ran,
    /// What was found without any change.
    found: Vec<Difference>,
}

impl<'a> Judge<'a> {
    fn new(
        register: &'a Register,
        sides: &'a BothSides,
        engine: &'a Normalized,
        today: Date,
    ) -> Result<Self, ProveError> {
        let BothSides { legacy, spans, .. } = sides;
        let mut ran =
            Ran::compare(legacy, engine, spans, sides.names.clone()).with_missed(&sides.transcript.missed);
        let found = std::mem::replace(&mut ran.outcome, Ok(Vec::new())).unwrap_or_default();
        let mut comparison = Comparison::new(legacy, engine, spans);
        let steps = paired(legacy, engine)
            .into_iter()
            .map(|(_, left, right)| (comparison.clone(), comparison.step(left, right)))
            .collect();
        let mut normalizer = Normalizer::new(&sides.transcript);
        let mut names = vec![normalizer.names.clone()];
        for part in 0..normalizer.parts(&sides.transcript) {
            normalizer.part(&sides.transcript, part);
            names.push(normalizer.names.clone());
        }
        let mut left = Vec::new();
        normalizer.names = names
            .get(sides.transcript.observations.len() + 1)
            .cloned()
            .unwrap_or_default();
        for item in Item::all(&sides.transcript) {
            let before = normalizer.names.clone();
            left.push((item, before, normalizer.item(&sides.transcript, item)));
        }
        let judge = Self {
            names,
            left,
            sides,
            register,
            legacy,
            engine,
            today,
            steps,
            ran,
            found,
        };
        if judge.is_different(judge.found.clone()) {
            return Err(ProveError::Different(legacy.scenario.clone()));
        }
        Ok(judge)
    }

    /// Whether the scenario is different with these differences.
    fn is_different(&self, differences: Vec<Difference>) -> bool {
        self.verdict(differences).outcome == Outcome::Different
    }

    /// Whether a step shows a difference that it did not show without the change, and that no entry accepts.
    fn adds_unexpected(&self, before: &[Difference], found: &[Difference]) -> bool {
        let added: Vec<Difference> = found
            .iter()
            .filter(|one| !before.contains(one))
            .cloned()
            .collect();
        !added.is_empty() && !self.verdict(added).different.is_empty()
    }

    fn verdict(&self, differences: Vec<Difference>) -> crate::register::Verdict {
        let ran = Ran {
            outcome: Ok(differences),
            ..self.ran.clone()
        };
        let mut verdicts = judge(self.register, &[ran], self.today).verdicts;
        verdicts.remove(0)
    }

    /// Whether a mutant is noticed in which one part is another one. Most are noticed in that part itself; only for the
    /// others all that comes later is looked at.
    fn is_noticed_in(&self, part: usize, mutant: &Transcript) -> bool {
        let mut normalizer = Normalizer::new(&self.sides.transcript);
        let (Some(before), Some(after)) = (self.names.get(part), self.names.get(part + 1)) else {
            return self.is_noticed(&normalize(mutant));
        };
        normalizer.names.clone_from(before);
        let shown = if part == mutant.observations.len() + 1 {
            Some(self.left_of(mutant, &mut normalizer, after))
        } else {
            normalizer.part(mutant, part)
        };
        let number = shown.as_ref().map(|step| step.step);
        let pairs = paired(self.legacy, self.engine);
        let at = pairs.iter().position(|(step, ..)| Some(*step) == number);
        let step = at.and_then(|at| Some((at, pairs.get(at)?, self.steps.get(at)?)));
        let (Some(shown), Some((at, (_, left, was), (before, differences)))) = (shown, step) else {
            return self.is_noticed(&normalize(mutant));
        };
        if was.is_some_and(|was| same(&was.seen, &shown.seen)) && normalizer.names == *after {
            return false;
        }
        let mut comparison = before.clone();
        let found = comparison.step(*left, Some(&shown));
        if self.adds_unexpected(differences, &found) {
            return true;
        }
        // Where nothing comes later, or all that comes later begins as it did, it is as it was.
        let as_before = self
            .steps
            .get(at + 1)
            .is_none_or(|(next, _)| *next == comparison && normalizer.names == *after);
        if as_before {
            let all = self.steps.iter().enumerate().flat_map(
                |(other, (_, differences))| {
                    if other == at { &found } else { differences }
                },
            );
            return self.is_different(all.cloned().collect());
        }
        self.is_noticed(&normalize(mutant))
    }

    /// What a mutant left: only what is another table or file, or comes after one that changed the names, is normalised
    /// anew.
    fn left_of(&self, mutant: &Transcript, normalizer: &mut Normalizer<'_>, after: &Names) -> NormalStep {
        let names_before = |at: usize| self.left.get(at).map_or(after, |(_, names, _)| names);
        let (mut as_before, mut at) = (true, 0);
        let mut values = Vec::new();
        for item in Item::all(mutant) {
            // What is missing gave names, perhaps.
            while self.left.get(at).is_some_and(|(known, ..)| known.is_before(item)) {
                if as_before && names_before(at) != names_before(at + 1) {
                    as_before = false;
                    normalizer.names.clone_from(names_before(at));
                }
                at += 1;
            }
            let there = self.left.get(at).filter(|(known, ..)| known.is_called(item));
            if let Some((known, _, value)) = there
                && as_before
                && known.is_same(item)
            {
                values.push(value.clone());
            } else {
                if as_before {
                    normalizer.names.clone_from(names_before(at));
                }
                values.push(normalizer.item(mutant, item));
                as_before = as_before && normalizer.names == *names_before(at + usize::from(there.is_some()));
            }
            at += usize::from(there.is_some());
        }
        if as_before && (at..self.left.len()).all(|at| names_before(at) == names_before(at + 1)) {
            normalizer.names.clone_from(after);
        }
        left_of(mutant, values)
    }

    /// Whether a mutant is noticed.
    fn is_noticed(&self, mutant: &Normalized) -> bool {
        let mut all = Vec::new();
        let mut ours: Option<Comparison<'a>> = None;
        let baseline = paired(self.legacy, self.engine);
        let pairs = paired(self.legacy, mutant);
        if pairs.len() != baseline.len() {
            return true;
        }
        for (((_, left, right), (_, _, was)), (before, differences)) in
            pairs.into_iter().zip(baseline).zip(&self.steps)
        {
            let as_before = ours.as_ref().is_none_or(|ours| ours == before);
            let unchanged = match (right, was) {
                (Some(right), Some(was)) => same(&right.seen, &was.seen),
                (right, was) => right.is_none() && was.is_none(),
            };
            if as_before && unchanged {
                ours = None;
                all.extend(differences.iter().cloned());
                continue;
            }
            let comparison = ours.get_or_insert_with(|| before.clone());
            let found = comparison.step(left, right);
            // A difference that no entry accepts is noticed whatever comes later.
            if self.adds_unexpected(differences, &found) {
                return true;
            }
            all.extend(found);
        }
        self.is_different(all)
    }

    /// Makes and judges every mutant.
    fn mutate(&self, transcript: &mut Transcript, most: usize, tally: &mut Tally) {
        let scenario = self.legacy.scenario.clone();
        let known = Known::of(transcript);
        for subject in Subject::all(transcript) {
            let (part, root) = (subject.name(transcript), subject.root(transcript));
            let Some(original) = subject.copy(transcript) else {
                continue;
            };
            let sites = sites(transcript, &subject);
            let part_number = match &subject {
                Subject::Step(at) => *at,
                Subject::Connection(_) => transcript.observations.len(),
                Subject::Table(_) | Subject::File(_) => transcript.observations.len() + 1,
            };
            for operator in operators::ALL.iter().copied().flatten() {
                let places = operator.change.places(&known, transcript, &subject, &sites);
                let seed = format!("{scenario} {part} {}", operator.name);
                let mut mutants = 0;
                for place in in_turn(&seed, most, places) {
                    if mutants == most {
                        break;
                    }
                    let applied = operator.change.apply(transcript, &subject, &sites, &place);
                    let changed = subject
                        .copy(transcript)
                        .is_none_or(|copy| !original.is_same(&copy));
                    if applied.is_some() && changed {
                        mutants += 1;
                        let noticed = self.is_noticed_in(part_number, transcript);
                        #[cfg(test)]
                        assert_eq!(
                            noticed,
                            self.is_noticed_the_whole_way(transcript),
                            "{} {place:?}",
                            operator.name
                        );
                        tally.count(operator.name, &scenario, noticed, || Survivor {
                            operator: operator.name,
                            scenario: scenario.clone(),
                            part: part.clone(),
                            path: format!("{root}{}", place.path),
                        });
                    }
                    subject.restore(transcript, original.clone());
                }
            }
        }
        for operator in operators::ALL.iter().copied().flatten() {
            if let Change::Legacy { whole } = operator.change {
                self.bring_back(operator, whole, most, tally);
            }
        }
    }

    /// The legacy's behaviour comes back where a difference from it is expected.
    fn bring_back(&self, operator: &Operator, whole: bool, most: usize, tally: &mut Tally) {
        let scenario = &self.legacy.scenario;
        let all = &self.found;
        let steps: BTreeSet<u32> = all.iter().map(|one| one.step).collect();
        for step in steps {
            let label = match step.checked_sub(self.engine.last_step) {
                Some(after @ 1..) => ["asked", "heard", "left"]
                    .get(after as usize - 1)
                    .copied()
                    .unwrap_or("after")
                    .to_owned(),
                _ => format!("step {step}"),
            };
            let mut count = |path: &str, noticed: bool| {
                tally.count(operator.name, scenario, noticed, || Survivor {
                    operator: operator.name,
                    scenario: scenario.clone(),
                    part: label.clone(),
                    path: format!("expected{path}"),
                });
            };
            if whole {
                let mut engine = self.engine.clone();
                let legacy = self.legacy.steps.iter().find(|one| one.step == step);
                engine.steps.retain(|one| one.step != step || legacy.is_some());
                for one in engine.steps.iter_mut().filter(|one| one.step == step) {
                    if let Some(legacy) = legacy {
                        one.seen = legacy.seen.clone();
                    }
                }
                count("", self.is_noticed(&engine));
                continue;
            }
            let here = all.iter().enumerate().filter(|(_, one)| one.step == step);
            let places = here.map(|(at, one)| (at, one.path.clone())).collect();
            let seed = format!("{scenario} {label} {}", operator.name);
            for (at, path) in in_turn(&seed, most, places).into_iter().take(most) {
                let mut rest = all.clone();
                rest.remove(at);
                count(&path, self.is_different(rest));
            }
        }
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, which is the same in every build and quick: there are millions of places.
fn hash(begin: u64, text: &str) -> u64 {
    text.bytes().fold(begin, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

/// What a list of places is put in order by.
trait Named {
    fn path(&self) -> &str;
}

impl Named for Place {
    fn path(&self) -> &str {
        &self.path
    }
}

impl Named for (usize, String) {
    fn path(&self) -> &str {
        &self.1
    }
}

/// The places in the order in which they are tried: one of each of `most` stretches first, chosen by the text of the seed and
/// the path, so that every run chooses the same; then the others.
fn in_turn<P: Named>(seed: &str, most: usize, places: Vec<P>) -> Vec<P> {
    if places.len() <= most {
        return places;
    }
    let stretch = places.len().div_ceil(most.max(1));
    let begin = hash(FNV_OFFSET, seed);
    let mut ranked: Vec<(u64, usize, P)> = places
        .into_iter()
        .enumerate()
        .map(|(at, place)| (hash(hash(begin, &at.to_string()), place.path()), at, place))
        .collect();
    ranked.sort_by_key(|(hash, at, _)| (at / stretch, *hash));
    let mut rank_in_stretch = std::collections::BTreeMap::<usize, usize>::new();
    let mut turns: Vec<((usize, usize), P)> = ranked
        .into_iter()
        .map(|(_, at, place)| {
            let rank = rank_in_stretch.entry(at / stretch).or_default();
            *rank += 1;
            ((*rank, at / stretch), place)
        })
        .collect();
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diff::{BothSpans, diff},
        runner::{Silent, run_embedded},
        scenario::model::Scenario,
    };

    impl Judge<'_> {
        /// As `parity run` would judge it.
        pub(super) fn is_noticed_the_whole_way(&self, mutant: &Transcript) -> bool {
            let engine = normalize(mutant);
            self.is_different(diff(self.legacy, &engine, &self.sides.spans))
        }
    }

    #[test]
    fn there_are_many_operators_and_each_has_a_name_of_its_own() {
        let all: Vec<_> = operators::ALL.iter().copied().flatten().collect();
        let names: BTreeSet<_> = all.iter().map(|one| one.name).collect();
        assert!(all.len() >= 40 && names.len() == all.len());
    }

    #[test]
    fn places_are_chosen_by_their_names_and_spread() {
        let places =
            |count: usize| -> Vec<(usize, String)> { (0..count).map(|at| (at, format!("/{at}"))).collect() };
        let chosen = |seed: &str| -> Vec<usize> {
            let turns = in_turn(seed, 4, places(100));
            turns.into_iter().take(4).map(|(at, _)| at).collect()
        };
        assert_eq!(chosen("a"), chosen("a"));
        assert_ne!(chosen("a"), chosen("b"));
        let stretches: Vec<usize> = chosen("a").into_iter().map(|at| at / 25).collect();
        assert_eq!(stretches, [0, 1, 2, 3]);
        let mut all: Vec<usize> = in_turn("a", 4, places(99))
            .into_iter()
            .map(|(at, _)| at)
            .collect();
        all.sort_unstable();
        assert_eq!(
            all,
            (0..99).collect::<Vec<_>>(),
            "none is lost, should some not apply"
        );
    }

    /// Every mutant is judged both ways: see where they are made.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_not_done_again_changes_no_verdict() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nagents: {agent1: {hostname: H}}\nfiles: {Assemblies/Scripts/a.json: {text: '{\"b\": 1, \"a\": 2}'}}\nsteps:\n  \
            - login: admin\n  - enroll: agent1\n  - {socket: ui, connect: {}}\n  - {socket: agent, connect: {}}\n  \
            - {socket: agent, emit: screenshot, data: {agent_id: A, image_base64: AAAA}, ack: true}\n  \
            - rows: SELECT * FROM devices\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let transcript = run_embedded(&scenario, std::path::Path::new("."), &Silent)
            .await
            .unwrap();
        let steps: Vec<_> = scenario.steps.iter().map(|step| (step.id, 0)).collect();
        let sides = BothSides {
            legacy: normalize(&transcript),
            transcript,
            spans: BothSpans::of_replay(&steps),
            names: crate::register::StepNames::of(&scenario),
        };
        let tally = prove(
            &Register::default(),
            &[sides],
            jiff::civil::date(2026, 11, 29),
            4,
            &|_| {},
        )
        .unwrap();
        let moved = tally
            .by_operator()
            .into_iter()
            .find(|(name, _)| name == "member-moved");
        let (_, moved) = moved.unwrap();
        assert!(moved.mutants > 10 && moved.caught == moved.mutants, "{moved:?}");
        let whole = tally.whole();
        assert!(whole.mutants > 1000 && whole.rate() > 90.0, "{}", tally.tables());
    }
}
