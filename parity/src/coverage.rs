//! Which routes and events of the server the scenarios touch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use borealis_engine::interfaces::{
    events::EVENTS,
    http::{health, routes},
};
use regex::Regex;

use crate::{
    normalize::pattern,
    scenario::{
        model::{Action, Policy, Scenario},
        polling::ENDPOINT,
        socket::SocketAct,
    },
};

/// What a template stands for is not known before the scenario runs; a number fits wherever a value of any kind does.
static TEMPLATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\$\{[^}]*\}"));
/// What the server shows on every path that is no route's.
const PAGES: &str = "GET <every other path>: the web client's files, or the page that says what is missing";
const CHANNEL: &str = "GET, POST /socket.io/";

/// A route or an event, and who touches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// `GET /api/devices` or `event agent_heartbeat`.
    pub name: String,
    /// The scenarios under the policy `legacy`, which are compared with recordings.
    pub legacy: BTreeSet<String>,
    /// The scenarios under the policy `strict`.
    pub strict: BTreeSet<String>,
}

impl Touched {
    /// Whether no scenario touches it.
    #[must_use]
    pub fn by_none(&self) -> bool {
        self.legacy.is_empty() && self.strict.is_empty()
    }
}

impl fmt::Display for Touched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name)?;
        for (policy, scenarios) in [("legacy", &self.legacy), ("strict", &self.strict)] {
            let names: Vec<&str> = scenarios.iter().map(String::as_str).collect();
            let names = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            write!(out, "\n    {policy} ({}): {names}", scenarios.len())?;
        }
        Ok(())
    }
}

/// Every route, event that clients send and event that scenarios receive, with the scenarios that touch it.
pub fn of<'a>(scenarios: impl Iterator<Item = &'a Scenario>) -> Vec<Touched> {
    let table = health::routes().merge(routes::table());
    let mut all: Vec<Touched> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let routes = table.listing().map(|(method, path)| format!("{method} {path}"));
    let events = EVENTS.iter().map(|event| format!("event {event}"));
    for name in routes.chain([CHANNEL.to_owned(), PAGES.to_owned()]).chain(events) {
        places.insert(name.clone(), all.len());
        all.push(Touched {
            name,
            legacy: BTreeSet::new(),
            strict: BTreeSet::new(),
        });
    }
    let mut received: BTreeMap<String, Touched> = BTreeMap::new();
    for scenario in scenarios {
        let touch = |touched: &mut Touched| {
            let names = match scenario.policy {
                Policy::Legacy => &mut touched.legacy,
                Policy::Strict => &mut touched.strict,
            };
            names.insert(scenario.name.clone());
        };
        for step in &scenario.steps {
            let name = match &step.action {
                Action::Http(request) => {
                    let path = TEMPLATE.replace_all(&request.path, "1");
                    let path = path.split('?').next().unwrap_or_default();
                    let method = if request.method == "HEAD" {
                        "GET"
                    } else {
                        request.method
                    };
                    if path.starts_with(ENDPOINT) {
                        Some(CHANNEL.to_owned())
                    } else {
                        let found = table.pattern_of(method, path);
                        found
                            .map(|path| format!("{method} {path}"))
                            .or_else(|| (method == "GET").then(|| PAGES.to_owned()))
                    }
                }
                Action::Socket(socket) => match &socket.act {
                    SocketAct::Connect(_) => Some(CHANNEL.to_owned()),
                    SocketAct::Emit(emit) => Some(format!("event {}", emit.event)),
                    SocketAct::Receive(event) => {
                        let name = format!("received event {event}");
                        touch(received.entry(name.clone()).or_insert_with(|| Touched {
                            name,
                            legacy: BTreeSet::new(),
                            strict: BTreeSet::new(),
                        }));
                        None
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some(touched) = name
                .and_then(|name| places.get(&name))
                .and_then(|at| all.get_mut(*at))
            {
                touch(touched);
            }
        }
    }
    all.extend(received.into_values());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::library;

    #[test]
    fn every_route_and_event_has_a_scenario() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let entries = library::load(&folder).unwrap();
        let touched = of(entries.iter().map(|entry| entry.scenario.as_ref().unwrap()));
        let none: Vec<_> = touched
            .iter()
            .filter(|one| one.by_none())
            .map(|one| &one.name)
            .collect();
        assert_eq!(none, [""; 0], "no scenario touches them");
    }

    #[test]
    fn a_template_is_whatever_the_route_has_there() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n  \
            - {set: {id: 1}}\n  - {put: \"/api/device_list_views/${id}?x=1\", json: {}}\n  - {head: /api/devices}\n  - {get: /nothing}\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let touched = of([&scenario].into_iter());
        let names: Vec<_> = touched
            .iter()
            .filter(|one| !one.by_none())
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["GET /api/devices", "PUT /api/device_list_views/{id:int}", PAGES]
        );
    }
}
