//! A scenario, read and checked.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{
    agent::Agent,
    made::Made,
    raw::{RawFile, RawPolicy, RawScenario},
    shorthand::read_steps,
    socket::SocketStep,
    steps::{at, file_source},
    upstream::Upstream,
};

/// The version of the format that this program reads and writes.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `<area folder>/<file name>`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The area as it is shown to people.
    pub area: String,
    /// The entries of the checklist that it covers.
    pub checklist: Vec<String>,
    /// The agents, sorted by name.
    pub agents: Vec<Agent>,
    /// Unix time in microseconds at which step times begin.
    pub started_at_us: i64,
    /// Who may call what the legacy leaves open.
    pub policy: Policy,
    /// Environment variables beyond the usual.
    pub env: Vec<(String, String)>,
    /// Files under the root before the server starts.
    pub files: Vec<(String, FileSource)>,
    /// What GitHub answers; nobody answers where this is left out.
    pub upstream: Option<Upstream>,
    pub steps: Vec<Step>,
}

/// The access policy that the scenario runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nobody is checked where the legacy checks nobody.
    Legacy,
    /// Operator routes want an operator.
    Strict,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    Text(String),
    Bytes(Vec<u8>),
    /// A file beside the scenario, as a path relative to the scenario's folder.
    Beside(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The stable number.
    pub id: u32,
    /// The line in the YAML file; 0 where there is none.
    pub line: u64,
    /// Whose cookies are used.
    pub who: Option<String>,
    /// A remark for people.
    pub note: String,
    /// Microseconds since the start at which the step is over.
    pub at_us: Option<i64>,
    pub action: Action,
    /// What later steps may name, and where it is found.
    pub captures: Vec<(String, Capture)>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Http(Request),
    /// Literal values get names.
    Set(Vec<(String, Value)>),
    /// A client computes a value.
    Make {
        name: String,
        made: Made,
        /// The function and its fields as they are written.
        fields: Map<String, Value>,
    },
    /// The database is changed from outside.
    Sql {
        statement: String,
        /// Parameters by position.
        params: Vec<Value>,
    },
    /// The database is read.
    Rows {
        statement: String,
        /// Parameters by position.
        params: Vec<Value>,
    },
    /// Time passes.
    Wait {
        microseconds: i64,
    },
    /// The server is stopped and started over the same root.
    Restart,
    /// A file is written while the server runs.
    File {
        /// Path under the root.
        path: String,
        /// What it holds.
        source: FileSource,
    },
    /// A Socket.IO client does something.
    Socket(SocketStep),
    /// A fact that cannot be replayed.
    Check(Value),
}

/// One HTTP request, with templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path with the query, exactly as it is sent.
    pub path: String,
    /// The headers in order.
    pub headers: Vec<(String, String)>,
    pub body: RequestBody,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RequestBody {
    /// None.
    Empty,
    /// Sent as compact JSON.
    Json(Value),
    /// Sent as it stands.
    Text(String),
    /// Sent as it stands, without templates.
    Bytes(Vec<u8>),
}

/// Where a captured value is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// JSON pointer into the body, or into the rows.
    Pointer(String),
    /// A cookie that the answer sets.
    Cookie(String),
    /// A claim of a token that the pointer finds.
    Claim {
        /// JSON pointer to the token in the body.
        token: String,
        /// JSON pointer into its claims.
        claim: String,
    },
    /// JSON pointer into the first Engine.IO packet of a polling answer that has something there.
    Packet(String),
}

/// Why a scenario cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The YAML is malformed or has unknown fields; the text names line and column.
    #[error("{0}")]
    Yaml(String),
    /// Written by a later version.
    #[error("format {0} is newer than this program, which reads {FORMAT}")]
    TooNew(u32),
    /// Written by an earlier version.
    #[error("format {0} is older than this program reads ({FORMAT})")]
    TooOld(u32),
    /// One place is wrong.
    #[error("line {line}: {reason}")]
    At {
        /// The line, from 1.
        line: u64,
        reason: String,
    },
}

/// The methods a step may use, as key and as sent.
pub const METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];

/// Seconds as written in the files, in microseconds.
#[allow(
    clippy::cast_possible_truncation,
    reason = "microseconds of any date fit exactly; absurd values saturate"
)]
pub fn microseconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// The seed of an agent that names none: it follows from scenario and agent, so runs repeat themselves.
fn derived_seed(scenario: &str, agent: &str) -> [u8; 32] {
    Sha256::digest(format!("seed:{scenario}:{agent}")).into()
}

impl Scenario {
    /// Whether there is anything of the legacy to compare it with. The legacy has no access policy but its own, so
    /// what the strict one refuses is the project's own to say: such scenarios have approved transcripts instead.
    pub fn has_legacy(&self) -> bool {
        self.policy == Policy::Legacy
    }

