//! What was seen while a scenario ran against one target: the only type that later stages read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scenario::upstream::Exchange;

/// Everything that one run of one scenario showed from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The observations, in the order of the steps. A step that shows nothing (a capture, a wait) has none.
    pub observations: Vec<Observation>,
    /// What socket clients showed beside the steps. No recording holds such things, so they are listed and never
    /// compared.
    #[serde(default)]
    pub notices: Vec<Notice>,
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
        /// Status code.
        status: u16,
        /// All headers but date, server, connection and content-length; names in lower case, sorted by name.
        headers: Vec<(String, String)>,
        /// The body.
        body: Body,
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
        /// Why not, in the client's own words, which are not compared.
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
