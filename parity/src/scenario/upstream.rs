//! GitHub as a scenario plays it: what the server was answered, and how often it asked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The name of the port at which the played servers are found: `${stub.port}` in a scenario.
pub const UPSTREAM_PORT: &str = "stub.port";

/// What the server was answered when it asked GitHub, or what an operator asked for through it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// How often the server asks during a step, by the step's number; 0 stands for the start. The file names the
    /// steps. The run waits for that many before it goes on, because the server asks in the background too.
    pub asks: BTreeMap<u32, u32>,
    /// How many of the last questions came after the recording's end. They are waited for and not compared.
    pub unrecorded: u32,
    /// Every request and its answer, in the order of the recording.
    pub exchanges: Vec<Exchange>,
}

/// One request of the server and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exchange {
    /// The method, in capitals.
    pub method: String,
    /// The path with the query, as it was sent.
    pub path: String,
    /// The header of that name.
    pub authorization: Option<String>,
    /// The request's body; empty where there is none.
    pub request_body: String,
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The body in base64, where it is no text.
    pub body_base64: Option<String>,
}

impl Upstream {
    /// How often the server has asked once the step is over.
    pub fn asked_by(&self, step: u32) -> u32 {
        self.asks.range(..=step).map(|(_, count)| count).sum()
    }
}

impl Exchange {
    /// The members as they are written, without those that say nothing.
    pub fn fields(&self) -> Value {
        let Self {
            method,
            path,
            authorization,
            request_body,
            status,
            headers,
            body,
            body_base64,
        } = self;
        let mut fields = Map::from_iter([
            ("method".to_owned(), json!(method)),
            ("path".to_owned(), json!(path)),
            ("status".to_owned(), json!(status)),
            ("headers".to_owned(), json!(headers)),
        ]);
        match body_base64 {
            Some(bytes) => fields.insert("body_base64".to_owned(), json!(bytes)),
            None => fields.insert("body".to_owned(), json!(body)),
        };
        if let Some(authorization) = authorization {
            fields.insert("authorization".to_owned(), json!(authorization));
        }
        if !request_body.is_empty() {
            fields.insert("request_body".to_owned(), json!(request_body));
        }
        Value::Object(fields)
    }
}
