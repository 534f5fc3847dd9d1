//! Runs a scenario against a target. It draws nothing: whoever wants to show progress takes the events.
//!
//! Long because a run is one way from the start of the server to the transcript.

pub(crate) mod clock;
mod connection;
mod http;
mod masks;
mod received;
mod shared;
mod socket_steps;
mod sockets;

pub(crate) use self::connection::{BARRIER, NO_NAMESPACE};

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
};

use serde_json::Value;

use self::{clock::Clock, shared::Shared, sockets::Sockets};
use crate::{
    import::{label, locate::token_claims},
    mask::JUMP_US,
    scenario::{
        expect, files,
        literals::literals,
        model::{Action, Capture, Scenario, Step},
        template::{self, Names, TemplateError, as_text},
        upstream::UPSTREAM_PORT,
    },
    target::{
        Beginning, Spec, Target, TargetError,
        cookies::Jar,
        database,
        endpoint::Endpoint,
        needs,
        upstream::{PlayError, PlayedGitHub},
    },
    transcript::{
        ASKED_AFTER, Asked, Body, Broken, Keys, LEFT_AFTER, Left, Missed, Observation, RunNotes, Seen,
        Transcript,
    },
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

/// Something between the clients and the engine. Tests change there what clients see and what the engine has left, to show
/// that the comparison notices. Every method may be left out.
pub trait Between: std::fmt::Debug + Send + Sync {
    /// The engine listens at an address, over a root; where its clients find it instead.
    fn in_front(&self, engine: SocketAddr, _root: &Path) -> SocketAddr {
        engine
    }
    /// The last step is over. What lies under the root and in the database is looked at next.
    fn behind(&self, _root: &Path, _database: &Path) {}
}

/// Nothing stands between.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Between for Nothing {}

/// Why a scenario could not be run at all. A step that fails is no such error: it stands in the transcript.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file that the scenario names.
    #[error(transparent)]
    File(#[from] files::FileError),
    /// GitHub cannot be played.
    #[error(transparent)]
    GitHub(#[from] PlayError),
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
    run_between(scenario, folder, events, &Nothing).await
}

/// As [`run_embedded`], with something between the clients and the engine.
///
/// # Errors
/// If the scenario could not be run at all.
pub async fn run_between(
    scenario: &Scenario,
    folder: &Path,
    events: &dyn RunEvents,
    between: &dyn Between,
) -> Result<Transcript, RunError> {
    run_on(&Spec::embedded(), scenario, folder, events, between).await
}

/// Runs a scenario against a server of any kind.
///
/// # Errors
/// If the scenario could not be run at all.
pub async fn run_on(
    spec: &Spec,
    scenario: &Scenario,
    folder: &Path,
    events: &dyn RunEvents,
    between: &dyn Between,
) -> Result<Transcript, RunError> {
    events.scenario_started(scenario);
    let result = Box::pin(run(spec, scenario, folder, events, between)).await;
    events.scenario_finished(scenario, result.as_ref());
    result
}

async fn run(
    spec: &Spec,
    scenario: &Scenario,
    folder: &Path,
    events: &dyn RunEvents,
    between: &dyn Between,
) -> Result<Transcript, RunError> {
    let contents = files::before_start(scenario, folder)?;
    let later = files::in_steps(scenario, folder)?;
    let mut names = Names::new();
    let mut scenario = Cow::Borrowed(scenario);
    let shared = scenario
        .shared
        .is_some()
        .then(|| Shared::begin(scenario.to_mut(), &spec.operator(), &mut names));
    for agent in &scenario.agents {
        agent.define(&mut names);
    }
    let scenario = &*scenario;
    let mut github = PlayedGitHub::start(scenario.upstream.as_ref()).await?;
    let begun = Clock::real(0);
    let beginning = Beginning {
        scenario,
        files: &contents,
        github: github.url(),
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "how busy the machine is says how long to wait for what may not come; nothing that came is judged by it"
    )]
    let starting = std::time::Instant::now();
    let target = spec.start(beginning).await?;
    let start = starting.elapsed();
    github.be_patient_after_a_start_of(start);
    let clock = clock_of(scenario, target.capabilities().clock, target.skew_us().0).await;
    let before = contents.iter().map(|(_, bytes)| bytes.as_slice());
    let mut run = Run {
        scenario,
        folder,
        between,
        endpoint: None,
        names,
        jars: BTreeMap::new(),
        sockets: Sockets::new(clock.is_real(), start),
        woken: false,
        client_values: literals(scenario, before.chain(later.iter().map(Vec::as_slice))),
        keys: Keys::of(scenario),
        took_us: BTreeMap::new(),
        shared,
        notes: RunNotes::default(),
        clock,
        target,
    };
    if let Some(shared) = &run.shared {
        run.sockets.own = shared.own_values();
    }
    run.note_real_clock(&begun);
    run.define_address();
    let port = Value::String(github.port().to_owned());
    run.names.insert(UPSTREAM_PORT.to_owned(), port);
    let base = run.names.get("base").map(as_text).unwrap_or_default();
    let (mut observations, missed) = run.steps(&github, events).await;
    // What the last step has woken is done before anybody looks at what is left.
    run.target.rests().await;
    if let (Some(root), Some(database)) = (run.target.root(), run.target.database()) {
        between.behind(&root, &database);
    }
    // While the server still runs and its sockets are open, as the recorder did.
    let left = run.left().await?;
    run.know_keys();
    let (notices, heard) = run.finish_sockets().await;
    run.leave_behind();
    let client_values = std::mem::take(&mut run.client_values).into_iter();
    let client_values = client_values.map(|value| run.mask_text(&value)).collect();
    let at_us = run.clock.at_us();
    run.notes.kept = run.target.stop().await;
    let asked = github.asked().filter(|_| run.target.capabilities().upstream);
    observations.extend(asked.map(|requests| Observation {
        step: scenario.last_step() + ASKED_AFTER,
        at_us,
        label: Asked::LABEL.to_owned(),
        seen: Seen::Asked { requests },
    }));
    if let Some(shared) = &run.shared {
        run.notes.masked.add(&shared.masked);
        run.notes.own = shared.words();
    }
    Ok(Transcript {
        scenario: scenario.name.clone(),
        started_at_us: run.clock.started_at_us(),
        base,
        client_values,
        last_step: scenario.last_step(),
        observations,
        notices,
        heard,
        left,
        missed,
        keys: run.keys,
        took_us: run.took_us,
        run: run.notes,
    })
}

/// The time of a run: as it was recorded where the server's clock can be set, else the real one, with what the server's is
/// ahead of it.
async fn clock_of(scenario: &Scenario, can_be_set: bool, skew_us: i64) -> Clock {
    if can_be_set {
        Clock::set(scenario.started_at_us)
    } else if scenario.shared.is_some() {
        // Nobody has recorded it.
        Clock::real(skew_us)
    } else {
        Clock::at_the_fraction_of(scenario.started_at_us, skew_us).await
    }
}

struct Run<'a> {
    scenario: &'a Scenario,
    folder: &'a Path,
    target: Box<dyn Target>,
    between: &'a dyn Between,
    /// Where clients find the server, while it runs.
    endpoint: Option<Endpoint>,
    clock: Clock,
    names: Names,
    jars: BTreeMap<String, Jar>,
    sockets: Sockets,
    /// Whether the clock made a jump that may have woken background work.
    woken: bool,
    client_values: BTreeSet<String>,
    /// The keys that the server had so far.
    keys: Keys,
    /// How the scenario is told apart from others on the same server, where it is made for that.
    shared: Option<Shared>,
    notes: RunNotes,
    /// How many microseconds each step took, for people: nothing is decided by it.
    took_us: BTreeMap<u32, u64>,
}

