//! Checks what a scenario refers to: names that nothing defines, agents that do not exist, files that are missing.

use std::{collections::BTreeSet, path::Path};

use super::{
    agent::Agent,
    files,
    made::{JwsKey, Made},
    model::{Action, FileSource, Request, RequestBody, Scenario, Step},
    shorthand::{OPERATOR, OPERATOR_PASSWORD, RUN},
    socket::SocketAct,
    template,
    upstream::UPSTREAM_PORT,
    yaml::Fault,
};
use serde_json::Value;

/// On a server that others use nobody waits for longer, in microseconds.
const LONGEST_SHARED_WAIT_US: i64 = 10_000_000;

/// Everything in the scenario that cannot be resolved; `folder` is where its file lies.
pub fn problems(scenario: &Scenario, folder: &Path) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut names: BTreeSet<String> = ["base", "host", UPSTREAM_PORT].map(str::to_owned).into();
    names.extend(
        scenario
            .agents
            .iter()
            .flat_map(Agent::values)
            .map(|(name, _)| name),
    );
    if let Some(shared) = &scenario.shared {
        names.extend([OPERATOR, OPERATOR_PASSWORD, RUN].map(str::to_owned));
        found.extend(unfit_for_others(scenario).map(|reason| fault(0, reason)));
        let leaves = template::used_in(&shared.leaves.clone().into());
        let defined = every_name(scenario);
        match leaves {
            Ok(used) => found.extend(
                used.into_iter()
                    .filter(|name| !names.contains(name) && !defined.contains(name))
                    .map(|name| fault(0, format!("`leaves`: nothing defines ${{{name}}}"))),
            ),
            Err(error) => found.push(fault(0, format!("`leaves`: {error}"))),
        }
    }
    for source in files::sources(scenario) {
        if let FileSource::Beside(path) = source
            && !folder.join(path).is_file()
        {
            found.push(fault(0, format!("the file {path} is missing")));
        }
    }
    let mut clients = BTreeSet::new();
    for step in &scenario.steps {
        if let Action::Socket(socket) = &step.action {
            if matches!(socket.act, SocketAct::Connect(_)) {
                clients.insert(socket.client.as_str());
            } else if !clients.contains(socket.client.as_str()) {
                found.push(fault(
                    step.line,
                    format!(
                        "step `{}`: {} was never connected before it",
                        step.name, socket.client
                    ),
                ));
            }
        }
        for reason in step_problems(step, scenario, &names) {
            found.push(fault(step.line, format!("step `{}`: {reason}", step.name)));
        }
        names.extend(step.defines().map(str::to_owned));
    }
    found
}

/// Why a scenario cannot run on a server that others use, although it says that it can.
fn unfit_for_others(scenario: &Scenario) -> impl Iterator<Item = String> {
    let head = [
        (!scenario.env.is_empty(), "`env`: the server runs already"),
        (!scenario.files.is_empty(), "`files`: the server runs already"),
        (
            scenario.upstream.is_some(),
            "`upstream`: the server asks the real GitHub",
        ),
    ];
    let head = head.into_iter().filter(|(is_there, _)| *is_there);
    let head = head.map(|(_, reason)| format!("a `shared` scenario has no {reason}"));
    let steps = scenario.steps.iter().filter_map(|step| {
        let reason = match &step.action {
            Action::Restart => "restarts the server",
            Action::Sql { .. } | Action::Rows { .. } => "needs the database",
            Action::File { .. } => "places a file",
            Action::Wait { microseconds } if *microseconds > LONGEST_SHARED_WAIT_US => "waits for too long",
            _ => return None,
        };
        Some(format!(
            "step `{}` {reason}, and others use the server of a `shared` scenario",
            step.name
        ))
    });
    head.chain(steps)
}

/// Every name that a step defines.
fn every_name(scenario: &Scenario) -> BTreeSet<String> {
    let names = scenario.steps.iter().flat_map(Step::defines);
    names.map(str::to_owned).collect()
}

fn fault(line: u64, reason: String) -> Fault {
    Fault {
        line,
        column: 0,
        reason,
    }
}

fn step_problems(step: &Step, scenario: &Scenario, names: &BTreeSet<String>) -> Vec<String> {
    let mut reasons = Vec::new();
    let texts = Value::Array(vec![texts(&step.action), step.expect.value()]);
    match template::used_in(&texts) {
        Ok(used) => reasons.extend(
            used.into_iter()
                .filter(|name| !names.contains(name))
                .map(|name| format!("nothing before it defines ${{{name}}}")),
        ),
        Err(error) => reasons.push(error.to_string()),
    }
    let agent = match &step.action {
        Action::Make { made, .. } => signer(made),
        _ => None,
    };
    if let Some(agent) = agent
        && !scenario.agents.iter().any(|known| known.name == agent)
    {
        reasons.push(format!("there is no agent {agent:?}"));
    }
    reasons
}

fn signer(made: &Made) -> Option<&str> {
    match made {
        Made::Ed25519Sign(sign) => Some(&sign.agent),
        Made::Dpop(proof) => Some(&proof.agent),
        Made::Jws(jws) => match &jws.key {
            JwsKey::Agent(agent) => Some(agent),
            JwsKey::PrivatePem(_) | JwsKey::SecretBase64(_) => None,
        },
        Made::Ed448Sign(_) | Made::Totp(_) | Made::SignCookie(_) | Made::Lower(_) => None,
    }
}

/// Every text of a step's action in which templates count.
pub fn texts(action: &Action) -> Value {
    match action {
        Action::Http(request) => request_texts(request),
        Action::Sql { params, .. } | Action::Rows { params, .. } => Value::Array(params.clone()),
        Action::Make { fields, .. } => Value::Object(fields.clone()),
        Action::Set(values) => values.iter().map(|(_, value)| value.clone()).collect(),
        Action::Socket(socket) => socket.texts(),
        Action::Wait { .. } | Action::Restart | Action::File { .. } | Action::Check(_) => Value::Null,
    }
}

fn request_texts(request: &Request) -> Value {
    let mut texts = vec![Value::String(request.path.clone())];
    texts.extend(
        request
            .headers
            .iter()
            .map(|(_, value)| Value::String(value.clone())),
    );
    match &request.body {
        RequestBody::Json(value) => texts.push(value.clone()),
        RequestBody::Text(text) => texts.push(Value::String(text.clone())),
        RequestBody::Empty | RequestBody::Bytes(_) => {}
    }
    Value::Array(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_agents_and_files_are_found_with_their_line() {
        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nfiles: {f: {file: files/none}}\nsteps:\n  - get: /${late}\n    capture: {late: /x}\n  - get: /${late}\n  - make: {name: p, function: ed25519_sign, agent: ghost, parts: [{utf8: x}]}\n";
        let found = problems(&Scenario::read("a/b", text).unwrap(), Path::new("."));
        let lines: Vec<_> = found.iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [0, 7, 10], "{found:?}");

        let text = "format: 2\ntitle: T\narea: A\nstarted_at: 1\nupstream: {asks: {start: 1, GET x: 1, GET y: 1}, exchanges: []}\nsteps:\n  - get: /x\n";
        let error = Scenario::read("a/b", text).unwrap_err().to_string();
        assert!(error.contains("there is no step `GET y`"), "{error}");
    }
}
