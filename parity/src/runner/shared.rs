//! What a scenario shows on a server that others use, in words that are the same on every such server: its own entries
//! alone, its names without what belongs to this run, and rows counted instead of numbered.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    mask::{Mask, Masked},
    scenario::{
        agent::hex,
        clock::real_time,
        model::Scenario,
        shorthand::{OPERATOR, OPERATOR_PASSWORD, RUN},
        template::Names,
    },
    target::operator::Operator,
    transcript::HeardEvent,
};

/// Shorter values of agents may be equal to something else by chance.
const SHORTEST: usize = 32;
/// How deep in an answer a list may stand of which only the own entries count.
const DEEPEST: usize = 1;

/// One run of a scenario on a server that others use.
#[derive(Debug)]
pub(super) struct Shared {
    /// What its names begin with.
    prefix: String,
    operator: String,
    /// Values that belong to this run, and what stands for them.
    own: Vec<(String, String)>,
    /// The numbers of rows, in the order in which they were seen.
    numbers: BTreeMap<String, usize>,
    pub(super) masked: Masked,
}

impl Shared {
    /// A run with names of its own: the scenario's agents get them, and keys of their own.
    pub(super) fn begin(scenario: &mut Scenario, operator: &Operator, names: &mut Names) -> Self {
        let chance = format!(
            "{} {:?} {}",
            real_time().as_nanosecond(),
            std::thread::current().id(),
            next()
        );
        let digest = hex(&Sha256::digest(format!("{chance} {}", std::process::id())));
        let prefix = format!("parity-{}", digest.get(..8).unwrap_or(&digest));
        let mut own = Vec::new();
        for agent in &mut scenario.agents {
            agent.hostname = format!("{prefix}-{}", agent.hostname);
            agent.seed = Sha256::digest(format!("{prefix}:{}", agent.name)).into();
            let nonce = agent.nonce();
            // The nonce follows from the agent's name, so every run has the same.
            let is_own = |value: &String| value.len() >= SHORTEST && *value != nonce;
            let long = agent.values().into_iter().filter(|(_, value)| is_own(value));
            own.extend(long.map(|(name, value)| (value, format!("${{{name}}}"))));
            own.push((agent.thumbprint(), format!("${{{}.thumbprint}}", agent.name)));
        }
        own.push((prefix.clone(), format!("${{{RUN}}}")));
        for (name, value) in [
            (RUN, &prefix),
            (OPERATOR, &operator.name),
            (OPERATOR_PASSWORD, &operator.password),
        ] {
            names.insert(name.to_owned(), Value::String(value.clone()));
        }
        Self {
            prefix,
            operator: operator.name.clone(),
            own,
            numbers: BTreeMap::new(),
            masked: Masked::default(),
        }
    }

    /// Whether a value mentions this run.
    fn is_own(&self, value: &Value) -> bool {
        self.mentions(&value.to_string())
    }

    pub(super) fn mentions(&self, text: &str) -> bool {
        self.own.iter().any(|(own, _)| text.contains(own.as_str()))
    }

    /// An answer without the entries of others.
    pub(super) fn only_own(&mut self, value: Value) -> Value {
        self.without_others(value, 0)
    }

    fn without_others(&mut self, value: Value, depth: usize) -> Value {
        match value {
            Value::Array(items) if items.iter().all(Value::is_object) => {
                let before = items.len();
                let own: Vec<Value> = items.into_iter().filter(|item| self.is_own(item)).collect();
                if own.len() < before {
                    self.masked.note(Mask::Others);
                }
                Value::Array(own)
            }
            Value::Object(members) if depth == 0 && members.values().all(Value::is_object) => {
                let before = members.len();
                let own: Map<String, Value> = members
                    .into_iter()
                    .filter(|(key, value)| self.mentions(key) || self.is_own(value))
                    .collect();
                if own.len() < before {
                    self.masked.note(Mask::Others);
                }
                Value::Object(own)
            }
            Value::Object(members) if depth < DEEPEST => members
                .into_iter()
                .map(|(key, value)| (key, self.without_others(value, depth + 1)))
                .collect(),
            other => other,
        }
    }

