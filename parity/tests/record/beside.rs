//! What a scenario does beside the wire (SQL, files, restarts) is put back at its places into what was recorded: no proxy sees
//! it, and without it a replay is another story.

use std::collections::{BTreeMap, BTreeSet};

use parity::{
    scenario::{
        clock::ScenarioClock,
        made::Made,
        model::{Action, Scenario, Step},
        socket::SocketAct,
    },
    transcript::Transcript,
};
use serde_json::{Map, Value, json};

/// What the names of the scenario that was played are called in the one that was recorded.
const PLAYED: &str = "played.";

/// Whether the wire shows that a client does something.
pub(crate) fn is_on_the_wire(step: &Step) -> bool {
    match &step.action {
        Action::Http(_) => true,
        Action::Socket(socket) => !matches!(socket.act, SocketAct::Receive(_) | SocketAct::Silence(_)),
        _ => false,
    }
}

/// Whether it waits for an event.
fn waits(step: &Step) -> bool {
    matches!(&step.action, Action::Socket(socket) if matches!(socket.act, SocketAct::Receive(_)))
}

/// A replay asks whether everything has come in two packets, and the recording's end may cut between them.
fn is_half_a_barrier(step: &Step) -> bool {
    let Action::Socket(socket) = &step.action else {
        return false;
    };
    matches!(&socket.act, SocketAct::Emit(emit) if emit.event == "request_config" && emit.ack && emit.arguments == [json!({})])
}

/// Puts the steps back, and gives what was recorded the numbers that its steps have then.
pub(crate) fn put_back(played: &Scenario, recorded: &mut Scenario, transcript: &mut Transcript) {
    let wanted = played.steps.iter().filter(|step| is_on_the_wire(step)).count();
    let there = |recorded: &Scenario| recorded.steps.iter().filter(|step| is_on_the_wire(step)).count();
    while there(recorded) > wanted && recorded.steps.last().is_some_and(is_half_a_barrier) {
        let last = recorded.steps.pop().unwrap();
        transcript.observations.retain(|one| one.step != last.id);
        transcript.last_step = recorded.last_step();
    }
    if there(recorded) != wanted {
        return;
    }
    let own: BTreeSet<String> = played
        .agents
        .iter()
        .flat_map(|agent| agent.values())
        .map(|(name, _)| name)
        .chain(["base", "host", "upstream_port"].map(str::to_owned))
        .collect();
    let mut rest = std::mem::take(&mut recorded.steps).into_iter().peekable();
    let mut steps = Vec::new();
    let mut clock = ScenarioClock::new(played.started_at_us);
    for step in &played.steps {
        clock.advance(step);
        if is_on_the_wire(step) {
            let mut same = rest.next().unwrap();
            while !is_on_the_wire(&same) {
                steps.push(same);
                same = rest.next().unwrap();
            }
            let captures = step.captures.iter().cloned();
            same.captures
                .extend(captures.map(|(name, source)| (format!("{PLAYED}{name}"), source)));
            steps.push(same);
        } else if let Some(action) = renamed(&step.action, &own) {
            // What had been heard by then was caused before.
            while let Some(one) =
                rest.next_if(|one| waits(one) && one.at_us.is_some_and(|heard| heard <= clock.at_us()))
            {
                steps.push(one);
            }
            steps.push(Step {
                id: 0,
                action,
                name: String::new(),
                captures: Vec::new(),
                ..step.clone()
            });
        }
    }
    steps.extend(rest);
    let mut places = BTreeMap::from([(0, 0)]);
    for (step, place) in steps.iter_mut().zip(1..) {
        if step.id > 0 {
            places.insert(step.id, place);
        }
        step.id = place;
    }
    recorded.steps = steps;
    for observation in &mut transcript.observations {
        observation.step = places[&observation.step];
    }
    for event in transcript.heard.iter_mut().flat_map(|heard| &mut heard.events) {
        event.after_step = places[&event.after_step];
    }
    transcript.last_step = recorded.last_step();
}

/// What a step does beside the wire, with the names that its values have now.
fn renamed(action: &Action, own: &BTreeSet<String>) -> Option<Action> {
    Some(match action {
        Action::Sql { statement, params } => Action::Sql {
            statement: statement.clone(),
            params: params.iter().map(|value| value_renamed(value, own)).collect(),
        },
        Action::Restart | Action::File { .. } => action.clone(),
        Action::Set(values) => Action::Set(
            values
                .iter()
                .map(|(name, value)| (format!("{PLAYED}{name}"), value_renamed(value, own)))
                .collect(),
        ),
        Action::Make { name, fields, .. } => {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(key, value)| (key.clone(), value_renamed(value, own)))
                .collect();
            Action::Make {
                name: format!("{PLAYED}{name}"),
                made: Made::read(fields.clone()).unwrap(),
                fields,
            }
        }
        _ => return None,
    })
}

fn value_renamed(value: &Value, own: &BTreeSet<String>) -> Value {
    match value {
        Value::String(text) => {
            let mut parts = text.split("${");
            let mut out = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let name = part.split('}').next().unwrap_or_default();
                let stays = own.contains(name) || name.starts_with("repeat:");
                out.push_str(if stays { "${" } else { "${played." });
                out.push_str(part);
            }
            json!(out)
        }
        Value::Array(items) => items.iter().map(|item| value_renamed(item, own)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, item)| (key.clone(), value_renamed(item, own)))
            .collect(),
        other => other.clone(),
    }
}
