//! What people have written into a scenario's file stays when its recording is imported again.
//!
//! Title, area and checklist are the file's. A step is the same where who does it and what is done are: the first of
//! several alike is the first again. Its name, note and expectations are then the file's too, and so are the names of
//! queries. What has no such step any more is told, so that nobody misses it; so are remarks,
//! which no program keeps.

use crate::scenario::{
    emit::{straighten, usual_names},
    model::{Action, Scenario, Step},
};

/// What became of a file's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What stayed.
    pub kept: Vec<String>,
    /// What has no place any more.
    pub lost: Vec<String>,
}

/// Brings the imported scenario into its written form, with what people have written into `existing`.
pub fn keep(imported: &mut Scenario, existing: Option<&Scenario>) -> Kept {
    let mut kept = Kept::default();
    let Some(existing) = existing else {
        straighten(imported);
        return kept;
    };
    let told = |out: &mut Vec<String>, what: &str, text: &str| out.push(format!("{what}: {text}"));
    if existing.title != imported.title {
        imported.title.clone_from(&existing.title);
        told(&mut kept.kept, "title", &existing.title);
    }
    imported.area.clone_from(&existing.area);
    if existing.checklist != imported.checklist {
        imported.checklist.clone_from(&existing.checklist);
        told(&mut kept.kept, "checklist", &existing.checklist.join(", "));
    }
    imported.queries.clone_from(&existing.queries);
    // Both sides in one form, so that shorthands and hostnames compare.
    straighten(imported);
    let fresh = imported.clone();
    for step in &mut imported.steps {
        step.name.clear();
    }
    let usual = usual_names(existing);
    for (step, usual) in existing.steps.iter().zip(usual) {
        let named = step.name != usual;
        let same = counterpart(step, existing, &fresh).and_then(|at| imported.steps.get_mut(at));
        let Some(same) = same else {
            if named {
                kept.lost.push(format!("the name of step `{}`", step.name));
            }
            // A step whose values are others in each recording brings its note along.
            if !step.note.is_empty() && !fresh.steps.iter().any(|one| one.note == step.note) {
                kept.lost
                    .push(format!("the note of step `{}`: {}", step.name, step.note));
            }
            if !step.expect.is_empty() {
                kept.lost.push(format!("what step `{}` expects", step.name));
            }
            continue;
        };
        if named {
            same.name.clone_from(&step.name);
            kept.kept.push(format!("the name of step `{}`", step.name));
        }
        if same.note != step.note {
            same.note.clone_from(&step.note);
            kept.kept
                .push(format!("the note of step `{}`: {}", step.name, step.note));
        }
        if !step.expect.is_empty() {
            same.expect.clone_from(&step.expect);
            kept.kept.push(format!("what step `{}` expects", step.name));
        }
    }
    straighten(imported);
    kept
}

/// Where in `other` the same step stands.
fn counterpart(step: &Step, of: &Scenario, other: &Scenario) -> Option<usize> {
    let alike = |one: &&Step| is_same(one, step);
    let before = of
        .steps
        .iter()
        .take_while(|one| one.id != step.id)
        .filter(alike)
        .count();
    let mut all = other
        .steps
        .iter()
        .enumerate()
        .filter(|(_, one)| is_same(one, step));
    all.nth(before).map(|(at, _)| at)
}

fn is_same(one: &Step, other: &Step) -> bool {
    one.who == other.who
        && match (&one.action, &other.action) {
            // What was worked out from the answers of one recording is another text in the next.
            (Action::Check(_), Action::Check(_)) => true,
            (one, other) => one == other,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::emit::to_yaml;

    const FRESH: &str = "format: 2\ntitle: Recorded.\narea: A\nstarted_at: 1\nsteps:\n  - {get: /a, note: recorded}\n  - get: /b\n  - get: /b\n  - rows: SELECT 1 FROM devices\n  - rows: SELECT 1 FROM devices\n";
    const FILE: &str = "format: 2\ntitle: By hand.\narea: B\nchecklist: [X-1]\nstarted_at: 9\nqueries: {seen: SELECT 1 FROM devices}\nsteps:\n  - {get: /a, note: by hand}\n  - {get: /gone, name: gone, note: why, expect: {status: 200}}\n  - get: /b\n  - {get: /b, name: again, expect: {status: 404}}\n  - rows: seen\n";

    #[test]
    fn what_people_wrote_stays_where_the_step_is_the_same() {
        let mut imported = Scenario::read("a/b", FRESH).unwrap();
        for step in &mut imported.steps {
            step.name.clear();
        }
        let existing = Scenario::read("a/b", FILE).unwrap();
        let kept = keep(&mut imported, Some(&existing));
        insta::assert_snapshot!(to_yaml(&imported), @r#"
        format: 2
        title: By hand.
        area: B
        checklist: ["X-1"]
        started_at: 1
        queries:
          seen: SELECT 1 FROM devices
        steps:
          - note: by hand
            get: /a
          - get: /b
          - name: again
            get: /b
            expect: {"status": 404}
          - rows: seen
          - rows: seen
        "#);
        assert_eq!(
            kept.kept,
            [
                "title: By hand.",
                "checklist: X-1",
                "the note of step `GET a`: by hand",
                "the name of step `again`",
                "what step `again` expects",
            ]
        );
        assert_eq!(
            kept.lost,
            [
                "the name of step `gone`",
                "the note of step `gone`: why",
                "what step `gone` expects",
            ]
        );
    }
}
