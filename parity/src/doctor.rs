//! What has to be right before two servers are compared, or one takes the other's place: each thing is looked at, and what is
//! wrong names its cure.
//!
//! Long because it is a list: one thing that is looked at after the other.

mod agents;
mod web_client;

use std::{
    collections::BTreeMap,
    fmt,
    net::TcpListener,
    path::{Path, PathBuf},
};

use borealis_engine::{check::check, config::variables::ProcessVariables, preflight::Verdict as Found};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    normalize::sha256_hex,
    scenario::model::Scenario,
    snapshot,
    target::{
        Beginning, Side, Spec, Target, TargetError,
        cookies::Jar,
        endpoint::Endpoint,
        http_client::{HttpError, Outgoing, Received, send},
        operator::Operator,
    },
};

/// A clock that is so many seconds off is told; tokens and proofs of possession are refused when it is some more.
const SKEW_WARNING_S: i64 = 2;
/// Proofs of possession and codes of second factors are refused then.
const SKEW_PROBLEM_S: i64 = 30;
/// Files and sockets that a run of a few scenarios at a time needs.
const OPEN_FILES: u64 = 1024;
/// Keys and certificates that devices and operators know the server by, and what happens where another one stands.
const IDENTITY: [(&str, &str); 4] = [
    (
        "Certificates/Server/borealis-server-cert.pem",
        "agents refuse a certificate that is not of their bundle",
    ),
    (
        "Certificates/Server/Code-Signing/borealis-script-ed25519.key",
        "agents refuse scripts that another key signed",
    ),
    (
        "Server/Borealis/auth_keys/borealis-jwt-ed25519.key",
        "every device has to refresh its token, and those with none left to enroll again",
    ),
    (
        "Data/Server/server_secret.key",
        "stored passwords cannot be opened",
    ),
];

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// The comparison, or the cut-over, would not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `legacy`, `engine`, `both` or `parity`.
    pub side: &'static str,
    /// What was looked at.
    pub subject: String,
    /// How grave it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do; nothing where all is well.
    pub cure: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Problem => "problem",
        };
        // What a server says must not begin a line of its own.
        let plain = |text: &str| text.replace(|one: char| one.is_control(), " ");
        write!(
            out,
            "{verdict:8} {:7} {}: {}",
            self.side,
            plain(&self.subject),
            plain(&self.found)
        )?;
        match &self.cure {
            Some(cure) => write!(out, "\n                 cure: {}", plain(cure)),
            None => Ok(()),
        }
    }
}

/// What is looked at.
#[derive(Debug)]
pub struct Patients<'a> {
    /// The legacy's side.
    pub legacy: &'a Side,
    /// The engine's side.
    pub engine: &'a Spec,
    /// The folder of the snapshots, for a legacy that is recorded.
    pub snapshots: &'a Path,
    /// The root folder that the legacy works in, where it can be reached.
    pub legacy_root: Option<&'a Path>,
    /// The root folder that the engine is to work in, where it can be reached.
    pub engine_root: Option<&'a Path>,
    /// The bundle that agents verify the server with, where it lies in no root folder that can be reached.
    pub bundle: Option<&'a Path>,
    /// The variables that the engine is started with.
    pub variables: &'a BTreeMap<String, String>,
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        side: &'static str,
        subject: &str,
        verdict: Verdict,
        found: impl Into<String>,
        cure: impl Into<Option<String>>,
    ) {
        self.0.push(Finding {
            side,
            subject: subject.to_owned(),
            verdict,
            found: found.into(),
            cure: cure.into(),
        });
    }

    fn ok(&mut self, side: &'static str, subject: &str, found: impl Into<String>) {
        self.add(side, subject, Verdict::Ok, found, None);
    }

    fn problem(&mut self, side: &'static str, subject: &str, found: impl Into<String>, cure: &str) {
        self.add(side, subject, Verdict::Problem, found, Some(cure.to_owned()));
    }

    fn warning(&mut self, side: &'static str, subject: &str, found: impl Into<String>, cure: &str) {
        self.add(side, subject, Verdict::Warning, found, Some(cure.to_owned()));
    }
}

