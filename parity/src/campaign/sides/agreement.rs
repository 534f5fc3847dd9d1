//! What does not come out the same each time: in several runs of a scenario, and in two of the legacy.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Compared;
use crate::{
    diff::Difference,
    register::Ran,
    report::{Flaky, Noise},
    scenario::model::Scenario,
};

/// What paths begin with that stand for what a scenario expects of itself.
const EXPECTED: &str = "/expect";

/// Moves what the legacy does not agree with itself on from the differences to the notes.
pub(super) fn noise(compared: &mut Compared, unlike: Ran) {
    let Ok(unlike) = unlike.outcome else { return };
    // What the scenario itself expects is of no side.
    let of_both = unlike.into_iter().filter(|one| !one.path.starts_with(EXPECTED));
    for one in of_both {
        let here = |other: &Difference| {
            let deeper = other.path.strip_prefix(&one.path);
            other.step == one.step && deeper.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut hidden = Vec::new();
        if let Ok(all) = &mut compared.ran.outcome {
            (hidden, *all) = std::mem::take(all).into_iter().partition(here);
        }
        let places = hidden
            .iter()
            .map(|difference| (difference.step, difference.path.clone()));
        compared.ran.noisy.extend(places);
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

/// What several runs showed at one place.
#[derive(Default)]
struct Seen<'a> {
    /// In how many of them it differed.
    times: usize,
    /// The values that it had then, the legacy's and the engine's.
    values: Vec<(&'a Option<Value>, &'a Option<Value>)>,
}

/// Several runs as one, of which each is judged by itself, and what was not the same in all of them is told.
pub(super) fn several(scenario: &Scenario, mut all: Vec<Compared>) -> Compared {
    let runs = all.len();
    let mut seen: BTreeMap<(u32, String), Seen> = BTreeMap::new();
    for compared in &all {
        for one in compared.ran.outcome.iter().flatten() {
            let seen = seen.entry((one.step, one.path.clone())).or_default();
            seen.times += 1;
            let values = (&one.legacy, &one.engine);
            if !seen.values.contains(&values) {
                seen.values.push(values);
            }
        }
    }
    let unsteady: Vec<_> = seen
        .into_iter()
        .filter(|(_, seen)| seen.times < runs || seen.values.len() > 1)
        .map(|(place, seen)| (place, seen.times))
        .collect();
    let Some(mut compared) = all.pop() else {
        return Ran::could_not_run(&scenario.name, "it did not run".to_owned()).into();
    };
    for earlier in all {
        compared.notes.add(earlier.notes);
        compared.ran.earlier.push(earlier.ran);
    }
    for ((step, path), times) in unsteady {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::Kind;

    fn run(differences: &[(&str, &str)]) -> Compared {
        let differences = differences.iter().map(|(path, engine)| Difference {
            scenario: "a/b".to_owned(),
            step: 1,
            label: String::new(),
            path: (*path).to_owned(),
            kind: Kind::Value,
            legacy: Some(json!("as recorded")),
            engine: Some(json!(engine)),
        });
        let mut ran = Ran::could_not_run("a/b", String::new());
        ran.outcome = Ok(differences.collect());
        ran.into()
    }

    #[test]
    fn what_the_legacy_does_not_agree_with_itself_on_is_not_compared() {
        let mut compared = run(&[("/body/a", "1"), ("/body/b/c", "2"), ("/status", "500")]);
        let unlike = run(&[("/body/b", "another"), ("/expect/status", "401")]);
        noise(&mut compared, unlike.ran);
        let left: Vec<_> = compared
            .ran
            .outcome
            .iter()
            .flatten()
            .map(|one| &one.path)
            .collect();
        assert_eq!(left, ["/body/a", "/status"]);
        assert_eq!(compared.ran.noisy, [(1, "/body/b/c".to_owned())]);
        let told: Vec<_> = compared.notes.noise.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(told, ["/body/b"], "what a scenario expects is of no side");
    }

    #[test]
    fn what_was_not_the_same_in_every_run_is_told_and_each_run_is_kept() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n  - get: /health\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let runs = vec![
            run(&[("/body/error", "another"), ("/status", "500")]),
            run(&[("/body/error", "as registered"), ("/status", "500")]),
        ];
        let together = several(&scenario, runs);
        let flaky: Vec<_> = together.notes.flaky.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(flaky, ["/body/error"]);
        let shown = |ran: &Ran| ran.outcome.as_ref().unwrap()[0].engine.clone();
        assert_eq!(shown(&together.ran), Some(json!("as registered")));
        assert_eq!(shown(&together.ran.earlier[0]), Some(json!("another")));
    }
}
