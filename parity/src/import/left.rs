//! What a recording says beside its steps: what every socket received, and what the server left.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    ImportError,
    fields::{object, string},
};
use crate::normalize::sha256_hex;
use crate::transcript::{Body, Heard, HeardEvent, Left, LeftFile, heard_name};

/// The reason that the recorder's client library gives where the scenario itself ended a connection.
const BY_THE_CLIENT: &str = "client disconnect";

/// What the sockets received, in the order in which they connected.
pub(super) fn heard(recording: &Value) -> Result<Vec<Heard>, ImportError> {
    let mut long = BTreeMap::new();
    if let Some(steps) = recording.get("steps") {
        long_texts(steps, &mut long);
    }
    let mut all = Vec::new();
    for connection in listed(recording, "heard")? {
        let client = string(connection, "client")?;
        let mut one = Heard::begin(&client, number(connection, "connection")?);
        for event in listed(connection, "events")? {
            match event.get("disconnected") {
                Some(reason) => {
                    let reason = reason.as_array().and_then(|all| all.first()).unwrap_or(reason);
                    let reason = reason.as_str().unwrap_or_default();
                    one.closed = (reason != BY_THE_CLIENT).then(|| reason.to_owned());
                }
                None => one.events.push(HeardEvent {
                    after_step: number(event, "after_step")?,
                    event: heard_name(&string(event, "event")?).into_owned(),
                    data: whole(event.get("data").cloned().unwrap_or_default(), &long),
                    asks: false,
                }),
            }
        }
        all.push(one);
    }
    Ok(all)
}

/// Texts that are too long for what the sockets received are written there by their digest.
const SHORTER: usize = 4096;

/// All long texts of the steps, by their digest.
fn long_texts(value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) if text.len() > SHORTER => {
            found.insert(sha256_hex(text.as_bytes()), text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| long_texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| long_texts(member, found)),
        _ => {}
    }
}

/// The value with the long texts that a step holds too; those of other texts stay digests.
fn whole(value: Value, long: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| whole(item, long)).collect(),
        Value::Object(members) => {
            let digest = members.get("$long").and_then(|text| text.get("sha256")?.as_str());
            match digest
                .filter(|_| members.len() == 1)
                .and_then(|digest| long.get(digest))
            {
                Some(text) => Value::String(text.clone()),
                None => Value::Object(
                    members
                        .into_iter()
                        .map(|(key, member)| (key, whole(member, long)))
                        .collect(),
                ),
            }
        }
        other => other,
    }
}

/// The tables and files; nothing where nobody could look, which is written as null.
pub(super) fn left(recording: &Value) -> Result<Option<Left>, ImportError> {
    let last = recording
        .get("final")
        .ok_or_else(|| ImportError::Field("final".to_owned()))?;
    if last.is_null() {
        return Ok(None);
    }
    let mut left = Left::default();
    for (table, rows) in object(last, "tables") {
        let Value::Array(rows) = rows else {
            return Err(ImportError::Field(format!("table {table}")));
        };
        let rows: Option<Vec<Map<String, Value>>> =
            rows.into_iter().map(|row| row.as_object().cloned()).collect();
        let rows = rows.ok_or_else(|| ImportError::Field(format!("table {table}")))?;
        left.tables.insert(table, rows);
    }
    for (path, file) in object(last, "files") {
        let content = match (text_of(&file, "text"), text_of(&file, "base64")) {
            (Some(text), _) => Some(Body::Text(text)),
            (None, Some(base64)) => Some(Body::Base64(base64)),
            (None, None) => None,
        };
        let file = LeftFile {
            mode: string(&file, "mode")?,
            size: file
                .get("size")
                .and_then(Value::as_u64)
                .ok_or_else(|| ImportError::Field(format!("size of {path}")))?,
            sha256: string(&file, "sha256")?,
            // A recording holds a database's bytes, never its tables.
            is_database: false,
            content,
        };
        left.files.insert(path, file);
    }
    Ok(Some(left))
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn listed<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, ImportError> {
    value
        .get(key)
        .and_then(Value::as_array)
        .ok_or_else(|| ImportError::Field(key.to_owned()))
}

fn number(value: &Value, key: &str) -> Result<u32, ImportError> {
    value
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| ImportError::Field(key.to_owned()))
}
