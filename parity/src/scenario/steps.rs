//! Makes sense of the steps as they stand in the file.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};

use super::{
    made::Made,
    model::{Action, Capture, FileSource, METHODS, ModelError, Request, RequestBody, Step, microseconds},
    raw::RawStep,
    socket,
};

pub(super) fn at(line: u64, reason: impl Into<String>) -> ModelError {
    ModelError::At {
        line,
        reason: reason.into(),
    }
}

pub(super) fn file_source(
    line: u64,
    text: Option<String>,
    base64: Option<String>,
    beside: Option<String>,
) -> Result<FileSource, ModelError> {
    match (text, base64, beside) {
        (Some(text), None, None) => Ok(FileSource::Text(text)),
        (None, Some(base64), None) => BASE64
            .decode(base64)
            .map(FileSource::Bytes)
            .map_err(|_| at(line, "base64 cannot be decoded")),
        (None, None, Some(path)) => Ok(FileSource::Beside(path)),
        _ => Err(at(
            line,
            "a file has exactly one of text, base64 and a file beside the scenario",
        )),
    }
}

pub(super) fn read_step(line: u64, mut raw: RawStep, previous: u32) -> Result<Step, ModelError> {
    let id = raw.id.unwrap_or(previous + 1);
    if id <= previous {
        return Err(at(line, format!("step {id} stands after step {previous}")));
    }
    let captures = raw
        .capture
        .take()
        .unwrap_or_default()
        .into_iter()
        .map(|(name, source)| read_capture(line, &source).map(|source| (name, source)))
        .collect::<Result<_, _>>()?;
    let step = Step {
        id,
        line,
        who: raw.who.take(),
        note: raw.note.take().unwrap_or_default(),
        at_us: raw.at.take().map(microseconds),
        captures,
        action: read_action(line, raw)?,
    };
    let shows_data = match &step.action {
        Action::Http(_) | Action::Rows { .. } => true,
        Action::Socket(socket) => socket.shows_data(),
        _ => false,
    };
    if !shows_data && !step.captures.is_empty() {
        return Err(at(
            line,
            "only requests, rows, events and acknowledgements can be captured from",
        ));
    }
    Ok(step)
}

fn read_capture(line: u64, source: &Value) -> Result<Capture, ModelError> {
    let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    let fields = source.as_object().map_or(0, Map::len);
    match (
        source.as_str(),
        fields,
        text("cookie"),
        text("token"),
        text("claim"),
    ) {
        (Some(pointer), ..) if pointer.is_empty() || pointer.starts_with('/') => {
            Ok(Capture::Pointer(pointer.to_owned()))
        }
        (None, 1, Some(cookie), None, None) => Ok(Capture::Cookie(cookie)),
        (None, 1, None, None, None) if text("packet").is_some() => {
            Ok(Capture::Packet(text("packet").unwrap_or_default()))
        }
        (None, 2, None, Some(token), Some(claim)) => Ok(Capture::Claim { token, claim }),
        _ => Err(at(
            line,
            "a capture is a JSON pointer, {cookie: name}, {token: pointer, claim: pointer} or {packet: pointer}",
        )),
    }
}

fn read_action(line: u64, mut raw: RawStep) -> Result<Action, ModelError> {
    let socket = socket::Fields {
        connect: raw.connect.take(),
        emit: raw.emit.take(),
        data: raw.data.take(),
        args: raw.args.take(),
        ack: raw.ack.take(),
        expect: raw.expect.take(),
        silence: raw.silence.take(),
        disconnect: raw.disconnect.take(),
    };
    let client = raw.socket.take();
    let paths = [
        raw.get.take(),
        raw.post.take(),
        raw.put.take(),
        raw.patch.take(),
        raw.delete.take(),
        raw.head.take(),
        raw.options.take(),
    ];
    let mut actions = Vec::new();
    if client.is_some() || socket.any() {
        let step = socket.read(client).map_err(|reason| at(line, reason))?;
        actions.push(Action::Socket(step));
    }
    for ((_, method), path) in METHODS.into_iter().zip(paths) {
        if let Some(path) = path {
            actions.push(Action::Http(Request {
                method,
                path,
                headers: read_headers(line, raw.headers.take())?,
                body: read_body(line, &mut raw)?,
            }));
        }
    }
    if let Some(values) = raw.set.take() {
        actions.push(Action::Set(values.into_iter().collect()));
    }
    if let Some(mut fields) = raw.make.take() {
        let name = match fields.remove("name") {
            Some(Value::String(name)) => name,
            _ => return Err(at(line, "make has no name")),
        };
        let made = Made::read(fields.clone()).map_err(|error| at(line, format!("make {name}: {error}")))?;
        actions.push(Action::Make { name, made, fields });
    }
    if let Some(statement) = raw.sql.take() {
        let params = raw.params.take().unwrap_or_default();
        actions.push(Action::Sql { statement, params });
    }
    if let Some(statement) = raw.rows.take() {
        let params = raw.params.take().unwrap_or_default();
        actions.push(Action::Rows { statement, params });
    }
    if let Some(seconds) = raw.wait.take() {
        actions.push(Action::Wait {
            microseconds: microseconds(seconds),
        });
    }
    if raw.restart.take() == Some(true) {
        actions.push(Action::Restart);
    }
    if let Some(path) = raw.file.take() {
        let source = file_source(line, raw.text.take(), raw.base64.take(), raw.from.take())?;
        actions.push(Action::File { path, source });
    }
    if let Some(values) = raw.check.take() {
        actions.push(Action::Check(values));
    }
    let left = raw.headers.is_some()
        || raw.json.is_some()
        || raw.body.is_some()
        || raw.body_base64.is_some()
        || raw.params.is_some()
        || raw.password.is_some()
        || raw.text.is_some()
        || raw.base64.is_some()
        || raw.from.is_some();
    match (actions.pop(), actions.is_empty(), left) {
        (Some(action), true, false) => Ok(action),
        (Some(_), true, true) => Err(at(line, "the step has fields that do not belong to its kind")),
        (Some(_), false, _) => Err(at(line, "the step does two things at once")),
        (None, ..) => Err(at(line, "the step does nothing")),
    }
}

fn read_headers(line: u64, headers: Option<Map<String, Value>>) -> Result<Vec<(String, String)>, ModelError> {
    headers
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            Value::Number(number) => Ok((name, number.to_string())),
            _ => Err(at(line, format!("header {name} is no text"))),
        })
        .collect()
}

fn read_body(line: u64, raw: &mut RawStep) -> Result<RequestBody, ModelError> {
    match (raw.json.take(), raw.body.take(), raw.body_base64.take()) {
        (None, None, None) => Ok(RequestBody::Empty),
        (Some(json), None, None) => Ok(RequestBody::Json(json)),
        (None, Some(text), None) => Ok(RequestBody::Text(text)),
        (None, None, Some(text)) => BASE64
            .decode(text)
            .map(RequestBody::Bytes)
            .map_err(|_| at(line, "body_base64 cannot be decoded")),
        _ => Err(at(
            line,
            "a request has at most one of json, body and body_base64",
        )),
    }
}
