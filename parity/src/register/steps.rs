//! Steps by their names.
//!
//! The register calls steps by their names wherever it speaks of one, in places as in values: a step that is put into a
//! scenario moves numbers, and no names.
//!
//! Long because what reads such a name and what writes it are read together.

use super::covers;
use crate::scenario::{
    agent::Agent,
    library,
    model::Scenario,
    names::{AFTER_THE_STEPS, START},
};
use crate::transcript::{ASKED_AFTER, HEARD_AFTER, LEFT_AFTER};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The member of an event that tells after which step it came.
pub(super) const AFTER_STEP: &str = "after_step";
/// The member that a time stands under, and those of the time itself.
const TIME: &str = "<time>";
const OFFSET: &str = "offset_us";
const SECOND: &str = "second";
const SECOND_US: i64 = 1_000_000;
/// At most so many names are offered in place of a wrong one.
const OFFERED: usize = 3;

static SEEN_IN_STEP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"first seen in step (\d+) ").ok());

/// Shorter values of agents, such as host names, may be equal to something else by chance.
const SHORTEST: usize = 32;

/// The names of a scenario's steps, of what is seen once they are over, and of its agents' values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepNames {
    steps: BTreeMap<u32, String>,
    /// What a value is called in the scenario: `${agent1.fingerprint}`.
    values: BTreeMap<String, String>,
    /// Whether it is made for servers that others use.
    is_shared: bool,
}

impl From<BTreeMap<u32, String>> for StepNames {
    fn from(names: BTreeMap<u32, String>) -> Self {
        Self {
            steps: names,
            values: BTreeMap::new(),
            is_shared: false,
        }
    }
}

impl StepNames {
    /// The names of steps in their order.
    pub fn new<'a>(steps: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = BTreeMap::new();
        let mut last = 0;
        for step in steps {
            last += 1;
            names.insert(last, step.to_owned());
        }
        for (behind, name) in [ASKED_AFTER, HEARD_AFTER, LEFT_AFTER]
            .into_iter()
            .zip(AFTER_THE_STEPS)
        {
            names.insert(last + behind, name.to_owned());
        }
        Self::from(names)
    }

    /// The names that a scenario gives.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let mut names = Self::new(scenario.steps.iter().map(|step| step.name.as_str()));
        names.is_shared = scenario.shared.is_some();
        let values = scenario.agents.iter().flat_map(Agent::values);
        for (name, value) in values.filter(|(_, value)| value.len() >= SHORTEST) {
            names.values.entry(value).or_insert(format!("${{{name}}}"));
        }
        names
    }

    /// The place of a step.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        self.steps
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(number, _)| *number)
    }

    /// The name of a step.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&str> {
        self.steps.get(&number).map(String::as_str)
    }

    /// Those of the steps by their places.
    #[must_use]
    pub fn into_all(self) -> BTreeMap<u32, String> {
        self.steps
    }

    /// The names that come nearest to a wrong one.
    fn nearest(&self, wrong: &str) -> String {
        let mut names: Vec<&String> = self.steps.values().collect();
        names.sort_by_key(|name| strsim::osa_distance(name, wrong));
        let names: Vec<String> = names
            .into_iter()
            .take(OFFERED)
            .map(|name| format!("`{name}`"))
            .collect();
        names.join(", ")
    }
}

/// How values are written for people, and so in the register: with the names of steps and of agents' values, and with
/// times that say which second it was.
pub(super) struct Wording<'a> {
    /// What steps are called.
    pub(super) names: &'a StepNames,
    /// Unix time in microseconds at which the scenario began; nothing where times are said already.
    pub(super) started_at_us: Option<i64>,
    /// Whether the value stands in what sockets received.
    pub(super) is_heard: bool,
}

