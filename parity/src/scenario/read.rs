//! Reads a scenario's file: every mistake in it is collected, with its place.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

use super::{
    agent::Agent,
    files::{link_stays_inside, stays_inside},
    model::{FORMAT, FileSource, ModelError, Policy, Scenario, Shared, Step, microseconds},
    names::START,
    shorthand, socket,
    steps::{Reader, file_source},
    upstream::{Exchange, Upstream},
    yaml::{self, Fault, Fields, Node},
};

/// Reads a file of the present format.
pub(super) fn read(name: &str, text: &str) -> Result<Scenario, ModelError> {
    any(name, text, FORMAT).map(|(scenario, _)| scenario)
}

/// Reads a file of format 1, with the number that each of its steps has there.
pub(super) fn read_old(name: &str, text: &str) -> Result<(Scenario, Vec<u32>), ModelError> {
    any(name, text, 1)
}

/// The format that a file says it has.
pub(super) fn format(text: &str) -> Result<u32, Fault> {
    let root = yaml::read(text)?;
    let place = root.place;
    let mut faults = Vec::new();
    let format = root
        .fields("a scenario", &mut faults)
        .and_then(|mut fields| fields.whole("format", &mut faults));
    let cure = || place.fault(format!("a scenario begins with `format: {FORMAT}`"));
    format.ok_or_else(|| faults.into_iter().next().unwrap_or_else(cure))
}

fn any(name: &str, text: &str, format: u32) -> Result<(Scenario, Vec<u32>), ModelError> {
    let one = |fault: Fault| ModelError(vec![fault]);
    let root = yaml::read(text).map_err(one)?;
    let place = root.place;
    let mut faults = Vec::new();
    let Some(mut fields) = root.fields("a scenario", &mut faults) else {
        return Err(ModelError(faults));
    };
    // A file of another version has other fields: saying so helps more than naming the strange ones.
    match fields.whole::<u32>("format", &mut faults) {
        Some(found) if found == format => {}
        Some(found) if found > FORMAT => {
            let reason = format!("format {found} is newer than this program, which reads {FORMAT}");
            return Err(one(place.fault(reason)));
        }
        Some(found) => {
            let reason = format!(
                "format {found} is older than this program reads ({FORMAT}): `parity convert` turns it"
            );
            return Err(one(place.fault(reason)));
        }
        None => {
            faults.push(place.fault(format!("a scenario begins with `format: {FORMAT}`")));
            return Err(ModelError(faults));
        }
    }
    let read = whole(name, fields, format < FORMAT, &mut faults);
    if faults.is_empty() {
        return Ok(read);
    }
    faults.sort();
    faults.dedup();
    Err(ModelError(faults))
}

fn whole(name: &str, mut fields: Fields, old: bool, faults: &mut Vec<Fault>) -> (Scenario, Vec<u32>) {
    let place = fields.place;
    for key in ["title", "area", "started_at", "steps"] {
        if !fields.has(key) {
            faults.push(place.fault(format!("a scenario has `{key}:`")));
        }
    }
    let title = fields.text("title", faults).unwrap_or_default();
    let area = fields.text("area", faults).unwrap_or_default();
    let checklist = fields.take("checklist").map_or_else(Vec::new, |node| {
        let items = node.list("checklist", faults);
        items
            .iter()
            .filter_map(|item| item.text("an entry of the checklist", faults))
            .collect()
    });
    let started_at_us = fields.number("started_at", faults).map_or(0, microseconds);
    let policy = match fields.take("policy") {
        None => Policy::Legacy,
        Some(node) => match node.text("policy", faults).as_deref() {
            Some("strict") => Policy::Strict,
            Some("legacy") | None => Policy::Legacy,
            Some(_) => {
                faults.push(node.place.fault("the policy is legacy or strict"));
                Policy::Legacy
            }
        },
    };
    let sorted = |node: Option<Node>, what: &str, faults: &mut Vec<Fault>| {
        let mut texts = node.map_or_else(Vec::new, |node| socket::texts(node, what, faults));
        texts.sort();
        texts
    };
    let env = sorted(fields.take("env"), "env", faults);
    let queries = fields.take("queries");
    let queries = queries.map_or_else(Vec::new, |node| socket::texts(node, "queries", faults));
    let agents = agents(name, &mut fields, faults);
    let files = files(&mut fields, faults);
    let upstream = fields.take("upstream");
    let shared = fields.take("shared").and_then(|node| shared(node, faults));
    let nodes = fields
        .take("steps")
        .map_or_else(Vec::new, |node| node.list("steps", faults));
    let mut reader = Reader {
        queries: &queries,
        old,
        faults,
    };
    let (mut steps, numbers) = reader.steps(nodes);
    if shared.is_some() {
        shorthand::share(&mut steps);
    }
    let upstream = upstream.and_then(|node| {
        let numbers = old.then_some(numbers.as_slice());
        upstream_of(node, &steps, numbers, faults)
    });
    fields.end("a scenario", faults);
    let scenario = Scenario {
        name: name.to_owned(),
        title,
        area,
        checklist,
        agents,
        started_at_us,
        policy,
        env,
        files,
        queries,
        upstream,
        shared,
        steps,
    };
    (scenario, numbers)
}

