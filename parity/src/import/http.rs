//! Recorded requests and their answers.

use serde_json::Value;

use super::{
    ImportError, Importer,
    fields::{array, decode, object, string},
    locate,
};
use crate::{
    json_form,
    scenario::{
        model::{Action, METHODS, Request, RequestBody},
        template::{as_text, fold_repeats},
        yaml::keeps_its_text,
    },
    transcript::{Body, Observation, Seen, StatusLine},
};

impl Importer {
    pub(super) fn http(&mut self, id: u32, at_us: i64, step: &Value) -> Result<Option<Action>, ImportError> {
        let field = |name: &str| {
            step.get(name)
                .ok_or_else(|| ImportError::Field(format!("{name} of step {id}")))
        };
        let (request, response) = (field("request")?, field("response")?);
        let method = string(request, "method")?;
        let path = string(request, "path")?;
        let who = step.get("who").and_then(Value::as_str);
        let (seen, answer) = read_answer(id, response)?;
        self.answers.push(id, answer);
        self.observations.push(Observation {
            step: id,
            at_us,
            label: label(&method, &fold_repeats(&path), who),
            seen,
        });
        let Some((_, method)) = METHODS.iter().find(|(_, known)| *known == method) else {
            self.not_runnable.push(format!("step {id}: method {method}"));
            return Ok(None);
        };
        Ok(Some(Action::Http(Request {
            method,
            path: fold_repeats(&path),
            headers: object(request, "headers")
                .into_iter()
                .map(|(name, value)| (name, fold_repeats(&as_text(&value))))
                .collect(),
            body: read_body(request),
        })))
    }
}

/// One line for people.
pub(crate) fn label(method: &str, path: &str, who: Option<&str>) -> String {
    let path = if path.chars().count() > 120 {
        format!("{}…", path.chars().take(120).collect::<String>())
    } else {
        path.to_owned()
    };
    match who {
        Some(who) => format!("{method} {path} as {who}"),
        None => format!("{method} {path}"),
    }
}

fn read_body(request: &Value) -> RequestBody {
    if let Some(json) = request.get("json") {
        return if survives_yaml(json) {
            RequestBody::Json(fold_values(json))
        } else {
            RequestBody::Text(json.to_string())
        };
    }
    if let Some(text) = request.get("body").and_then(Value::as_str) {
        return RequestBody::Text(fold_repeats(text));
    }
    decode(request.get("body_base64")).map_or(RequestBody::Empty, RequestBody::Bytes)
}

/// Whether every number keeps its text on the way through YAML; others travel inside a body text.
pub(super) fn survives_yaml(value: &Value) -> bool {
    match value {
        Value::Number(number) => keeps_its_text(number),
        Value::Array(items) => items.iter().all(survives_yaml),
        Value::Object(fields) => fields.values().all(survives_yaml),
        _ => true,
    }
}

pub(super) fn fold_values(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(fold_repeats(text)),
        Value::Array(items) => Value::Array(items.iter().map(fold_values).collect()),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(key, item)| (key.clone(), fold_values(item)));
            Value::Object(pairs.collect())
        }
        other => other.clone(),
    }
}

fn read_answer(id: u32, response: &Value) -> Result<(Seen, locate::Answer), ImportError> {
    let status = response
        .get("status")
        .and_then(Value::as_u64)
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| ImportError::Field(format!("status of step {id}")))?;
    let wire = response
        .get("wire")
        .ok_or_else(|| ImportError::Field(format!("wire of step {id}")))?;
    let headers: Vec<(String, String)> = array(wire, "headers")
        .iter()
        .filter_map(|pair| match pair.as_array()?.as_slice() {
            [name, value] => Some((name.as_str()?.to_owned(), as_text(value))),
            _ => None,
        })
        .collect();
    let line = StatusLine {
        version: string(wire, "version")?,
        status,
        reason: string(wire, "reason")?,
    };
    let body = match (response.get("json"), response.get("text"), response.get("base64")) {
        (Some(json), ..) => Body::Json(json.clone()),
        (None, Some(text), _) if text.as_str() != Some("") => Body::Text(as_text(text)),
        (None, None, Some(base64)) => Body::Base64(as_text(base64)),
        _ => Body::Empty,
    };
    // A longer text is not in the recording; then only what it says is compared.
    let form = match (&body, response.get("raw").and_then(Value::as_str)) {
        (Body::Json(_), Some(raw)) => serde_json::from_str(raw)
            .ok()
            .map(|value| json_form::form(raw, &value)),
        _ => None,
    };
    let length = wire
        .get("length")
        .and_then(Value::as_u64)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| ImportError::Field(format!("length of step {id}")))?;
    let answer = locate::Answer::http(&body, &headers);
    Ok((
        Seen::Answer {
            line,
            headers,
            body,
            length,
            form,
        },
        answer,
    ))
}
