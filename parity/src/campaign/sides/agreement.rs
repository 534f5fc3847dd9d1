//! What does not come out the same each time: in several runs of a scenario, and in two of the legacy.

use std::collections::BTreeMap;

use super::Compared;
use crate::{
    diff::Difference,
    register::Ran,
    report::{Flaky, Noise},
    scenario::model::Scenario,
};

/// Moves what the legacy does not agree with itself on from the differences to the notes.
pub(super) fn noise(compared: &mut Compared, unlike: Ran) {
    let Ok(unlike) = unlike.outcome else { return };
    for one in unlike {
        let here = |other: &Difference| {
            let deeper = other.path.strip_prefix(&one.path);
            other.step == one.step && deeper.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut hidden = Vec::new();
        if let Ok(all) = &mut compared.ran.outcome {
            (hidden, *all) = std::mem::take(all).into_iter().partition(here);
        }
        compared.notes.noise.push(Noise {
            scenario: compared.ran.scenario.clone(),
            step: compared.ran.names.name(one.step).unwrap_or_default().to_owned(),
            path: one.path,
            first: one.legacy,
            second: one.engine,
            hides: !hidden.is_empty(),
            engine: hidden.into_iter().next().and_then(|difference| difference.engine),
        });
    }
}

/// Several runs as one: what differed in any of them differs, and what did not in all of them is told.
pub(super) fn several(scenario: &Scenario, mut all: Vec<Compared>) -> Compared {
    let runs = all.len();
    let mut seen: BTreeMap<(u32, String), usize> = BTreeMap::new();
    for compared in &all {
        for one in compared.ran.outcome.iter().flatten() {
            *seen.entry((one.step, one.path.clone())).or_default() += 1;
        }
    }
    let Some(mut compared) = all.pop() else {
        return Ran::could_not_run(&scenario.name, "it did not run".to_owned()).into();
    };
    for earlier in all {
        compared.notes.add(earlier.notes);
        if let (Ok(more), Ok(known)) = (earlier.ran.outcome, &mut compared.ran.outcome) {
            let place = |one: &Difference| (one.step, one.path.clone());
            let there: Vec<_> = known.iter().map(place).collect();
            known.extend(more.into_iter().filter(|one| !there.contains(&place(one))));
        }
    }
    for ((step, path), times) in seen.into_iter().filter(|(_, times)| *times < runs) {
        compared.notes.flaky.push(Flaky {
            scenario: scenario.name.clone(),
            step: compared.ran.names.name(step).unwrap_or_default().to_owned(),
            path,
            differed: times,
            runs,
        });
    }
    compared
}