/// What a scenario for servers that others use says about itself.
fn shared(node: Node, faults: &mut Vec<Fault>) -> Option<Shared> {
    let mut fields = node.fields("shared", faults)?;
    let leaves = fields.take("leaves").map_or_else(Vec::new, |node| {
        let items = node.list("leaves", faults);
        let texts = items.iter().filter_map(|item| item.text("what is left", faults));
        texts.collect()
    });
    fields.end("shared", faults);
    Some(Shared { leaves })
}

/// The seed of an agent that names none: it follows from scenario and agent, so runs repeat themselves.
fn derived_seed(scenario: &str, agent: &str) -> [u8; 32] {
    Sha256::digest(format!("seed:{scenario}:{agent}")).into()
}

fn agents(scenario: &str, fields: &mut Fields, faults: &mut Vec<Fault>) -> Vec<Agent> {
    let mut agents = Vec::new();
    let all = fields
        .take("agents")
        .and_then(|node| node.fields("agents", faults));
    for (name, place, node) in all.map(|mut all| all.rest()).unwrap_or_default() {
        let Some(mut fields) = node.fields(&format!("agent {name}"), faults) else {
            continue;
        };
        let hostname = fields.text("hostname", faults);
        if hostname.is_none() {
            faults.push(place.fault(format!("agent {name} has no hostname")));
        }
        let seed = match fields.text("seed", faults) {
            None => Some(derived_seed(scenario, &name)),
            Some(seed) => BASE64.decode(seed).ok().and_then(|seed| seed.try_into().ok()),
        };
        if seed.is_none() {
            faults.push(place.fault("the seed is no base64 text of 32 bytes"));
        }
        fields.end(&format!("agent {name}"), faults);
        agents.push(Agent {
            name,
            hostname: hostname.unwrap_or_default(),
            seed: seed.unwrap_or_default(),
        });
    }
    agents.sort_by(|one, other| one.name.cmp(&other.name));
    agents
}

fn files(fields: &mut Fields, faults: &mut Vec<Fault>) -> Vec<(String, FileSource)> {
    let mut files = Vec::new();
    let all = fields.take("files").and_then(|node| node.fields("files", faults));
    for (path, place, node) in all.map(|mut all| all.rest()).unwrap_or_default() {
        if !stays_inside(&path) {
            faults.push(place.fault(format!("{path} leaves the root")));
        }
        if let Some(mut fields) = node.fields("a file", faults) {
            let source = placed_source(&path, &mut fields, faults);
            fields.end("a file", faults);
            files.push((path, source));
        }
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    files
}

/// What is placed before the start: besides what a file holds, its mode, or that it is a link.
fn placed_source(path: &str, fields: &mut Fields, faults: &mut Vec<Fault>) -> FileSource {
    let place = fields.place;
    let mode = fields.text("mode", faults).and_then(|text| {
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
        if mode.is_none() {
            faults.push(place.fault(format!("{text} is no mode: \"0755\", say")));
        }
        mode
    });
    if let Some(to) = fields.text("link", faults) {
        if !link_stays_inside(path, &to) {
            faults.push(place.fault(format!("the link to {to} leaves the root")));
        }
        if mode.is_some() {
            faults.push(place.fault("a link has no mode"));
        }
        return FileSource::Link(to);
    }
    let source = file_source(fields, "file", faults);
    match mode {
        Some(mode) => FileSource::Mode(Box::new(source), mode),
        None => source,
    }
}

/// What GitHub answers. `numbers` are those of the steps in a file of format 1, which names none.
fn upstream_of(
    node: Node,
    steps: &[Step],
    numbers: Option<&[u32]>,
    faults: &mut Vec<Fault>,
) -> Option<Upstream> {
    let mut fields = node.fields("upstream", faults)?;
    let mut asks = BTreeMap::new();
    let all = fields.take("asks").and_then(|node| node.fields("asks", faults));
    for (name, place, node) in all.map(|mut all| all.rest()).unwrap_or_default() {
        let id = match numbers {
            Some(_) if name == "0" => Some(0),
            Some(numbers) => numbers
                .iter()
                .position(|number| number.to_string() == name)
                .and_then(|at| steps.get(at))
                .map(|step| step.id),
            None if name == START => Some(0),
            None => steps.iter().find(|step| step.name == name).map(|step| step.id),
        };
        let count = node
            .value(faults)
            .as_u64()
            .and_then(|count| u32::try_from(count).ok());
        match (id, count) {
            (Some(id), Some(count)) => {
                asks.insert(id, count);
            }
            (None, _) => {
                let reason = format!("there is no step `{name}` during which the server could ask");
                faults.push(place.fault(reason));
            }
            (_, None) => faults.push(node.place.fault("how often is a whole number")),
        }
    }
    let unrecorded = fields.whole("unrecorded", faults).unwrap_or_default();
    let mut exchanges = Vec::new();
    for node in fields
        .take("exchanges")
        .map_or_else(Vec::new, |node| node.list("exchanges", faults))
    {
        match serde_json::from_value::<Exchange>(node.value(faults)) {
            Ok(exchange) => exchanges.push(exchange),
            Err(error) => faults.push(node.place.fault(error.to_string())),
        }
    }
    fields.end("upstream", faults);
    Some(Upstream {
        asks,
        unrecorded,
        exchanges,
    })
}