/// How the number of this process is shown, which is another one in each run.
const PROCESS: &str = "${process}";

/// Whether the step only waits for what earlier steps caused.
fn waits(step: &Step) -> bool {
    matches!(&step.action, Action::Socket(socket) if socket.only_waits())
}

/// Why a step could not be done, for people.
type StepError = String;

impl Run<'_> {
    /// Notes what matters where the clock runs by itself since `begun`.
    fn note_real_clock(&mut self, begun: &Clock) {
        if !self.clock.is_real() {
            return;
        }
        self.notes.clock_ran = true;
        let is_here = self.target.process_id().is_some();
        self.notes.machine = is_here
            .then(machine)
            .flatten()
            .filter(|machine| !is_told(machine, &self.scenario.env));
        self.notes.spans.push((0, -begun.at_us(), 0));
    }

    /// Does the steps, up to one after which the server cannot be talked to: what they showed, and what of the expected
    /// they did not.
    async fn steps(
        &mut self,
        github: &PlayedGitHub,
        events: &dyn RunEvents,
    ) -> (Vec<Observation>, Vec<Missed>) {
        let (mut observations, mut missed) = (Vec::new(), Vec::new());
        let scenario = self.scenario;
        github.settle(0).await;
        for step in &scenario.steps {
            if self.notes.broken.last().is_some_and(|broken| broken.ends) {
                break;
            }
            let observation = self.step(step).await;
            github.settle(step.id).await;
            let target = &self.target;
            self.sockets.settle_at_rest(step.id, &|| target.rests()).await;
            self.end_span(step);
            events.step_done(scenario, step, observation.as_ref());
            missed.extend(self.missed(step, observation.as_ref()));
            observations.extend(observation);
        }
        (observations, missed)
    }

    fn define_address(&mut self) {
        let endpoint = self.target.endpoint().cloned();
        let root = self.target.root().unwrap_or_default();
        let in_front = |endpoint: Endpoint| match endpoint.address() {
            Some(address) => match self.between.in_front(address, &root) {
                other if other != address => other.into(),
                _ => endpoint,
            },
            None => endpoint,
        };
        self.endpoint = endpoint.map(in_front);
        let host = self
            .endpoint
            .as_ref()
            .map(Endpoint::authority)
            .unwrap_or_default();
        let base = self.endpoint.as_ref().map(Endpoint::base);
        let base = base.unwrap_or_else(|| "http://".to_owned());
        self.names.insert("base".to_owned(), Value::String(base));
        self.names.insert("host".to_owned(), Value::String(host));
    }

    async fn step(&mut self, step: &Step) -> Option<Observation> {
        let before = self.clock.at_us();
        self.clock.advance(step).await;
        self.woken =
            self.clock.is_real() || self.clock.at_us() - before >= JUMP_US || (self.woken && waits(step));
        self.target.at(self.clock.now()).await;
        let began = self.clock.at_us() - self.target.skew_us().1;
        self.notes.spans.push((step.id, began, began));
        let label = step_label(step);
        if let Some(reason) = needs::step_lacking(step, self.target.capabilities()) {
            self.notes.lacking.insert(step.id, reason.to_owned());
            return None;
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "how long a step took is said to people; nothing is decided by it"
        )]
        let began = std::time::Instant::now();
        let acted = self.act(step).await;
        let took = began.elapsed().as_micros();
        self.took_us.insert(step.id, took.try_into().unwrap_or(u64::MAX));
        let seen = match acted {
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

    /// Notes when a step was over, with all that it caused.
    fn end_span(&mut self, step: &Step) {
        let end = self.clock.at_us() + self.target.skew_us().1;
        if let Some(span) = self.notes.spans.last_mut().filter(|span| span.0 == step.id) {
            span.2 = end;
        }
    }

    /// Notes that the server could not be talked to. The engine in this process is judged by what it shows, so of it this
    /// is one more thing that it shows.
    fn broke(&mut self, step: &Step, what: &dyn std::fmt::Display, cure: &str, ends: bool) {
        if self.target.capabilities().clock || self.notes.broken.last().is_some_and(|known| known.ends) {
            return;
        }
        self.notes.broken.push(Broken {
            step: step.id,
            reason: format!("step `{}`: {what}; {cure}", step.name),
            ends,
        });
    }

    /// Notes what no route removes.
    fn leave_behind(&mut self) {
        let Some((shared, own)) = self.scenario.shared.as_ref().zip(self.shared.as_ref()) else {
            return;
        };
        let leaves = shared
            .leaves
            .iter()
            .map(|text| match template::render(text, &self.names) {
                Ok(text) => text,
                Err(_) => format!("{text} (if it was made; its names begin with {})", own.prefix()),
            });
        self.notes.left_behind = leaves.collect();
    }

    /// What the scenario itself expects of a step and the step did not show.
    fn missed(&mut self, step: &Step, observation: Option<&Observation>) -> Vec<Missed> {
        let Some(observation) = observation.filter(|_| !step.expect.is_empty()) else {
            return Vec::new();
        };
        let unresolved = |error: &TemplateError| Seen::Failed {
            reason: error.to_string(),
        };
        let missed = match template::render_value(&step.expect.value(), &self.names) {
            Ok(expected) => expect::judge(&self.mask(expected), &observation.seen),
            Err(error) => expect::judge(&step.expect.value(), &unresolved(&error)),
        };
        let missed = missed.into_iter().map(|what| Missed {
            step: step.id,
            label: observation.label.clone(),
            what,
        });
        missed.collect()
    }

    async fn act(&mut self, step: &Step) -> Result<Option<Seen>, StepError> {
        match &step.action {
            Action::Http(request) => self.http(step, request).await.map(Some),
            Action::Rows { statement, params } => self.rows(step, statement, params).await.map(Some),
            Action::Sql { statement, params } => {
                let params = self.params(step, params)?;
                let database = self
                    .target
                    .database()
                    .ok_or("sql: the database cannot be reached")?;
                let result = database::execute(&database, statement, &params, self.clock.now()).await;
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
                    .map_err(|error| format!("step `{}`: {name}: {error}", step.name))?;
                self.client_values.insert(value.clone());
                self.names.insert(name.clone(), Value::String(value));
                Ok(None)
            }
            Action::Restart => {
                self.know_keys();
                self.endpoint = None;
                if let Err(error) = self.target.restart().await {
                    let cure = "look into its log";
                    self.broke(step, &error, cure, true);
                    return Err(error.to_string());
                }
                self.define_address();
                Ok(None)
            }
            Action::File { path, source } => {
                let bytes = files::contents(source, self.folder).map_err(|error| error.to_string())?;
                let written = self.target.place_file(path, &bytes, self.clock.now());
                written.map(|()| None).map_err(|error| error.to_string())
            }
            Action::Socket(socket) => self.socket(step, socket).await,
            Action::Wait { .. } | Action::Check(_) => Ok(None),
        }
    }

    fn params(&self, step: &Step, params: &[Value]) -> Result<Vec<Value>, StepError> {
        params
            .iter()
            .map(|value| template::render_value(value, &self.names).map_err(|error| unresolved(step, &error)))
            .collect()
    }

    /// Takes note of the keys that the server has now: it may have others after its next start.
    fn know_keys(&mut self) {
        self.target.add_keys(&mut self.keys);
    }

    /// What the server has left so far; nothing where nobody can look.
    async fn left(&mut self) -> Result<Option<Left>, RunError> {
        let lacking = needs::left_lacking(self.target.capabilities()).map(str::to_owned);
        let left = match self.target.left().await {
            Ok(left) => left,
            Err(error) if self.target.capabilities().clock => return Err(error.into()),
            // What was seen until now is worth keeping.
            Err(error) => {
                let at = self.scenario.last_step() + LEFT_AFTER;
                if !self.notes.broken.last().is_some_and(|known| known.ends) {
                    self.notes.broken.push(Broken {
                        step: at,
                        reason: format!("what it left: {error}; look into its log"),
                        ends: true,
                    });
                }
                None
            }
        };
        let Some(mut left) = left else {
            let reason = lacking.unwrap_or_else(|| "it could not be looked at".to_owned());
            self.notes
                .lacking
                .insert(self.scenario.last_step() + LEFT_AFTER, reason);
            return Ok(None);
        };
        if self.clock.is_real() {
            let (run_us, began_us) = (self.clock.started_at_us(), self.scenario.started_at_us);
            left.files = clock::retimed(std::mem::take(&mut left.files), run_us, began_us);
        }
        for rows in left.tables.values_mut() {
            for row in rows {
                *row = self.mask_fields(std::mem::take(row));
            }
        }
        for file in left.files.values_mut() {
            match &mut file.content {
                // The lock of the engine that runs in this process, or of the process that was started.
                Some(Body::Text(text)) if self.is_process(text) => PROCESS.clone_into(text),
                Some(Body::Text(text)) => *text = self.mask_text(text),
                Some(Body::Json(value)) => *value = self.mask(std::mem::take(value)),
                _ => {}
            }
        }
        Ok(Some(left))
    }

    /// Whether a text is the number of the server's process.
    fn is_process(&self, text: &str) -> bool {
        self.target.process_id().is_some_and(|id| text == id.to_string())
    }

    async fn rows(&mut self, step: &Step, statement: &str, params: &[Value]) -> Result<Seen, StepError> {
        let params = self.params(step, params)?;
        let database = self
            .target
            .database()
            .ok_or("rows: the database cannot be reached")?;
        let rows = database::rows(&database, statement, &params, self.clock.now())
            .await
            .map_err(|error| format!("rows: {error}"))?;
        let all = Value::Array(rows.iter().cloned().map(Value::Object).collect());
        self.capture(step, |source| in_data(source, &all));
        let rows = rows.into_iter().map(|row| self.mask_fields(row)).collect();
        Ok(Seen::Rows { rows })
    }

    /// Defines what the step captures. A value that is not there leaves its name undefined, so that whoever uses
    /// it fails by name instead of sending an old value.
    fn capture(&mut self, step: &Step, find: impl Fn(&Capture) -> Option<Value>) {
        for (name, source) in &step.captures {
            match find(source) {
                Some(value) => self.names.insert(name.clone(), value),
                None => self.names.remove(name),
            };
        }
    }
}

