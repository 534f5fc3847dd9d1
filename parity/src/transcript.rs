//! What was seen while a scenario ran against one target: the only type that later stages read.
//!
//! Long because it is one type with all of its parts.

use std::{borrow::Cow, collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use ed25519_dalek::VerifyingKey;

use crate::mask::Masked;
use crate::scenario::{expect::Shortfall, model::Scenario, upstream::Exchange};

/// Everything that one run of one scenario showed from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// `<area>/<name>`.
    pub scenario: String,
    /// Unix time, in microseconds, at which step times begin.
    pub started_at_us: i64,
    /// The target's base URL during the run, such as `http://127.0.0.1:39695`.
    pub base: String,
    /// Values that the client made or that stand in the scenario: whatever equals one of them is compared as it
    /// is, never named.
    pub client_values: Vec<String>,
    /// The number of the scenario's last step.
    pub last_step: u32,
    /// The observations, in the order of the steps. A step that shows nothing (a capture, a wait) has none.
    pub observations: Vec<Observation>,
    /// What socket clients showed beside the steps, for scenarios that no legacy is held against.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// Everything that every socket connection received, asked for by a step or not.
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// What the server left after the last step; nothing where nobody could look.
    #[serde(default)]
    pub left: Option<Left>,
    /// What the scenario itself expects and was not shown.
    #[serde(default)]
    pub missed: Vec<Missed>,
    /// What signatures are verified with.
    #[serde(skip)]
    pub keys: Keys,
    /// How many microseconds each step took; nothing of a recording.
    #[serde(default)]
    pub took_us: BTreeMap<u32, u64>,
    /// How the run went, where it was none of a recording.
    #[serde(skip)]
    pub run: RunNotes,
}

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunNotes {
    /// Whether the server's clock ran by itself.
    pub clock_ran: bool,
    /// Each step with when it began and when it was over, in microseconds since the start; step 0 is the server's start.
    pub spans: Vec<(u32, i64, i64)>,
    /// Steps in which the server could not be talked to.
    pub broken: Vec<Broken>,
    /// Steps that the server has no means for, with the reason.
    pub lacking: BTreeMap<u32, String>,
    /// What was hidden while it was seen.
    pub masked: Masked,
    /// What belongs to this run alone, and what stands for it, on a server that others use.
    pub own: Vec<(String, String)>,
    /// The name of the machine that the server ran on, where it is this one.
    pub machine: Option<String>,
    /// What no route removes.
    pub left_behind: Vec<String>,
    /// Where the root was kept.
    pub kept: Option<PathBuf>,
}

/// A server that could not be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The step.
    pub step: u32,
    /// What happened, in which step, and what to do.
    pub reason: String,
    /// Whether the rest of the scenario was left out.
    pub ends: bool,
}

/// What is known of the keys that a server signed and sealed with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    /// The secret of cookies and operators' tokens.
    pub cookie_secret: Option<String>,
    /// Those of access tokens; none where the server was recorded, because recordings hold no private key.
    pub token_keys: Vec<VerifyingKey>,
    /// Those of stored secrets that the scenario gives to either server, as Fernet writes them.
    pub sealing_keys: Vec<String>,
    /// Those of stored secrets that the server made for itself; none where it was recorded.
    pub own_sealing_keys: Vec<String>,
}

impl Keys {
    /// What a scenario's environment says.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let variable = |wanted: &str| {
            let mut set = scenario.env.iter().filter(|(name, _)| name == wanted);
            set.next_back().map(|(_, value)| value.as_str())
        };
        let secret = variable("BOREALIS_SECRET").unwrap_or(USUAL_SECRET);
        let mut keys = Self {
            cookie_secret: Some(secret.to_owned()),
            ..Self::default()
        };
        if let Some(key) = variable("BOREALIS_SECRET_KEY") {
            // The engine takes the key as it is, the legacy its base64.
            let decoded = URL_SAFE
                .decode(key)
                .ok()
                .and_then(|key| String::from_utf8(key).ok());
            keys.sealing_keys.extend(decoded);
            keys.sealing_keys.push(key.to_owned());
        }
        keys
    }
}

/// An expectation of the scenario that a step did not meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    /// The step.
    pub step: u32,
    /// The step in one line.
    pub label: String,
    /// What was expected, where, and what was there.
    pub what: Shortfall,
}

/// What one connection of a socket client received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// The client.
    pub client: String,
    /// Which of the scenario's connections it is, from 1 in the order in which they were made.
    pub connection: u32,
    /// What came, in the order of arrival.
    pub events: Vec<HeardEvent>,
    /// Why the server ended the connection; nothing where the scenario ended it.
    pub closed: Option<String>,
    /// How the server opened the session, as [`crate::socket_io::Opening`] shows it; nothing where it did not, and in
    /// recordings, which do not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Value>,
}

impl Heard {
    /// A connection that has heard nothing yet.
    pub(crate) fn begin(client: &str, connection: u32) -> Self {
        Self {
            client: client.to_owned(),
            connection,
            events: Vec::new(),
            closed: None,
            opened: None,
        }
    }
}

/// Something that a connection received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeardEvent {
    /// The last step that was over when it came. A recording may be one off.
    pub after_step: u32,
    /// Its name, as [`heard_name`] writes it, or what it is where it is no event.
    pub event: String,
    /// Its argument; null where it has none, a list where it has several.
    pub data: Value,
    /// Whether the server asked for an acknowledgement. The legacy never does, and its recordings do not say so.
    #[serde(default)]
    pub asks: bool,
}