/// Looks at both sides. Nothing is changed on either but the log lines and the session of one login; a server that is a
/// process is started over a root of its own, and stopped.
pub async fn examine(patients: &Patients<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    open_files(&mut findings);
    let legacy = match patients.legacy {
        Side::Recorded => {
            recorded(patients.snapshots, &mut findings);
            None
        }
        Side::Live(spec) => server("legacy", spec, &mut findings).await,
    };
    let engine = server("engine", patients.engine, &mut findings).await;
    if let (Some(legacy), Some(engine)) = (&legacy, &engine) {
        clocks(legacy, engine, &mut findings);
        signing_secret(legacy, engine, &mut findings).await;
    }
    for (side, answering) in [("legacy", &legacy), ("engine", &engine)] {
        if let Some(answering) = answering {
            agents::look(side, answering, patients, &mut findings).await;
        }
    }
    web_client::look(legacy.as_ref(), engine.as_ref(), &mut findings).await;
    // A server of parity's own works in a root of its own.
    let serves = |side: &Option<Answering>| {
        side.as_ref()
            .is_some_and(|answering| !answering.target.capabilities().fresh)
    };
    let serving = [serves(&legacy), serves(&engine)];
    for side in [legacy, engine].into_iter().flatten() {
        let mut target = side.target;
        target.stop().await;
    }
    let roots = [("legacy", patients.legacy_root), ("engine", patients.engine_root)];
    for ((side, root), is_served) in roots.into_iter().zip(serving) {
        if let Some(root) = root {
            look_into(side, root, is_served, patients.variables, &mut findings).await;
        }
    }
    if let (Some(legacy), Some(engine)) = (patients.legacy_root, patients.engine_root) {
        identity(legacy, engine, &mut findings);
    }
    findings.0
}

fn open_files(findings: &mut Findings) {
    let limit = getrlimit(Resource::Nofile).current;
    match limit {
        Some(limit) if limit < OPEN_FILES => findings.warning(
            "parity",
            "open files",
            format!("{limit} at most"),
            "`ulimit -n 4096` before the run, or fewer scenarios at a time (--side-by-side)",
        ),
        Some(limit) => findings.ok("parity", "open files", format!("{limit} at most")),
        None => findings.ok("parity", "open files", "no limit"),
    }
}

fn recorded(snapshots: &Path, findings: &mut Findings) {
    const CURE: &str = "restore the folder as it was committed; `parity import` writes snapshots anew";
    let shown = snapshots.display();
    match snapshot::verify_digests(snapshots) {
        Ok(changed) if changed.is_empty() => {
            findings.ok("legacy", "snapshots", format!("{shown}: as they were written"));
        }
        Ok(changed) => {
            let first = changed.first().map(ToString::to_string).unwrap_or_default();
            findings.problem(
                "legacy",
                "snapshots",
                format!("{} of them are not as they were written: {first}", changed.len()),
                CURE,
            );
        }
        Err(error) => findings.problem("legacy", "snapshots", error.to_string(), CURE),
    }
}

/// A server that answers.
struct Answering {
    target: Box<dyn Target>,
    endpoint: Endpoint,
    /// The cookies of an operator who is logged in.
    session: Option<String>,
}

async fn server(side: &'static str, spec: &Spec, findings: &mut Findings) -> Option<Answering> {
    if let Some(warning) = spec.warning() {
        findings.warning(
            side,
            "certificate",
            warning,
            "name who issued it (--ca FILE) or the certificate itself (--pin SHA256)",
        );
    }
    if let Some(port) = spec.port()
        && let Err(error) = TcpListener::bind(("127.0.0.1", port))
    {
        findings.problem(
            side,
            "port",
            format!("port {port} cannot be listened at: {error}"),
            "stop what listens there, or give the target another port in parity.toml",
        );
        return None;
    }
    let scenario = Scenario::read(
        "doctor/looks",
        "format: 2\ntitle: The doctor looks\narea: Other\nstarted_at: 1700000000\nsteps:\n  - get: /health\n",
    )
    .ok()?;
    let beginning = Beginning {
        scenario: &scenario,
        files: &[],
        github: "http://127.0.0.1:9",
    };
    let target = match spec.start(beginning).await {
        Ok(target) => target,
        Err(TargetError::Unreachable { reason, cure }) => {
            findings.problem(side, "reachable", reason, cure);
            return None;
        }
        Err(error) => {
            let cure = "look at what it said, and at its command and environment in parity.toml";
            findings.problem(side, "reachable", error.to_string(), cure);
            return None;
        }
    };
    let endpoint = target.endpoint()?.clone();
    match ask(&endpoint, "GET", "/health", None, None).await {
        Ok(answer) if answer.line.status == 200 => {
            findings.ok(
                side,
                "reachable",
                format!("{}: {}", spec.about(), version(&answer)),
            );
            if side == "engine" {
                access_policy(&answer, findings);
            }
        }
        Ok(answer) => findings.problem(
            side,
            "reachable",
            format!("GET /health is answered with {}", answer.line.status),
            "is it a Borealis server, and does the proxy in front of it pass everything on?",
        ),
        Err(error) => findings.problem(side, "reachable", error.to_string(), error.cure()),
    }
    let operator = spec.operator();
    let session = log_in(side, &endpoint, &operator, findings).await;
    Some(Answering {
        target,
        endpoint,
        session,
    })
}