impl Wording<'_> {
    /// A side of a difference at a path.
    pub(super) fn side(&self, path: &str, value: &Value) -> Value {
        let is_step = path.ends_with(&format!("/{AFTER_STEP}"));
        if self.is_heard && is_step {
            return self.after(value);
        }
        self.value(value, self.is_heard)
    }

    fn value(&self, value: &Value, is_event: bool) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item, is_event)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| {
                    let value = match key.as_str() {
                        AFTER_STEP if is_event => self.after(value),
                        TIME => self.time(value),
                        // What an event carries is the server's own.
                        key => self.value(value, is_event && key != "data"),
                    };
                    (self.text(key), value)
                })
                .collect(),
            other => other.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        if let Some(name) = self.names.values.get(text) {
            return name.clone();
        }
        let Some(pattern) = SEEN_IN_STEP.as_ref() else {
            return text.to_owned();
        };
        let name = |found: &regex::Captures<'_>| {
            let number = found.get(1).and_then(|number| number.as_str().parse().ok());
            match number.and_then(|number| self.names.name(number)) {
                Some(name) => format!("first seen in step `{name}` "),
                None => found
                    .get(0)
                    .map_or_else(String::new, |all| all.as_str().to_owned()),
            }
        };
        pattern.replace_all(text, name).into_owned()
    }

    /// The step after which an event came; before the first one it is the start.
    fn after(&self, value: &Value) -> Value {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let name = match number {
            Some(0) => Some(START),
            number => number.and_then(|number| self.names.name(number)),
        };
        name.map_or_else(|| value.clone(), |name| Value::String(name.to_owned()))
    }

    /// A time that is a whole second, counted from the one in which the scenario began: so it is the same in scenarios
    /// that began at another part of a second.
    fn time(&self, value: &Value) -> Value {
        let whole = |value: &Value| {
            let start = self.started_at_us?;
            let at = start.checked_add(value.as_i64()?)?;
            (at.rem_euclid(SECOND_US) == 0)
                .then(|| (at - start.div_euclid(SECOND_US) * SECOND_US) / SECOND_US)
        };
        let Value::Object(members) = value else {
            return value.clone();
        };
        let said = members.iter().map(|(key, value)| match whole(value) {
            Some(second) if key == OFFSET => (SECOND.to_owned(), second.into()),
            _ => (key.clone(), value.clone()),
        });
        Value::Object(said.collect())
    }
}

/// All scenarios that there are, with the names of their steps; nothing for one that cannot be read.
#[derive(Clone, Debug, Default)]
pub struct KnownScenarios(BTreeMap<String, Option<StepNames>>);

impl KnownScenarios {
    /// What a folder of scenarios holds.
    #[must_use]
    pub fn of(entries: &[library::Entry]) -> Self {
        let names = entries.iter().map(|entry| {
            let steps = entry.scenario.as_ref().ok().map(StepNames::of);
            (entry.name.clone(), steps)
        });
        Self(names.collect())
    }

    /// Scenarios by name and steps.
    pub fn new(scenarios: impl IntoIterator<Item = (String, StepNames)>) -> Self {
        let scenarios = scenarios.into_iter().map(|(name, steps)| (name, Some(steps)));
        Self(scenarios.collect())
    }

    /// Whether a scenario is made for servers that others use; one that cannot be read may be.
    pub(super) fn is_shared(&self, scenario: &str) -> bool {
        match self.0.get(scenario) {
            Some(Some(names)) => names.is_shared,
            Some(None) => true,
            None => false,
        }
    }

    /// What is wrong with the name of a scenario, or with a pattern of them.
    pub(super) fn scenario_fault(&self, pattern: &str) -> Option<String> {
        if self.0.keys().any(|known| covers(pattern, known)) {
            return None;
        }
        let nearest = self
            .0
            .keys()
            .min_by_key(|known| strsim::osa_distance(known, pattern));
        let nearest = nearest
            .map(|name| format!("; the nearest name is `{name}`"))
            .unwrap_or_default();
        Some(format!("there is no scenario `{pattern}`{nearest}"))
    }

    /// What is wrong with the name of a step.
    #[must_use]
    pub fn step_fault(&self, scenario: &str, step: &str) -> Option<String> {
        let Some(known) = self.0.get(scenario) else {
            // A pattern: what is seen once the steps are over is the same everywhere.
            let everywhere = AFTER_THE_STEPS.contains(&step) || !scenario.contains('*');
            let fault = format!(
                "`{step}` in `{scenario}`: of a pattern of scenarios only `asked`, `heard`, `left` and \"any\" can be named"
            );
            return (!everywhere).then_some(fault);
        };
        let known = known.as_ref()?;
        let fault = || {
            format!(
                "{scenario} has no step `{step}`; the nearest are {}",
                known.nearest(step)
            )
        };
        known.number(step).is_none().then(fault)
    }

