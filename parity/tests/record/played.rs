//! A scenario is played through the recording proxy, and what was recorded is replayed.

use std::{
    collections::BTreeSet,
    fmt::{self, Display, Formatter},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use parity::{
    diff::{BothSpans, Difference, diff},
    import::{import_recording, keep},
    normalize::normalize,
    record::{Clock, Front, Limits, Plan, Proxy, Upstream, compose},
    runner::{Between, RunEvents, Silent, run_between, run_embedded},
    scenario::{
        clock::ScenarioClock,
        emit::to_yaml,
        files,
        literals::literals,
        made::Made,
        model::{Action, Request, RequestBody, Scenario, Step},
        socket::SocketAct,
    },
    transcript::{ASKED_AFTER, Observation},
};
use serde_json::Value;

use crate::beside::{is_on_the_wire, put_back};

/// The scenario's time, as far as the engine's own clock has come.
#[derive(Debug, Default)]
struct StepClock(AtomicI64);

impl Clock for StepClock {
    fn now_us(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The recording proxy between the clients and the engine.
#[derive(Debug)]
struct Tap {
    clock: Arc<StepClock>,
    /// When each step is over, Unix time in microseconds.
    times: Vec<i64>,
    proxy: Mutex<Option<Proxy>>,
    plan: Mutex<Plan>,
}

impl Tap {
    fn new(scenario: &Scenario) -> Self {
        let mut clock = ScenarioClock::new(scenario.started_at_us);
        let times = scenario.steps.iter().map(|step| {
            clock.advance(step);
            scenario.started_at_us + clock.at_us()
        });
        Self {
            times: times.collect(),
            clock: Arc::new(StepClock(AtomicI64::new(scenario.started_at_us))),
            proxy: Mutex::default(),
            plan: Mutex::new(Plan {
                area: "recorded".to_owned(),
                name: scenario.name.replace('/', "_"),
                title: scenario.title.clone(),
                agents: scenario.agents.clone(),
                env: scenario.env.clone(),
                // Accounts and cookies that no request makes have the passwords and signatures that they have.
                keep_secrets: !scenario.files.is_empty()
                    || scenario.upstream.is_some()
                    || changes_accounts(scenario),
                keep_pages: true,
                ..Plan::default()
            }),
        }
    }
}

impl Between for Tap {
    fn in_front(&self, engine: SocketAddr, root: &Path) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut proxy = self.proxy.lock().unwrap();
        let proxy = proxy.get_or_insert_with(|| Proxy::new(self.clock.clone(), Limits::default()));
        let address = proxy.serve(listener, Front::Plain, Upstream::at(engine)).unwrap();
        let mut plan = self.plan.lock().unwrap();
        plan.root = Some(root.display().to_string());
        plan.addresses
            .push((address.to_string(), format!("http://{address}")));
        if let Some(first) = self.times.first().filter(|_| plan.addresses.len() == 1) {
            self.clock.0.store(*first, Ordering::SeqCst);
        }
        address
    }

    fn behind(&self, _root: &Path, _database: &Path) {
        self.proxy.lock().unwrap().as_ref().unwrap().end();
    }
}

impl RunEvents for Tap {
    fn step_done(&self, _scenario: &Scenario, step: &Step, _seen: Option<&Observation>) {
        if let Some(next) = self.times.get(step.id as usize) {
            self.clock.0.store(*next, Ordering::SeqCst);
        }
    }
}

/// How a recording compares with what was played.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What is not as it was, of the steps that the wire shows.
    pub(crate) other_steps: Vec<String>,
    /// What differs in the replay.
    pub(crate) different: Vec<Difference>,
    /// Why the replay cannot be the same: the state was changed beside the wire.
    pub(crate) beside: Vec<&'static str>,
}

impl Outcome {
    pub(crate) fn is_equivalent(&self) -> bool {
        self.other_steps.is_empty() && self.different.is_empty()
    }
}

impl Display for Outcome {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if !self.beside.is_empty() {
            write!(out, "[beside the wire: {}] ", self.beside.join(", "))?;
        }
        if let Some(first) = self.other_steps.first() {
            write!(out, "{} other steps: {first}; ", self.other_steps.len())?;
        }
        for one in self.different.iter().take(3) {
            let short = |value: &Option<Value>| {
                let text = value.as_ref().map(Value::to_string).unwrap_or_default();
                text.chars().take(120).collect::<String>()
            };
            write!(
                out,
                "\n    step {} ({}) {}: {} | {}",
                one.step,
                one.label,
                one.path,
                short(&one.legacy),
                short(&one.engine)
            )?;
        }
        write!(out, " ({} differences)", self.different.len())
    }
}

pub(crate) struct Played {
    pub(crate) outcome: Outcome,
    pub(crate) yaml: String,
    pub(crate) summary: String,
}