/// What the names begin with of what is no event.
const NO_EVENT: char = '<';

/// An event's name, so that it cannot be taken for what is none: such names begin with `<`, and with `<event>` an event's.
#[must_use]
pub fn heard_name(event: &str) -> Cow<'_, str> {
    if event.starts_with(NO_EVENT) {
        Cow::Owned(format!("{EVENT}{event}"))
    } else {
        Cow::Borrowed(event)
    }
}

const EVENT: &str = "<event>";

impl HeardEvent {
    /// Whether it is an event: anything else came unasked, and is this connection's own.
    pub(crate) fn is_event(&self) -> bool {
        !self.event.starts_with(NO_EVENT) || self.event.starts_with(EVENT)
    }
}

/// What a server left behind: every table and every file under the root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The rows of every table, in the order of the table; blobs as `base64:…`.
    pub tables: BTreeMap<String, Vec<Map<String, Value>>>,
    /// The files, by their path under the root. The database, its journals and the logs are no part of it.
    pub files: BTreeMap<String, LeftFile>,
}

/// The secret that cookies are signed with where a scenario sets none.
pub const USUAL_SECRET: &str = "borealis-dev-secret";

/// How far behind the last step it stands what the server asked of GitHub.
pub const ASKED_AFTER: u32 = 1;
/// How far behind the last step it stands what the sockets received.
pub const HEARD_AFTER: u32 = 2;
/// How far behind the last step it stands what the server left.
pub const LEFT_AFTER: u32 = 3;

/// Files up to this many bytes are compared by their content, longer ones by their digest.
pub const LONGEST_FILE: usize = 4096;

/// A file that a server left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftFile {
    /// Who may read and write it, as `0o644`.
    pub mode: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Whether it is a database of SQLite, such as a copy: its content is its tables then.
    #[serde(default)]
    pub is_database: bool,
    /// The whole content, where it is short and no private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Body>,
}

/// Something that a socket client showed and no step asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The client.
    pub client: String,
    /// The step during or before which it was seen.
    pub step: u32,
    /// What it is about.
    pub kind: NoticeKind,
    /// The event; empty where it is about none.
    pub event: String,
    /// The event's arguments, or the reason.
    pub arguments: Vec<Value>,
}

/// What a [`Notice`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// An event arrived and no step took it.
    NotWaitedFor,
    /// An event arrived before one that an earlier step took.
    Early,
    /// The server ended the connection.
    Closed,
}

/// What one step showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// The step's number in the scenario, from 1.
    pub step: u32,
    /// Microseconds since the scenario's start at which the step was over.
    pub at_us: i64,
    /// The step in one line, for people: `POST /api/agent/enroll/poll as agent1`, `rows: SELECT …`.
    pub label: String,
    /// What was seen.
    pub seen: Seen,
}

/// The kinds of observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Seen {
    /// An HTTP answer.
    Answer {
        /// The first line.
        line: StatusLine,
        /// The headers as they came, in their order and with the letter case of their names.
        headers: Vec<(String, String)>,
        /// The body.
        body: Body,
        /// The bytes of the body.
        length: usize,
        /// How a JSON body is written, as [`crate::json_form::form`] says; nothing where nobody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        form: Option<String>,
    },
    /// Rows read from the database; blobs as `base64:…`.
    Rows {
        /// One map a row, in order.
        rows: Vec<Map<String, Value>>,
    },
    /// A socket client tried to connect.
    Connected {
        /// Whether it did.
        connected: bool,
        /// Why not.
        error: Option<String>,
    },
    /// A socket client emitted an event and asked for an acknowledgement.
    Acknowledged {
        /// What came back; nothing where none came.
        arguments: Option<Vec<Value>>,
    },
    /// A socket client waited for an event.
    Received {
        /// Its arguments; nothing where none came.
        arguments: Option<Vec<Value>>,
    },
    /// A socket client should not have received an event.
    Silence {
        /// The arguments of one that came nevertheless.
        arguments: Option<Vec<Value>>,
    },
    /// What the server asked of GitHub during the whole scenario.
    Asked {
        /// The requests, in the order they came.
        requests: Vec<Asked>,
    },
    /// The step could not be done.
    Failed {
        /// Why.
        reason: String,
    },
}

/// The first line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusLine {
    /// The version of HTTP, such as `1.1`.
    pub version: String,
    /// The status code.
    pub status: u16,
    /// What follows it: `NOT FOUND`.
    pub reason: String,
}

/// A body, as far as it could be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// No bytes.
    Empty,
    /// Readable JSON, whatever the content type.
    Json(Value),
    /// Other text.
    Text(String),
    /// Bytes that are no UTF-8, in base64.
    Base64(String),
}

/// A request of the server to GitHub, as far as recordings hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The method, in capitals.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// The header of that name.
    pub authorization: Option<String>,
    /// The body; empty where there is none.
    pub body: String,
}

impl Asked {
    /// How their observation is called.
    pub const LABEL: &str = "what the server asked of GitHub";

    /// The request of an exchange.
    pub fn of(exchange: &Exchange) -> Self {
        Self {
            method: exchange.method.clone(),
            path: exchange.path.clone(),
            authorization: exchange.authorization.clone(),
            body: exchange.request_body.clone(),
        }
    }

    /// The request in one line, all of it.
    pub fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path);
        if let Some(authorization) = &self.authorization {
            line.push_str(&format!(", authorization {authorization}"));
        }
        if !self.body.is_empty() {
            line.push_str(&format!(", body {}", self.body));
        }
        line
    }
}
