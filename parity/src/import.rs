//! Turns a recording of the legacy server into a scenario and the transcript of what the legacy showed.
//!
//! Long because a recording is read in one go, and its parts know of each other.

mod fields;
mod http;
mod keep;
mod left;
pub(crate) mod locate;
mod socket;
mod upstream;

pub(crate) use http::label;
pub use keep::{Kept, keep};

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::fields::{array, decode, object, string, time};
use crate::{
    scenario::{
        agent::{Agent, hex},
        convert,
        expect::Expect,
        files::{link_stays_inside, stays_inside},
        literals::literals,
        made::{Made, text_digest},
        model::{Action, FileSource, Policy, Scenario, Step},
        template::{self, as_text},
        upstream::UPSTREAM_PORT,
        verify::texts,
    },
    transcript::{Keys, Observation, Seen, Transcript},
};

/// The version of the recordings' format.
const RECORDING_FORMAT: u64 = 2;

/// Larger binary files stand beside the scenario instead of in it.
const LARGEST_INLINE: usize = 2048;

/// What a recording became.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub scenario: Scenario,
    /// What the legacy showed.
    pub transcript: Transcript,
    /// The server that was recorded.
    pub server: String,
    pub revision: String,
    /// The steps that cannot be run, each with its number and the reason.
    pub not_runnable: Vec<String>,
    /// Files that the scenario names: path relative to the scenario's folder, and contents.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What to do about a recording that is no JSON.
fn hint(error: &serde_json::Error) -> &'static str {
    if error.is_eof() {
        ". It was cut short: copy it whole, or record again"
    } else {
        ". Is it a recording?"
    }
}

/// Why a text is no recording.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the recording is no JSON: {source}{hint}", source = .0, hint = hint(.0))]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("the recording has format {0}, and this program reads {RECORDING_FORMAT}: record it anew")]
    Format(String),
    /// A field is missing or of the wrong kind.
    #[error("the recording has no readable {0}")]
    Field(String),
    /// It names a file outside of the folder that it belongs into.
    #[error("the recording names {0:?}, which leaves its folder; nothing was written")]
    Leaves(String),
}