/// Plays a scenario through the proxy, and replays what was recorded.
pub(crate) async fn play(scenario: &Scenario, folder: &Path) -> Played {
    let tap = Tap::new(scenario);
    run_between(scenario, folder, &tap, &tap).await.unwrap();
    let proxy = tap.proxy.lock().unwrap().take().unwrap();
    let journal = proxy.finish().await.unwrap();
    let plan = tap.plan.lock().unwrap().clone();
    let composed = compose(journal, &plan);
    let mut imported = import_recording(&composed.recording.to_string()).unwrap();
    let mut transcript = imported.transcript;
    put_back(scenario, &mut imported.scenario, &mut transcript);
    let at = imported.scenario.take_times();
    // What no wire shows.
    imported.scenario.files.clone_from(&scenario.files);
    imported.scenario.upstream.clone_from(&scenario.upstream);
    if let Some(upstream) = &mut imported.scenario.upstream {
        upstream.asks.clear();
    }
    keep(&mut imported.scenario, None);
    let yaml = to_yaml(&imported.scenario);
    let recorded = Scenario::read(&imported.scenario.name, &yaml)
        .unwrap_or_else(|error| panic!("{}: {error}\n{yaml}", scenario.name))
        .with_times(at);
    let placed = files::before_start(&recorded, folder).unwrap();
    let later = files::in_steps(&recorded, folder).unwrap();
    let contents = placed.iter().map(|(_, bytes)| bytes).chain(&later);
    transcript
        .client_values
        .extend(literals(&recorded, contents.map(Vec::as_slice)));
    let replayed = run_embedded(&recorded, folder, &Silent).await.unwrap();
    let spans = recorded.step_ends();
    let mut different = diff(
        &normalize(&transcript),
        &normalize(&replayed),
        &BothSpans::of_replay(&spans).through(&recorded),
    );
    different.retain(|one| one.step != recorded.last_step() + ASKED_AFTER);
    Played {
        outcome: Outcome {
            other_steps: other_steps(scenario, &recorded),
            different,
            beside: beside(scenario),
        },
        yaml,
        summary: composed.summary.to_string(),
    }
}

fn changes_accounts(scenario: &Scenario) -> bool {
    scenario.steps.iter().any(|step| match &step.action {
        Action::Sql { statement, .. } => statement.contains("users"),
        Action::Make { made, .. } => matches!(made, Made::SignCookie(_)),
        _ => false,
    })
}

fn beside(scenario: &Scenario) -> Vec<&'static str> {
    let kinds = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Sql { .. } => Some("sql"),
        Action::Restart => Some("restart"),
        Action::File { .. } => Some("file"),
        _ => None,
    });
    kinds.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Where the steps that the wire shows are other ones.
fn other_steps(played: &Scenario, recorded: &Scenario) -> Vec<String> {
    let [played, recorded] = [played, recorded].map(|scenario| {
        let shown = scenario.steps.iter().filter_map(on_the_wire);
        shown.collect::<Vec<_>>()
    });
    let longer = played.len().max(recorded.len());
    let other = (0..longer).filter(|at| played.get(*at) != recorded.get(*at));
    other
        .map(|at| format!("{:?} became {:?}", played.get(at), recorded.get(at)))
        .collect()
}

/// What the wire shows of a step, whatever its values are called; nothing where it shows nothing, and of what is only waited for.
fn on_the_wire(step: &Step) -> Option<String> {
    if !is_on_the_wire(step) {
        return None;
    }
    match &step.action {
        Action::Http(request) => Some(shape(request)),
        Action::Socket(socket) => match &socket.act {
            SocketAct::Connect(connect) => {
                Some(format!("connect {:?} {}", connect.transports, connect.query))
            }
            SocketAct::Emit(emit) => {
                let shapes: Vec<String> = emit.arguments.iter().map(keys).collect();
                Some(format!("emit {} {} {}", emit.event, shapes.join(" "), emit.ack))
            }
            SocketAct::Disconnect => Some("disconnect".to_owned()),
            SocketAct::Receive(_) | SocketAct::Silence(_) => None,
        },
        _ => None,
    }
}

fn shape(request: &Request) -> String {
    let body = match &request.body {
        RequestBody::Json(value) => keys(value),
        RequestBody::Empty => String::new(),
        RequestBody::Text(text) if text.is_empty() => String::new(),
        RequestBody::Text(text) => {
            serde_json::from_str::<Value>(text).map_or("text".to_owned(), |value| keys(&value))
        }
        RequestBody::Bytes(_) => "bytes".to_owned(),
    };
    let path: Vec<String> = request
        .path
        .split(['/', '?', '&', '='])
        .map(|part| {
            let is_number = !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
            let is_guid = part.len() == 36 && part.matches('-').count() == 4;
            if is_number || is_guid || part.contains("${") {
                "*".to_owned()
            } else {
                part.to_owned()
            }
        })
        .collect();
    format!("{} {} {body}", request.method, path.join("/"))
}

/// The members of a value, and none of its texts and numbers.
fn keys(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(keys).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, item)| format!("{key}:{}", keys(item)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        _ => "_".to_owned(),
    }
}
