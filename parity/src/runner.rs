//! Runs a scenario against a target. It draws nothing: whoever wants to show progress takes the events.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};

use crate::{
    import::{label, locate::token_claims},
    scenario::{
        clock::ScenarioClock,
        files,
        literals::literals,
        model::{Action, Capture, Request, RequestBody, Scenario, Step},
        template::{self, Names, TemplateError, as_text},
    },
    target::{
        cookies::Jar,
        database,
        embedded::{Embedded, TargetError},
        http_client::{self, Outgoing, Received},
    },
    transcript::{Body, Observation, Seen, Transcript},
};

/// What happens during a run. Every method may be left out.
pub trait RunEvents: Sync {
    /// A scenario begins.
    fn scenario_started(&self, _scenario: &Scenario) {}
    /// A step is over; what it showed, if it shows anything.
    fn step_done(&self, _scenario: &Scenario, _step: &Step, _seen: Option<&Observation>) {}
    /// A scenario is over.
    fn scenario_finished(&self, _scenario: &Scenario, _result: Result<&Transcript, &RunError>) {}
}

/// Takes no notice.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl RunEvents for Silent {}

/// Why a scenario could not be run at all. A step that fails is no such error: it stands in the transcript.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file that the scenario names.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// The target.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Runs a scenario against the engine in this process; `folder` is where the scenario's file lies.
///
/// # Errors
/// If the scenario could not be run at all.
pub async fn run_embedded(
    scenario: &Scenario,
    folder: &Path,
    events: &dyn RunEvents,
) -> Result<Transcript, RunError> {
    events.scenario_started(scenario);
    let result = Box::pin(run(scenario, folder, events)).await;
    events.scenario_finished(scenario, result.as_ref());
    result
}

async fn run(scenario: &Scenario, folder: &Path, events: &dyn RunEvents) -> Result<Transcript, RunError> {
    let contents = files::before_start(scenario, folder)?;
    let target = Embedded::start(scenario, &contents).await?;
    let mut run = Run {
        scenario,
        folder,
        target,
        clock: ScenarioClock::new(scenario.started_at_us),
        names: Names::new(),
        jars: BTreeMap::new(),
        client_values: literals(scenario, &contents),
    };
    for agent in &scenario.agents {
        agent.define(&mut run.names);
    }
    run.define_address();
    let base = run.names.get("base").map(as_text).unwrap_or_default();
    let mut observations = Vec::new();
    for step in &scenario.steps {
        let observation = run.step(step).await;
        events.step_done(scenario, step, observation.as_ref());
        observations.extend(observation);
    }
    let client_values = run.client_values.into_iter().collect();
    run.target.stop().await;
    Ok(Transcript {
        scenario: scenario.name.clone(),
        started_at_us: scenario.started_at_us,
        base,
        client_values,
        observations,
    })
}

struct Run<'a> {
    scenario: &'a Scenario,
    folder: &'a Path,
    target: Embedded,
    clock: ScenarioClock,
    names: Names,
    jars: BTreeMap<String, Jar>,
    client_values: BTreeSet<String>,
}

/// Why a step could not be done, for people.
type StepError = String;