/// Reads a recording.
///
/// # Errors
/// If the text is no recording. Steps that cannot be run are no error: they are listed.
pub fn import_recording(text: &str) -> Result<Imported, ImportError> {
    let recording: Value = serde_json::from_str(text)?;
    let format = recording.get("format").cloned().unwrap_or_default();
    if format.as_u64() != Some(RECORDING_FORMAT) {
        return Err(ImportError::Format(format.to_string()));
    }
    let area = string(&recording, "area")?;
    let scenario = string(&recording, "scenario")?;
    for name in [&area, &scenario] {
        if !is_file_name(name) {
            return Err(ImportError::Leaves(name.clone()));
        }
    }
    let mut importer = Importer {
        scenario: Scenario {
            name: format!("{area}/{scenario}"),
            title: string(&recording, "title")?,
            area: title_case(&area),
            checklist: Vec::new(),
            agents: read_agents(&recording)?,
            started_at_us: time(&recording, "started_at")?,
            policy: Policy::Legacy,
            env: object(&recording, "env")
                .into_iter()
                .map(|(name, value)| (name, as_text(&value)))
                .collect(),
            files: Vec::new(),
            queries: Vec::new(),
            upstream: None,
            shared: None,
            steps: Vec::new(),
        },
        answers: locate::Answers::default(),
        observations: Vec::new(),
        made: Vec::new(),
        given: HashMap::new(),
        captured: Vec::new(),
        not_runnable: Vec::new(),
        files: Vec::new(),
        contents: Vec::new(),
    };
    for (path, fields) in object(&recording, "files_before_start") {
        importer.file_before_start(path, &fields)?;
    }
    let steps = recording
        .get("steps")
        .and_then(Value::as_array)
        .ok_or_else(|| ImportError::Field("steps".to_owned()))?;
    for step in steps {
        importer.step(step)?;
    }
    importer.upstream(&recording)?;
    importer
        .scenario
        .files
        .sort_by(|left, right| left.0.cmp(&right.0));
    let source = |field: &str| {
        let text = recording
            .get("source")
            .and_then(|source| source.get(field))
            .and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let contents = importer.contents.iter().map(|(_, bytes)| bytes.as_slice());
    let mut client_values = literals(&importer.scenario, contents);
    client_values.extend(importer.made);
    let mut transcript = Transcript {
        scenario: importer.scenario.name.clone(),
        started_at_us: importer.scenario.started_at_us,
        base: string(&recording, "base")?,
        client_values: client_values.into_iter().collect(),
        last_step: importer.scenario.last_step(),
        observations: importer.observations,
        notices: Vec::new(),
        heard: left::heard(&recording)?,
        left: left::left(&recording)?,
        missed: Vec::new(),
        keys: Keys::of(&importer.scenario),
        run: crate::transcript::RunNotes::default(),
        took_us: BTreeMap::new(),
    };
    count_anew(&mut importer.scenario, &mut transcript);
    Ok(Imported {
        transcript,
        scenario: importer.scenario,
        server: source("server"),
        revision: source("revision"),
        not_runnable: importer.not_runnable,
        files: importer.files,
    })
}

/// Numbers of the recording, which count what is no step of a scenario too, become places in the scenario.
fn count_anew(scenario: &mut Scenario, transcript: &mut Transcript) {
    let recorded: Vec<u32> = scenario.steps.iter().map(|step| step.id).collect();
    // The last step that is kept and not later.
    let place = |number: u32| u32::try_from(recorded.partition_point(|id| *id <= number)).unwrap_or(u32::MAX);
    let last = transcript.last_step;
    transcript.last_step = place(last);
    transcript
        .observations
        .retain(|one| one.step > last || recorded.contains(&one.step));
    for observation in &mut transcript.observations {
        observation.step = match observation.step.checked_sub(last) {
            Some(after @ 1..) => transcript.last_step + after,
            _ => place(observation.step),
        };
    }
    for event in transcript.heard.iter_mut().flat_map(|one| &mut one.events) {
        event.after_step = place(event.after_step);
    }
    if let Some(upstream) = &mut scenario.upstream {
        let mut asks = BTreeMap::new();
        for (step, count) in std::mem::take(&mut upstream.asks) {
            *asks.entry(place(step)).or_default() += count;
        }
        upstream.asks = asks;
    }
    for (step, id) in scenario.steps.iter_mut().zip(1..) {
        step.id = id;
    }
}

struct Importer {
    scenario: Scenario,
    answers: locate::Answers,
    observations: Vec<Observation>,
    made: Vec<String>,
    /// Values that the server gave, and their names.
    given: HashMap<String, String>,
    /// Names and values of all captures so far.
    captured: Vec<(String, String)>,
    not_runnable: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
    contents: Vec<(String, Vec<u8>)>,
}

impl Importer {
    fn file_before_start(&mut self, path: String, fields: &Value) -> Result<(), ImportError> {
        let field = |name: &str| fields.get(name).and_then(Value::as_str);
        let source = if let Some(to) = field("link") {
            if !stays_inside(&path) || !link_stays_inside(&path, to) {
                return Err(ImportError::Leaves(format!("{path} -> {to}")));
            }
            FileSource::Link(to.to_owned())
        } else {
            let (source, bytes) = self.file_source(&path, fields)?;
            self.contents.push((path.clone(), bytes));
            match field("mode") {
                None => source,
                Some(mode) => {
                    let mode = u32::from_str_radix(mode, 8)
                        .map_err(|_| ImportError::Field(format!("mode of the file {path}")))?;
                    FileSource::Mode(Box::new(source), mode)
                }
            }
        };
        self.scenario.files.retain(|(known, _)| *known != path);
        self.scenario.files.push((path, source));
        Ok(())
    }

    fn file_source(&mut self, path: &str, fields: &Value) -> Result<(FileSource, Vec<u8>), ImportError> {
        if !stays_inside(path) {
            return Err(ImportError::Leaves(path.to_owned()));
        }
        if let Some(text) = fields.get("text").and_then(Value::as_str) {
            let mut source = FileSource::Text(text.to_owned());
            convert::fold(&mut source);
            return Ok((source, text.as_bytes().to_vec()));
        }
        let bytes = decode(fields.get("base64")).ok_or_else(|| ImportError::Field(format!("file {path}")))?;
        if bytes.len() <= LARGEST_INLINE {
            return Ok((FileSource::Bytes(bytes.clone()), bytes));
        }
        let digest = hex(&Sha256::digest(&bytes));
        let prefix: String = digest.chars().take(12).collect();
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let beside = format!("files/{prefix}-{file_name}");
        self.files.push((beside.clone(), bytes.clone()));
        Ok((FileSource::Beside(beside), bytes))
    }

    fn step(&mut self, step: &Value) -> Result<(), ImportError> {
        let id = step
            .get("id")
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
            .ok_or_else(|| ImportError::Field("step id".to_owned()))?;
        let at_us = time(step, "at")?;
        let kind = string(step, "kind")?;
        let action = match kind.as_str() {
            "http" => self.http(id, at_us, step)?,
            "rows" => self.rows(id, at_us, step)?,
            "capture" => self.capture(id, step)?,
            "sql" => Some(Action::Sql {
                statement: string(step, "statement")?,
                params: array(step, "params"),
            }),
            "wait" => Some(Action::Wait {
                microseconds: time(step, "seconds")?,
            }),
            "restart" => Some(Action::Restart),
            "check" => {
                self.not_runnable.push(format!("step {id}: check"));
                Some(Action::Check(step.get("values").cloned().unwrap_or_default()))
            }
            "file" => self.file(step)?,
            other => match other.strip_prefix("socket.") {
                Some(act) => self.socket(id, at_us, act, step)?,
                None => {
                    self.not_runnable.push(format!("step {id}: {other}"));
                    None
                }
            },
        };
        let Some(action) = action else { return Ok(()) };
        self.scenario.steps.push(Step {
            id,
            name: String::new(),
            line: 0,
            who: step.get("who").and_then(Value::as_str).map(str::to_owned),
            note: step
                .get("note")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            at_us: Some(at_us),
            action,
            captures: Vec::new(),
            expect: Expect::default(),
            only_own: false,
        });
        Ok(())
    }

    fn file(&mut self, step: &Value) -> Result<Option<Action>, ImportError> {
        let path = string(step, "path")?;
        let (source, bytes) = self.file_source(&path, step)?;
        // The recorder tells of some files twice: among those before the start, and as its first step.
        let told = |(known, content): &(String, Vec<u8>)| *known == path && *content == bytes;
        let again = self.scenario.steps.is_empty() && self.contents.iter().any(told);
        if again {
            return Ok(None);
        }
        self.contents.push((path.clone(), bytes));
        Ok(Some(Action::File { path, source }))
    }

    fn rows(&mut self, id: u32, at_us: i64, step: &Value) -> Result<Option<Action>, ImportError> {
        let statement = string(step, "sql")?;
        let rows = array(step, "rows");
        self.answers
            .push(id, locate::Answer::rows(&Value::Array(rows.clone())));
        self.observations.push(Observation {
            step: id,
            at_us,
            label: format!("rows: {statement}"),
            seen: Seen::Rows {
                rows: rows
                    .into_iter()
                    .filter_map(|row| match row {
                        Value::Object(fields) => Some(fields),
                        _ => None,
                    })
                    .collect(),
            },
        });
        Ok(Some(Action::Rows {
            statement,
            params: array(step, "params"),
        }))
    }

    fn capture(&mut self, id: u32, step: &Value) -> Result<Option<Action>, ImportError> {
        let name = string(step, "name")?;
        let value = step.get("value").cloned().unwrap_or_default();
        if let Some(Value::Object(fields)) = step.get("made") {
            self.made.push(as_text(&value));
            let fields = self.with_names(self.follow_digests(fields));
            return Ok(match Made::read(fields.clone()) {
                Ok(made) => Some(Action::Make { name, made, fields }),
                Err(error) => {
                    self.not_runnable.push(format!("step {id}: {name}: {error}"));
                    Some(Action::Set(vec![(name, value)]))
                }
            });
        }
        if name == UPSTREAM_PORT {
            // Another one in each run, which defines it.
            return Ok(None);
        }
        self.captured.push((name.clone(), as_text(&value)));
        let agents = &self.scenario.agents;
        let known = agents
            .iter()
            .flat_map(Agent::values)
            .find(|(_, known)| value.as_str() == Some(known));
        if let Some((known, _)) = known {
            let reference = Value::String(format!("${{{known}}}"));
            return Ok((known != name).then(|| Action::Set(vec![(name, reference)])));
        }
        let Some((found, source)) = self.answers.find(&name, &value) else {
            return Ok(Some(Action::Set(vec![(name, value)])));
        };
        if self.used_since(found, &name) {
            self.not_runnable.push(format!(
                "step {id}: {name} is used between its answer and its capture"
            ));
        }
        if let Some(text) = value.as_str() {
            self.given.insert(text.to_owned(), name.clone());
        }
        if let Some(step) = self.scenario.steps.iter_mut().find(|step| step.id == found) {
            step.captures.retain(|(known, _)| *known != name);
            step.captures.push((name, source));
        }
        Ok(None)
    }

    /// The fields of a made value, with names in place of values that the server gave: a code is made from the secret
    /// that the server has just handed out, not from the one it handed out when this was recorded.
    fn with_names(&self, mut fields: Map<String, Value>) -> Map<String, Value> {
        for value in fields.values_mut() {
            if let Some(name) = value.as_str().and_then(|text| self.given.get(text)) {
                *value = Value::String(format!("${{{name}}}"));
            }
        }
        fields
    }

    /// Puts the value's name where claims hold the digest of a captured value, which is another one in each run.
    fn follow_digests(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut fields = fields.clone();
        let Some(claims) = fields.get_mut("claims").and_then(Value::as_object_mut) else {
            return fields;
        };
        for claim in claims.values_mut() {
            let source = claim.as_str().and_then(|digest| {
                self.captured
                    .iter()
                    .rev()
                    .find(|(_, value)| text_digest(value) == digest)
            });
            if let Some((name, _)) = source {
                *claim = json!({"sha256": format!("${{{name}}}")});
            }
        }
        fields
    }

    /// Whether a step after `found` names `name`: it would then see the new value too early.
    fn used_since(&self, found: u32, name: &str) -> bool {
        let later = self.scenario.steps.iter().filter(|step| step.id > found);
        later
            .flat_map(|step| names_of(&step.action))
            .any(|used| used == name)
    }
}

/// The names that a step's action uses.
fn names_of(action: &Action) -> Vec<String> {
    template::used_in(&texts(action)).unwrap_or_default()
}

fn read_agents(recording: &Value) -> Result<Vec<Agent>, ImportError> {
    let mut agents = Vec::new();
    for (name, fields) in object(recording, "agents") {
        let seed = decode(fields.get("ed25519_seed_b64"))
            .and_then(|seed| seed.try_into().ok())
            .ok_or_else(|| ImportError::Field(format!("seed of {name}")))?;
        let hostname = string(&fields, "hostname").unwrap_or_default();
        agents.push(Agent { name, hostname, seed });
    }
    agents.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(agents)
}

/// Whether a name can be that of a file or folder and nothing else.
fn is_file_name(name: &str) -> bool {
    stays_inside(name) && !name.contains('/') && !name.starts_with('.')
}

fn title_case(area: &str) -> String {
    let text = area.replace('_', " ");
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