/// The engine gives its answers one header more under the policy `strict`.
fn access_policy(answer: &Received, findings: &mut Findings) {
    let mut headers = answer.headers.iter();
    if headers.any(|(name, _)| name.eq_ignore_ascii_case("x-content-type-options")) {
        findings.warning(
            "engine",
            "access policy",
            "strict: what it refuses, and headers of every answer, differ from the legacy",
            "for the comparison alone start it with BOREALIS_ACCESS_POLICY=legacy",
        );
    }
}

/// What a server says that it is.
fn version(answer: &Received) -> String {
    let server = answer
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("server"))
        .map(|(_, value)| format!("it calls itself {value}"));
    server.unwrap_or_else(|| "it does not say what it is".to_owned())
}

async fn ask(
    endpoint: &Endpoint,
    method: &str,
    path: &str,
    cookie: Option<&str>,
    body: Option<&Value>,
) -> Result<Received, HttpError> {
    let mut headers = vec![
        ("Host".to_owned(), endpoint.authority()),
        ("Connection".to_owned(), "close".to_owned()),
    ];
    headers.extend(cookie.map(|cookie| ("Cookie".to_owned(), cookie.to_owned())));
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    if !body.is_empty() {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let request = Outgoing {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body,
    };
    send(endpoint, &request).await
}

async fn log_in(
    side: &'static str,
    endpoint: &Endpoint,
    operator: &Operator,
    findings: &mut Findings,
) -> Option<String> {
    let who = json!({"username": operator.name, "password": operator.password});
    let answer = match ask(endpoint, "POST", "/api/auth/login", None, Some(&who)).await {
        Ok(answer) => answer,
        Err(error) => {
            findings.problem(side, "operator", error.to_string(), error.cure());
            return None;
        }
    };
    let mut jar = Jar::default();
    for (name, value) in &answer.headers {
        if name.eq_ignore_ascii_case("set-cookie") {
            jar.take(value, crate::scenario::clock::real_time());
        }
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.line.status != 200 {
        findings.problem(
            side,
            "operator",
            format!("{} cannot log in: {}", operator.name, answer.line.status),
            "name an operator of that server: PARITY_OPERATOR and PARITY_PASSWORD, or `operator` of the target in parity.toml",
        );
        return None;
    }
    if body.get("status").and_then(Value::as_str) != Some("ok") {
        findings.warning(
            side,
            "operator",
            format!(
                "{} has a second factor, so scenarios that log in cannot run",
                operator.name
            ),
            "use an operator without one, for the comparison alone",
        );
        return None;
    }
    findings.ok(side, "operator", format!("{} is logged in", operator.name));
    jar.header()
}

fn clocks(legacy: &Answering, engine: &Answering, findings: &mut Findings) {
    const SECOND_US: i64 = 1_000_000;
    let (ahead, within) = engine.target.skew_us();
    let (legacy_ahead, legacy_within) = legacy.target.skew_us();
    let apart = (ahead - legacy_ahead)
        .abs()
        .saturating_sub(within + legacy_within)
        / SECOND_US;
    let cure = "have both machines follow the same time server";
    match apart {
        apart if apart >= SKEW_PROBLEM_S => findings.problem(
            "both",
            "clocks",
            format!("{apart} s apart: proofs of possession and second factors are refused"),
            cure,
        ),
        apart if apart >= SKEW_WARNING_S => {
            findings.warning("both", "clocks", format!("{apart} s apart"), cure);
        }
        _ => findings.ok("both", "clocks", "together"),
    }
}

/// Whether the engine takes a session that the legacy gave.
async fn signing_secret(legacy: &Answering, engine: &Answering, findings: &mut Findings) {
    const CURE: &str = "give the engine the legacy's BOREALIS_SECRET (or BOREALIS_FLASK_SECRET_KEY)";
    let Some(session) = &legacy.session else {
        findings.warning(
            "both",
            "signing secret",
            "not looked at: nobody could log in to the legacy",
            "see `operator` above",
        );
        return;
    };
    match ask(&engine.endpoint, "GET", "/api/auth/me", Some(session), None).await {
        Ok(answer) if answer.line.status == 200 => {
            findings.ok("both", "signing secret", "the engine takes a session of the legacy");
        }
        Ok(answer) => findings.warning(
            "both",
            "signing secret",
            format!(
                "the engine answers a session of the legacy with {}: every operator would have to log in again",
                answer.line.status
            ),
            CURE,
        ),
        Err(error) => findings.problem("both", "signing secret", error.to_string(), error.cure()),
    }
}

/// What of the engine's own check is about how it would be started, and not about the root folder.
const OF_A_START: [&str; 3] = ["variables", "address", "signing secret"];

/// What the engine's own check says about a root folder. Where a server answers already, it is the one that works there and
/// listens; how the legacy is started the variables of this process do not say.
async fn look_into(
    side: &'static str,
    root: &Path,
    is_served: bool,
    variables: &BTreeMap<String, String>,
    findings: &mut Findings,
) {
    let mut texts = variables.clone();
    texts.insert("BOREALIS_ROOT".to_owned(), root.display().to_string());
    let of_process = texts.into_iter().map(|(name, value)| (name.into(), value.into()));
    let environment = ProcessVariables::read(of_process);
    let clock = borealis_engine::integrations::clock::SystemClock::new();
    let found = check(&environment, root, false, |settings| settings, &clock).await;
    for one in found {
        if side == "legacy" && OF_A_START.contains(&one.subject) {
            continue;
        }
        match one.subject {
            "address" if is_served => continue,
            "other servers" if is_served && one.verdict == Found::Problem => {
                findings.ok(
                    side,
                    one.subject,
                    "an engine works in this root folder, and one answers",
                );
                continue;
            }
            _ => {}
        }
        let verdict = match one.verdict {
            Found::Ok => Verdict::Ok,
            Found::Warning => Verdict::Warning,
            Found::Problem | Found::WrongSettings => Verdict::Problem,
        };
        // The engine's findings name their cures themselves.
        findings.add(side, one.subject, verdict, one.text, None);
    }
}

/// Whether both roots have the same keys.
fn identity(legacy: &Path, engine: &Path, findings: &mut Findings) {
    let same_root = |one: &Path| one.canonicalize().ok();
    if same_root(legacy).is_some() && same_root(legacy) == same_root(engine) {
        findings.ok("both", "keys", "both are to work in one root folder");
        return;
    }
    for (file, effect) in IDENTITY {
        let digest = |root: &Path| -> Result<Option<String>, String> {
            let path: PathBuf = root.join(file);
            match std::fs::read(&path) {
                Ok(bytes) => Ok(Some(sha256_hex(&bytes))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(format!("{}: {error}", path.display())),
            }
        };
        match (digest(legacy), digest(engine)) {
            (Ok(None), Ok(_)) => findings.warning(
                "both",
                file,
                "the legacy's root lacks it",
                "see whether this is the legacy's root folder",
            ),
            (Ok(one), Ok(other)) if one == other => findings.ok("both", file, "the same"),
            (Ok(_), Ok(None)) => findings.problem(
                "both",
                file,
                format!("the engine's root lacks it: {effect}"),
                "copy the legacy's whole root folder",
            ),
            (Ok(_), Ok(_)) => findings.problem(
                "both",
                file,
                format!("another one: {effect}"),
                "copy the legacy's file to the same place, with the engine stopped",
            ),
            (Err(error), _) | (_, Err(error)) => findings.problem(
                "both",
                file,
                error,
                "run parity as a user who may read both root folders",
            ),
        }
    }
}
