//! The values that stand in a scenario itself. Whatever equals one of them was not made up by the server.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::{
    model::{Action, Request, RequestBody, Scenario},
    sqlite_text,
    template::{self, Names},
};

/// Texts longer than this are not kept: no server echoes them as a value of their own.
const LONGEST: usize = 65_536;

/// All literal values of a scenario, and of the files that it places.
pub fn literals<'a>(scenario: &Scenario, files: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<String> {
    let mut names = Names::new();
    let mut found = BTreeSet::new();
    for agent in &scenario.agents {
        agent.define(&mut names);
        found.extend(agent.values().into_iter().map(|(_, value)| value));
    }
    for bytes in files {
        file_literals(bytes, &mut found);
    }
    for (_, value) in &scenario.env {
        found.insert(value.clone());
    }
    for step in &scenario.steps {
        match &step.action {
            Action::Http(request) => request_literals(request, &names, &mut found),
            Action::Set(values) => {
                for (name, value) in values {
                    if let Ok(value) = template::render_value(value, &names) {
                        leaves(&value, &Names::new(), &mut found);
                        names.insert(name.clone(), value);
                    }
                }
            }
            Action::Sql { statement, params } | Action::Rows { statement, params } => {
                found.extend(statement.split('\'').skip(1).step_by(2).map(str::to_owned));
                params.iter().for_each(|value| leaves(value, &names, &mut found));
            }
            Action::Make { fields, .. } => {
                fields
                    .values()
                    .for_each(|value| leaves(value, &names, &mut found));
            }
            Action::Socket(socket) => leaves(&socket.texts(), &names, &mut found),
            Action::File { .. } | Action::Wait { .. } | Action::Restart | Action::Check(_) => {}
        }
    }
    found.retain(|text| !text.is_empty() && text.len() <= LONGEST);
    found
}

fn file_literals(bytes: &[u8], found: &mut BTreeSet<String>) {
    if bytes.starts_with(b"SQLite format 3\0") {
        // A database that cannot be read has no texts to add; the server will meet it as it is.
        found.extend(sqlite_text::texts(bytes).unwrap_or_default());
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        found.insert(text.to_owned());
        found.insert(text.trim().to_owned());
        if let Ok(value) = serde_json::from_str(text) {
            leaves(&value, &Names::new(), found);
        }
    } else {
        found.insert(BASE64.encode(bytes));
    }
}

fn request_literals(request: &Request, names: &Names, found: &mut BTreeSet<String>) {
    pieces(&request.path, &['/', '?', '&', '='], names, found);
    for (_, value) in &request.headers {
        pieces(value, &[' ', ';', '='], names, found);
    }
    match &request.body {
        RequestBody::Json(value) => leaves(value, names, found),
        RequestBody::Text(text) => {
            pieces(text, &['"'], names, found);
            if let Ok(value) = serde_json::from_str(text) {
                leaves(&value, names, found);
            }
        }
        RequestBody::Empty | RequestBody::Bytes(_) => {}
    }
}

/// The text as a whole and its parts; what holds a value of the server is left out.
fn pieces(text: &str, separators: &[char], names: &Names, found: &mut BTreeSet<String>) {
    for part in text.split(separators).chain([text]) {
        if let Ok(part) = template::render(part, names) {
            found.insert(part);
        }
    }
}

fn leaves(value: &Value, names: &Names, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Ok(text) = template::render(text, names) {
                found.insert(text);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, names, found)),
        Value::Object(fields) => {
            for (key, item) in fields {
                found.insert(key.clone());
                leaves(item, names, found);
            }
        }
        _ => {}
    }
}