    /// Leaves the events of others out.
    pub(super) fn only_own_events(&mut self, events: &mut Vec<HeardEvent>) {
        let before = events.len();
        events.retain(|event| !event.is_event() || self.is_own(&event.data));
        if events.len() < before {
            self.masked.note(Mask::Others);
        }
    }

    /// A text without what belongs to this run.
    pub(super) fn text(&self, text: &str) -> String {
        if text == self.operator {
            return format!("${{{OPERATOR}}}");
        }
        let own = self.own.iter();
        own.fold(text.to_owned(), |text, (value, name)| text.replace(value, name))
    }

    /// The number of a row, counted instead; nothing where it is none.
    pub(super) fn number(&mut self, field: &str, value: &Value) -> Option<Value> {
        if field == "age_seconds" && value.is_number() {
            // Others asked for it at other times.
            self.masked.note(Mask::Others);
            return Some(json!("<age>"));
        }
        let is_row = field == "id" || field.ends_with("_id");
        let number = value.as_u64().filter(|_| is_row)?;
        let next = self.numbers.len() + 1;
        let count = *self.numbers.entry(number.to_string()).or_insert(next);
        self.masked.note(Mask::RowNumber);
        Some(json!(format!("<row {count}>")))
    }

    /// What is in everything that this run gave a name to.
    pub(super) fn own_values(&self) -> Vec<String> {
        self.own.iter().map(|(value, _)| value.clone()).collect()
    }

    /// What belongs to this run alone, with what stands for it: within signed and encoded texts it is not seen before they
    /// are taken apart.
    pub(super) fn words(&self) -> Vec<(String, String)> {
        self.own.clone()
    }

    /// What people look for to remove by hand, as it is called there.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// A number that nobody else in this process has had.
fn next() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> (Scenario, Names, Shared) {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nshared: {}\nagents: {a: {hostname: H}}\nsteps:\n  - get: /\n";
        let mut scenario = Scenario::read("a/b", text).unwrap();
        let mut names = Names::new();
        let operator = Operator {
            name: "olga".to_owned(),
            password: "secret".to_owned(),
        };
        let shared = Shared::begin(&mut scenario, &operator, &mut names);
        (scenario, names, shared)
    }

    #[test]
    fn two_runs_have_nothing_in_common_and_show_the_same() {
        let ((one, one_names, mut first), (other, _, mut second)) = (begin(), begin());
        assert!(one.agents[0].hostname.starts_with(first.prefix()));
        assert_ne!(one.agents[0].hostname, other.agents[0].hostname);
        assert_ne!(one.agents[0].fingerprint(), other.agents[0].fingerprint());
        assert_eq!(one_names[OPERATOR], json!("olga"));
        let shown = |scenario: &Scenario, shared: &mut Shared, row: u64| {
            let agent = &scenario.agents[0];
            [
                shared.text(&format!("{}_{}", agent.hostname, agent.fingerprint())),
                shared.text("olga"),
                shared.number("job_id", &json!(row)).unwrap().to_string(),
                shared.number("id", &json!(row + 1)).unwrap().to_string(),
                shared.number("site_id", &json!(row)).unwrap().to_string(),
            ]
        };
        let first = shown(&one, &mut first, 7);
        assert_eq!(first[..2], ["${run}-H_${a.fingerprint}", "${operator.name}"]);
        assert_eq!(first[2], first[4]);
        assert_ne!(first[2], first[3]);
        assert_eq!(first, shown(&other, &mut second, 90));
    }

    #[test]
    fn of_lists_only_the_own_entries_count() {
        let (_, _, mut shared) = begin();
        let mine = json!({"name": format!("{} job", shared.prefix())});
        let theirs = json!({"name": "nightly"});
        for (all, own) in [
            (json!([mine, theirs]), json!([mine])),
            (
                json!({"jobs": [theirs, mine], "count": 2}),
                json!({"jobs": [mine], "count": 2}),
            ),
            (json!({"a": mine, "b": theirs}), json!({"a": mine})),
            (json!({"names": ["nightly"]}), json!({"names": ["nightly"]})),
            (json!("text"), json!("text")),
        ] {
            assert_eq!(shared.only_own(all), own);
        }
    }
}