    /// What to write in place of a step's number.
    pub(super) fn number_fault(&self, scenario: &str, number: u32) -> String {
        let name = self
            .0
            .get(scenario)
            .and_then(Option::as_ref)
            .and_then(|steps| steps.name(number));
        let cure = name.map_or_else(
            || "`parity show` prints the names".to_owned(),
            |name| format!("step {number} is called \"{name}\""),
        );
        format!(
            "`{scenario}` = [{number}]: steps go by their names, which stay when a step is put in; {cure}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names() -> StepNames {
        StepNames::new(["login admin", "GET users"])
    }

    #[test]
    fn steps_have_a_name_and_a_place_and_so_has_what_follows_them() {
        assert_eq!(
            (names().number("GET users"), names().name(2)),
            (Some(2), Some("GET users"))
        );
        assert_eq!(
            (names().number("left"), names().name(4)),
            (Some(5), Some("heard"))
        );
        assert_eq!(names().name(6), None);
    }

    #[test]
    fn values_call_steps_by_their_names() {
        let names = names();
        let said = |path: &str, value: Value| {
            let wording = Wording {
                names: &names,
                started_at_us: None,
                is_heard: path.starts_with("/sockets/"),
            };
            wording.side(path, &value)
        };
        assert_eq!(
            said(
                "/body",
                json!({ "a": ["<uuid first seen in step 2 /body/id>"], "after_step": 1 })
            ),
            json!({ "a": ["<uuid first seen in step `GET users` /body/id>"], "after_step": 1 }),
            "only events come after a step"
        );
        assert_eq!(
            said(
                "/sockets/1 ui/events/0",
                json!({ "after_step": 0, "event": "x", "data": { "after_step": 9 } })
            ),
            json!({ "after_step": "start", "event": "x", "data": { "after_step": 9 } })
        );
        assert_eq!(
            said("/sockets/1 ui/events/0/after_step", json!(2)),
            json!("GET users")
        );
    }

    #[test]
    fn what_is_an_agent_s_own_has_the_name_that_the_scenario_gives_it() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nagents: {agent1: {hostname: H}}\nsteps:\n  - get: /\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let names = StepNames::of(&scenario);
        let wording = Wording {
            names: &names,
            started_at_us: None,
            is_heard: false,
        };
        for (name, value) in scenario.agents[0].values() {
            let said = if value.len() < SHORTEST {
                value.clone()
            } else {
                format!("${{{name}}}")
            };
            assert_eq!(wording.side("/body", &json!([value])), json!([said]));
        }
        assert_eq!(
            wording.side("/body", &json!("H")),
            json!("H"),
            "a host name may stand for itself"
        );
    }

    #[test]
    fn a_whole_second_is_counted_from_the_one_in_which_the_scenario_began() {
        let names = names();
        let said = |started_at_us: i64, offset_us: i64| {
            let wording = Wording {
                names: &names,
                started_at_us: Some(started_at_us),
                is_heard: false,
            };
            let value = json!({ "<time>": { "format": "epoch", "offset_us": offset_us } });
            wording.side("/body", &value)["<time>"].clone()
        };
        assert_eq!(
            said(5_250_000, 1_750_000),
            json!({ "format": "epoch", "second": 2 })
        );
        assert_eq!(
            said(5_900_000, -300_900_000),
            json!({ "format": "epoch", "second": -300 })
        );
        assert_eq!(said(5_250_000, 1), json!({ "format": "epoch", "offset_us": 1 }));
    }

    #[test]
    fn a_wrong_name_is_told_with_the_nearest() {
        let known = KnownScenarios::new([("a/b".to_owned(), names())]);
        assert_eq!(known.step_fault("a/b", "left"), None);
        assert_eq!(
            known.step_fault("a/b", "GET user").unwrap(),
            "a/b has no step `GET user`; the nearest are `GET users`, `asked`, `heard`"
        );
        assert!(
            known
                .number_fault("a/b", 2)
                .ends_with("step 2 is called \"GET users\"")
        );
        assert!(
            known
                .number_fault("a/b", 9)
                .ends_with("`parity show` prints the names")
        );
        assert_eq!(known.step_fault("a/*", "heard"), None);
        assert!(
            known
                .step_fault("a/*", "GET users")
                .unwrap()
                .contains("of a pattern")
        );
        assert_eq!(
            known.scenario_fault("a/c").unwrap(),
            "there is no scenario `a/c`; the nearest name is `a/b`"
        );
        assert_eq!(known.scenario_fault("*/b"), None);
    }
}
