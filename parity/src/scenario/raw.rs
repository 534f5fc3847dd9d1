//! The YAML text as serde reads it; [`super::model`] makes sense of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::upstream::Upstream;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(super) format: u32,
    pub(super) title: String,
    pub(super) area: String,
    #[serde(default)]
    pub(super) checklist: Vec<String>,
    #[serde(default)]
    pub(super) agents: BTreeMap<String, Spanned<RawAgent>>,
    pub(super) started_at: f64,
    #[serde(default)]
    pub(super) policy: RawPolicy,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) files: BTreeMap<String, Spanned<RawFile>>,
    #[serde(default)]
    pub(super) upstream: Option<Upstream>,
    pub(super) steps: Vec<Spanned<RawStep>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPolicy {
    #[default]
    Legacy,
    Strict,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAgent {
    pub(super) hostname: String,
    #[serde(default)]
    pub(super) seed: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) base64: Option<String>,
    #[serde(default)]
    pub(super) file: Option<String>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStep {
    pub(super) id: Option<u32>,
    pub(super) at: Option<f64>,
    #[serde(rename = "as")]
    pub(super) who: Option<String>,
    pub(super) note: Option<String>,
    pub(super) get: Option<String>,
    pub(super) post: Option<String>,
    pub(super) put: Option<String>,
    pub(super) patch: Option<String>,
    pub(super) delete: Option<String>,
    pub(super) head: Option<String>,
    pub(super) options: Option<String>,
    pub(super) headers: Option<Map<String, Value>>,
    #[serde(deserialize_with = "present")]
    pub(super) json: Option<Value>,
    pub(super) body: Option<String>,
    pub(super) body_base64: Option<String>,
    pub(super) capture: Option<Map<String, Value>>,
    pub(super) set: Option<Map<String, Value>>,
    pub(super) make: Option<Map<String, Value>>,
    pub(super) sql: Option<String>,
    pub(super) rows: Option<String>,
    pub(super) params: Option<Vec<Value>>,
    pub(super) wait: Option<f64>,
    pub(super) restart: Option<bool>,
    pub(super) file: Option<String>,
    pub(super) text: Option<String>,
    pub(super) base64: Option<String>,
    pub(super) from: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) check: Option<Value>,
    pub(super) login: Option<String>,
    pub(super) password: Option<String>,
    pub(super) enroll: Option<String>,
    pub(super) socket: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) connect: Option<Value>,
    pub(super) emit: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) data: Option<Value>,
    pub(super) args: Option<Vec<Value>>,
    pub(super) ack: Option<bool>,
    pub(super) expect: Option<String>,
    pub(super) silence: Option<String>,
    pub(super) disconnect: Option<bool>,
}

/// A value that may be `null` and still be there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