impl Run<'_> {
    fn define_address(&mut self) {
        let host = self
            .target
            .address()
            .map(|address| address.to_string())
            .unwrap_or_default();
        self.names
            .insert("base".to_owned(), Value::String(format!("http://{host}")));
        self.names.insert("host".to_owned(), Value::String(host));
    }

    async fn step(&mut self, step: &Step) -> Option<Observation> {
        self.clock.advance(step);
        self.target.set_time(self.clock.now()).await;
        let label = step_label(step);
        let seen = match self.act(step).await {
            Ok(seen) => seen?,
            Err(reason) => Seen::Failed {
                reason: self.mask_text(&reason),
            },
        };
        Some(Observation {
            step: step.id,
            at_us: self.clock.at_us(),
            label,
            seen,
        })
    }

    async fn act(&mut self, step: &Step) -> Result<Option<Seen>, StepError> {
        match &step.action {
            Action::Http(request) => self.http(step, request).await.map(Some),
            Action::Rows { statement, params } => self.rows(step, statement, params).await.map(Some),
            Action::Sql { statement, params } => {
                let params = self.params(step, params)?;
                let result =
                    database::execute(&self.target.database(), statement, &params, self.clock.now()).await;
                result.map(|()| None).map_err(|error| format!("sql: {error}"))
            }
            Action::Set(values) => {
                for (name, value) in values {
                    let value = template::render_value(value, &self.names)
                        .map_err(|error| unresolved(step, &error))?;
                    self.names.insert(name.clone(), value);
                }
                Ok(None)
            }
            Action::Make { name, made, .. } => {
                let now = self.clock.now().as_second();
                let value = made
                    .make(&self.scenario.agents, &self.names, now)
                    .map_err(|error| format!("step {}: {name}: {error}", step.id))?;
                self.client_values.insert(value.clone());
                self.names.insert(name.clone(), Value::String(value));
                Ok(None)
            }
            Action::Restart => {
                self.target.restart().await.map_err(|error| error.to_string())?;
                self.define_address();
                Ok(None)
            }
            Action::File { path, source } => {
                let bytes = files::contents(source, self.folder).map_err(|error| error.to_string())?;
                let written = self.target.write_file(path, &bytes, self.clock.now());
                written.map(|()| None).map_err(|error| error.to_string())
            }
            Action::Wait { .. } | Action::Check(_) => Ok(None),
        }
    }

    fn params(&self, step: &Step, params: &[Value]) -> Result<Vec<Value>, StepError> {
        params
            .iter()
            .map(|value| template::render_value(value, &self.names).map_err(|error| unresolved(step, &error)))
            .collect()
    }

    async fn rows(&mut self, step: &Step, statement: &str, params: &[Value]) -> Result<Seen, StepError> {
        let params = self.params(step, params)?;
        let rows = database::rows(&self.target.database(), statement, &params, self.clock.now())
            .await
            .map_err(|error| format!("rows: {error}"))?;
        let all = Value::Array(rows.iter().cloned().map(Value::Object).collect());
        self.capture(step, &all, &[]);
        let rows = rows.into_iter().map(|row| self.mask_fields(row)).collect();
        Ok(Seen::Rows { rows })
    }

    async fn http(&mut self, step: &Step, request: &Request) -> Result<Seen, StepError> {
        let outgoing = self
            .outgoing(step, request)
            .map_err(|error| unresolved(step, &error))?;
        let address = self.target.address().ok_or("the server does not run")?;
        let received = http_client::send(address, &outgoing)
            .await
            .map_err(|error| error.to_string())?;
        let jar = self.jars.entry(step.who.clone().unwrap_or_default()).or_default();
        for (name, value) in &received.headers {
            if name == "set-cookie" {
                jar.take(value, self.clock.now());
            }
        }
        let body = read_body(&received);
        let json = match &body {
            Body::Json(json) => json.clone(),
            _ => Value::Null,
        };
        self.capture(step, &json, &received.headers);
        Ok(Seen::Answer {
            status: received.status,
            headers: self.mask_headers(received.headers),
            body: match body {
                Body::Json(json) => Body::Json(self.mask(json)),
                Body::Text(text) => Body::Text(self.mask_text(&text)),
                other => other,
            },
        })
    }

    fn outgoing(&self, step: &Step, request: &Request) -> Result<Outgoing, TemplateError> {
        let names = &self.names;
        let mut headers = Vec::new();
        for (name, value) in &request.headers {
            headers.push((name.clone(), template::render(value, names)?));
        }
        let own_cookie = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let jar = self.jars.get(step.who.as_deref().unwrap_or_default());
        if let (false, Some(cookie)) = (own_cookie, jar.and_then(Jar::header)) {
            headers.push(("Cookie".to_owned(), cookie));
        }
        Ok(Outgoing {
            method: request.method.to_owned(),
            path: template::render(&request.path, names)?,
            headers,
            body: match &request.body {
                RequestBody::Empty => Vec::new(),
                RequestBody::Json(value) => template::render_value(value, names)?.to_string().into_bytes(),
                RequestBody::Text(text) => template::render(text, names)?.into_bytes(),
                RequestBody::Bytes(bytes) => bytes.clone(),
            },
        })
    }

    /// Defines what the step captures. A value that is not there leaves its name undefined, so that whoever uses
    /// it fails by name instead of sending an old value.
    fn capture(&mut self, step: &Step, body: &Value, headers: &[(String, String)]) {
        for (name, source) in &step.captures {
            match find(source, body, headers) {
                Some(value) => self.names.insert(name.clone(), value),
                None => self.names.remove(name),
            };
        }
    }

    fn mask_headers(&self, headers: Vec<(String, String)>) -> Vec<(String, String)> {
        const LEFT_OUT: [&str; 4] = ["date", "server", "connection", "content-length"];
        let mut kept: Vec<_> = headers
            .into_iter()
            .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()))
            .map(|(name, value)| (name, self.mask_text(&value)))
            .collect();
        kept.sort_by(|left, right| left.0.cmp(&right.0));
        kept
    }

    /// The root's path differs from run to run; the recordings show it as `${root}` too.
    fn mask_text(&self, text: &str) -> String {
        text.replace(&self.target.root().display().to_string(), "${root}")
    }

    fn mask(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask_text(&text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.mask(item)).collect()),
            Value::Object(fields) => Value::Object(self.mask_fields(fields)),
            other => other,
        }
    }

    fn mask_fields(&self, fields: Map<String, Value>) -> Map<String, Value> {
        fields
            .into_iter()
            .map(|(key, value)| (self.mask_text(&key), self.mask(value)))
            .collect()
    }
}