/// What a capture finds in rows or in an event's data.
fn in_data(source: &Capture, data: &Value) -> Option<Value> {
    match source {
        Capture::Pointer(pointer) => data.pointer(pointer).cloned(),
        Capture::Claim { token, claim } => token_claims(data.pointer(token)?.as_str()?)?
            .pointer(claim)
            .cloned(),
        Capture::Cookie(_) | Capture::Header(_) | Capture::Packet(_) => None,
    }
}

fn unresolved(step: &Step, error: &TemplateError) -> StepError {
    format!("step `{}`: {error}", step.name)
}

/// What this machine is called.
fn machine() -> Option<String> {
    let about = rustix::system::uname();
    about.nodename().to_str().ok().map(str::to_owned)
}

/// Whether a server is told this name, so that it is no machine's own: a scenario that was recorded here has it in its
/// environment, and every server shows it.
fn is_told(machine: &str, env: &[(String, String)]) -> bool {
    env.iter().any(|(_, value)| {
        value
            .split(',')
            .any(|name| name.trim().eq_ignore_ascii_case(machine))
    })
}

/// A step in one line, for people.
pub fn step_label(step: &Step) -> String {
    match &step.action {
        Action::Http(request) => label(request.method, &request.path, step.who.as_deref()),
        Action::Rows { statement, .. } => format!("rows: {statement}"),
        Action::Sql { statement, .. } => format!("sql: {statement}"),
        Action::Make { name, .. } => format!("make {name}"),
        Action::File { path, .. } => format!("file {path}"),
        Action::Socket(socket) => socket.label(),
        Action::Set(_) => "set".to_owned(),
        Action::Wait { .. } => "wait".to_owned(),
        Action::Restart => "restart".to_owned(),
        Action::Check(_) => "check".to_owned(),
    }
}

#[cfg(test)]
mod tests;