    /// Reads a scenario from its YAML text.
    ///
    /// # Errors
    /// If the text is no scenario of this format.
    pub fn read(name: &str, text: &str) -> Result<Self, ModelError> {
        let raw: RawScenario = match serde_saphyr::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                return Err(version_error(text).unwrap_or_else(|| ModelError::Yaml(error.to_string())));
            }
        };
        check_version(raw.format)?;
        let mut agents = Vec::new();
        for (agent, fields) in raw.agents {
            let line = fields.referenced.line();
            let seed = match &fields.value.seed {
                None => derived_seed(name, &agent),
                Some(seed) => BASE64
                    .decode(seed)
                    .ok()
                    .and_then(|seed| seed.try_into().ok())
                    .ok_or_else(|| at(line, "the seed is no base64 text of 32 bytes"))?,
            };
            agents.push(Agent {
                name: agent,
                hostname: fields.value.hostname,
                seed,
            });
        }
        let mut files = Vec::new();
        for (path, file) in raw.files {
            let line = file.referenced.line();
            let RawFile { text, base64, file } = file.value;
            files.push((path, file_source(line, text, base64, file)?));
        }
        let mut steps = Vec::new();
        let mut previous = 0;
        for step in raw.steps {
            let read = read_steps(step.referenced.line(), step.value, previous)?;
            previous = read.last().map_or(previous, |step| step.id);
            steps.extend(read);
        }
        Ok(Self {
            name: name.to_owned(),
            title: raw.title,
            area: raw.area,
            checklist: raw.checklist,
            agents,
            started_at_us: microseconds(raw.started_at),
            policy: match raw.policy {
                RawPolicy::Legacy => Policy::Legacy,
                RawPolicy::Strict => Policy::Strict,
            },
            env: raw.env.into_iter().collect(),
            files,
            upstream: raw.upstream,
            steps,
        })
    }
}

fn check_version(format: u32) -> Result<(), ModelError> {
    match format.cmp(&FORMAT) {
        std::cmp::Ordering::Greater => Err(ModelError::TooNew(format)),
        std::cmp::Ordering::Less => Err(ModelError::TooOld(format)),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// A file of another version has other fields: saying so helps more than naming the first strange field.
fn version_error(text: &str) -> Option<ModelError> {
    let line = text.lines().find_map(|line| line.strip_prefix("format:"))?;
    check_version(line.trim().parse().ok()?).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "format: 1\ntitle: T\narea: A\nstarted_at: 1795448990.335\nagents: {agent1: {hostname: H}}\nsteps:\n";

    #[test]
    fn a_scenario_is_read_as_people_write_it() {
        let text = format!(
            "{HEAD}  - as: admin\n    post: /x\n    json: {{ ttl: 1, n: null, \"f\": 1.5 }}\n    capture: {{ code: /code }}\n  - id: 7\n    rows: SELECT 1\n"
        );
        let scenario = Scenario::read("a/b", &text).unwrap();
        assert_eq!(scenario.started_at_us, 1_795_448_990_335_000);
        assert_eq!(
            scenario.steps.iter().map(|step| step.id).collect::<Vec<_>>(),
            [1, 7]
        );
        assert_eq!(
            scenario.steps[0].captures,
            [("code".to_owned(), Capture::Pointer("/code".to_owned()))]
        );
        let Action::Http(request) = &scenario.steps[0].action else {
            panic!("a request")
        };
        assert_eq!(
            request.body,
            RequestBody::Json(serde_json::json!({"ttl": 1, "n": null, "f": 1.5}))
        );
        let null = Scenario::read("a/b", &format!("{HEAD}  - post: /x\n    json: null\n")).unwrap();
        let Action::Http(request) = &null.steps[0].action else {
            panic!("a request")
        };
        assert_eq!(request.body, RequestBody::Json(Value::Null));
    }

    #[test]
    fn mistakes_name_their_line() {
        let read = |steps: &str| {
            Scenario::read("a/b", &format!("{HEAD}{steps}"))
                .unwrap_err()
                .to_string()
        };
        assert!(read("  - socket: ui\n").contains("line 7: a socket step"));
        assert!(read("  - get: /\n  - get: /\n    sql: X\n").contains("line 8"));
        assert!(read("  - get: /\n    jsno: {}\n").contains('8'));
        assert!(read("  - as: admin\n").contains("does nothing"));
        assert!(read("  - make: {name: p, function: nothing}\n").contains("no function"));
        assert_eq!(
            Scenario::read("a/b", "format: 2\nstrange: 1\n"),
            Err(ModelError::TooNew(2))
        );
        assert_eq!(Scenario::read("a/b", "format: 0\n"), Err(ModelError::TooOld(0)));
    }
}