fn unresolved(step: &Step, error: &TemplateError) -> StepError {
    format!("step {}: {error}", step.id)
}

/// A step in one line, for people.
pub fn step_label(step: &Step) -> String {
    match &step.action {
        Action::Http(request) => label(request.method, &request.path, step.who.as_deref()),
        Action::Rows { statement, .. } => format!("rows: {statement}"),
        Action::Sql { statement, .. } => format!("sql: {statement}"),
        Action::Make { name, .. } => format!("make {name}"),
        Action::File { path, .. } => format!("file {path}"),
        Action::Set(_) => "set".to_owned(),
        Action::Wait { .. } => "wait".to_owned(),
        Action::Restart => "restart".to_owned(),
        Action::Check(_) => "check".to_owned(),
    }
}

fn read_body(received: &Received) -> Body {
    if received.body.is_empty() {
        return Body::Empty;
    }
    let Ok(text) = std::str::from_utf8(&received.body) else {
        return Body::Base64(BASE64.encode(&received.body));
    };
    let says_json = received
        .headers
        .iter()
        .any(|(name, value)| name == "content-type" && value.to_ascii_lowercase().contains("json"));
    let json = says_json.then(|| serde_json::from_str(text).ok()).flatten();
    json.map_or_else(|| Body::Text(text.to_owned()), Body::Json)
}

fn find(source: &Capture, body: &Value, headers: &[(String, String)]) -> Option<Value> {
    match source {
        Capture::Pointer(pointer) => body.pointer(pointer).cloned(),
        Capture::Cookie(wanted) => headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .filter_map(|(_, value)| value.split(';').next()?.split_once('='))
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| Value::from(value)),
        Capture::Claim { token, claim } => token_claims(body.pointer(token)?.as_str()?)?
            .pointer(claim)
            .cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scenario_runs_against_the_engine() {
        let text = "format: 1\ntitle: T\narea: A\nstarted_at: 1700000000\nsteps:\n  - get: /health\n    capture: {s: /status}\n  - set: {a: \"${s}\"}\n  - get: /health?${nobody}\n";
        let scenario = Scenario::read("a/b", text).unwrap();
        let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
        assert!(matches!(
            transcript.observations[0].seen,
            Seen::Answer { status: 200, .. }
        ));
        let last = transcript.observations.last().unwrap();
        assert_eq!(last.step, 3);
        assert_eq!(
            last.seen,
            Seen::Failed {
                reason: "step 3: nothing defines ${nobody}".to_owned()
            }
        );
    }
}
