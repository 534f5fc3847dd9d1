//! Writes a scenario as YAML: block style for the outline, JSON-like flow style for data, so that a step stays short.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};

use super::model::{
    Action, Capture, FORMAT, FileSource, METHODS, Policy, Request, RequestBody, Scenario, Step,
};

/// The YAML text of a scenario; reading it gives the scenario back.
pub fn to_yaml(scenario: &Scenario) -> String {
    let mut out = String::new();
    line(&mut out, 0, "format", &FORMAT.to_string());
    line(&mut out, 0, "title", &scalar(&scenario.title));
    line(&mut out, 0, "area", &scalar(&scenario.area));
    if !scenario.checklist.is_empty() {
        let entries: Vec<_> = scenario.checklist.iter().map(|entry| quote(entry)).collect();
        line(&mut out, 0, "checklist", &format!("[{}]", entries.join(", ")));
    }
    line(&mut out, 0, "started_at", &seconds(scenario.started_at_us));
    if scenario.policy == Policy::Strict {
        line(&mut out, 0, "policy", "strict");
    }
    if !scenario.env.is_empty() {
        out.push_str("env:\n");
        for (name, value) in &scenario.env {
            line(&mut out, 2, &scalar(name), &quote(value));
        }
    }
    if !scenario.agents.is_empty() {
        out.push_str("agents:\n");
        for agent in &scenario.agents {
            let fields = format!(
                "{{hostname: {}, seed: {}}}",
                quote(&agent.hostname),
                quote(&BASE64.encode(agent.seed))
            );
            line(&mut out, 2, &scalar(&agent.name), &fields);
        }
    }
    if !scenario.files.is_empty() {
        out.push_str("files:\n");
        for (path, source) in &scenario.files {
            line(&mut out, 2, &scalar(path), "");
            file(&mut out, 4, "file", source);
        }
    }
    if let Some(upstream) = &scenario.upstream {
        out.push_str("upstream:\n");
        if !upstream.asks.is_empty() {
            let asks: Vec<_> = upstream
                .asks
                .iter()
                .map(|(step, count)| format!("{step}: {count}"))
                .collect();
            line(&mut out, 2, "asks", &format!("{{{}}}", asks.join(", ")));
        }
        if upstream.unrecorded > 0 {
            line(&mut out, 2, "unrecorded", &upstream.unrecorded.to_string());
        }
        out.push_str(if upstream.exchanges.is_empty() {
            "  exchanges: []\n"
        } else {
            "  exchanges:\n"
        });
        for exchange in &upstream.exchanges {
            let _ = writeln!(out, "    - {}", flow(&exchange.fields()));
        }
    }
    out.push_str(if scenario.steps.is_empty() {
        "steps: []\n"
    } else {
        "steps:\n"
    });
    for step in &scenario.steps {
        write_step(&mut out, step);
    }
    out
}

fn write_step(out: &mut String, step: &Step) {
    let _ = writeln!(out, "  - id: {}", step.id);
    if let Some(who) = &step.who {
        line(out, 4, "as", &scalar(who));
    }
    if !step.note.is_empty() {
        line(out, 4, "note", &scalar(&step.note));
    }
    if let Some(at_us) = step.at_us {
        line(out, 4, "at", &seconds(at_us));
    }
    match &step.action {
        Action::Http(request) => write_request(out, request),
        Action::Set(values) => {
            let values: Map<_, _> = values.iter().cloned().collect();
            line(out, 4, "set", &flow(&Value::Object(values)));
        }
        Action::Make { name, fields, .. } => {
            let mut all = Map::from_iter([("name".to_owned(), Value::String(name.clone()))]);
            all.extend(fields.clone());
            line(out, 4, "make", &flow(&Value::Object(all)));
        }
        Action::Sql { statement, params } => write_statement(out, "sql", statement, params),
        Action::Rows { statement, params } => write_statement(out, "rows", statement, params),
        Action::Wait { microseconds } => line(out, 4, "wait", &seconds(*microseconds)),
        Action::Restart => line(out, 4, "restart", "true"),
        Action::File { path, source } => {
            line(out, 4, "file", &scalar(path));
            file(out, 4, "from", source);
        }
        Action::Socket(socket) => {
            line(out, 4, "socket", &scalar(&socket.client));
            for (key, value) in socket.written() {
                let text = match &value {
                    Value::String(name) if key != "data" => scalar(name),
                    other => flow(other),
                };
                line(out, 4, key, &text);
            }
        }
        Action::Check(values) => line(out, 4, "check", &flow(values)),
    }
    if !step.captures.is_empty() {
        let captures: Vec<_> = step
            .captures
            .iter()
            .map(|(name, source)| format!("{}: {}", quote(name), capture(source)))
            .collect();
        line(out, 4, "capture", &format!("{{{}}}", captures.join(", ")));
    }
}

fn write_request(out: &mut String, request: &Request) {
    let key = METHODS
        .iter()
        .find(|(_, method)| *method == request.method)
        .map_or("get", |(key, _)| key);
    line(out, 4, key, &scalar(&request.path));
    if !request.headers.is_empty() {
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| format!("{}: {}", quote(name), quote(value)))
            .collect();
        line(out, 4, "headers", &format!("{{{}}}", headers.join(", ")));
    }
    match &request.body {
        RequestBody::Empty => {}
        RequestBody::Json(value) => line(out, 4, "json", &flow(value)),
        RequestBody::Text(text) => line(out, 4, "body", &quote(text)),
        RequestBody::Bytes(bytes) => line(out, 4, "body_base64", &quote(&BASE64.encode(bytes))),
    }
}

fn write_statement(out: &mut String, key: &str, statement: &str, params: &[Value]) {
    line(out, 4, key, &scalar(statement));
    if !params.is_empty() {
        line(out, 4, "params", &flow(&Value::Array(params.to_vec())));
    }
}

fn capture(source: &Capture) -> String {
    match source {
        Capture::Pointer(pointer) => quote(pointer),
        Capture::Cookie(cookie) => format!("{{cookie: {}}}", quote(cookie)),
        Capture::Packet(pointer) => format!("{{packet: {}}}", quote(pointer)),
        Capture::Claim { token, claim } => format!("{{token: {}, claim: {}}}", quote(token), quote(claim)),
    }
}

fn file(out: &mut String, indent: usize, beside: &str, source: &FileSource) {
    match source {
        FileSource::Text(text) if is_block(text) => {
            line(out, indent, "text", "|");
            for part in text.lines() {
                let _ = writeln!(out, "{:indent$}  {part}", "");
            }
        }
        FileSource::Text(text) => line(out, indent, "text", &quote(text)),
        FileSource::Bytes(bytes) => line(out, indent, "base64", &quote(&BASE64.encode(bytes))),
        FileSource::Beside(path) => line(out, indent, beside, &scalar(path)),
    }
}

/// Whether a text can stand as a literal block without any change.
fn is_block(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with([' ', '\t'])
            && !part.ends_with([' ', '\t'])
            && part.chars().all(is_printable)
    };
    text.strip_suffix('\n')
        .is_some_and(|text| !text.is_empty() && text.split('\n').all(plain))
}

fn line(out: &mut String, indent: usize, key: &str, value: &str) {
    let space = if value.is_empty() { "" } else { " " };
    let _ = writeln!(out, "{:indent$}{key}:{space}{value}", "");
}

/// Microseconds as seconds, without needless digits.
fn seconds(microseconds: i64) -> String {
    let sign = if microseconds < 0 { "-" } else { "" };
    let (whole, part) = (
        microseconds.unsigned_abs() / 1_000_000,
        microseconds.unsigned_abs() % 1_000_000,
    );
    let text = format!("{sign}{whole}.{part:06}");
    let short = text.trim_end_matches('0');
    short.strip_suffix('.').unwrap_or(short).to_owned()
}

fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a1}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
}

/// A text in double quotes.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            plain if is_printable(plain) => out.push(plain),
            other if u32::from(other) <= 0xffff => {
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
            other => {
                let _ = write!(out, "\\U{:08X}", u32::from(other));
            }
        }
    }
    out.push('"');
    out
}

/// A text in block context: plain where YAML surely reads it as this text, else in double quotes.
fn scalar(text: &str) -> String {
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let ends_well = !text.ends_with([' ', ':']);
    let plain = text.chars().all(|character| {
        character.is_ascii_alphanumeric() || " _/.,()?=&%*+<>'|;!@~-${}:".contains(character)
    });
    let harmless = !text.contains(": ") && !reserved.contains(&text.to_ascii_lowercase().as_str());
    if starts_well && ends_well && plain && harmless {
        text.to_owned()
    } else {
        quote(text)
    }
}

/// A JSON value in flow style.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, item)| format!("{}: {}", quote(key), flow(item)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_text(text: &str) -> Scenario {
        Scenario {
            name: "a/b".to_owned(),
            title: text.to_owned(),
            area: "A".to_owned(),
            checklist: Vec::new(),
            agents: Vec::new(),
            started_at_us: 1_795_448_990_335_001,
            policy: Policy::Legacy,
            env: Vec::new(),
            files: vec![("f".to_owned(), FileSource::Text(text.to_owned()))],
            upstream: None,
            steps: vec![Step {
                id: 3,
                line: 0,
                who: None,
                note: text.to_owned(),
                at_us: Some(9_000),
                action: Action::Http(Request {
                    method: "POST",
                    path: format!("/{text}"),
                    headers: vec![("X".to_owned(), text.to_owned())],
                    body: RequestBody::Json(
                        serde_json::json!({"k": [text, 1, 1.5, -0.25, null, true], text: {}}),
                    ),
                }),
                captures: vec![("n".to_owned(), Capture::Pointer("/a/0".to_owned()))],
            }],
        }
    }

    fn round(scenario: &Scenario) -> Scenario {
        let text = to_yaml(scenario);
        let mut read = Scenario::read("a/b", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for step in &mut read.steps {
            step.line = 0;
        }
        read
    }

    #[test]
    fn texts_that_yaml_could_misread_come_back() {
        for text in [
            "null",
            "Yes",
            "12",
            "1e3",
            "",
            " a",
            "a ",
            "a: b",
            "a #b",
            "- a",
            "a\nb\n",
            "\u{7f}\u{85}\u{feff}",
            "é😀",
            "-----BEGIN X-----\nabc=\n-----END X-----\n",
            "{a}",
            "a:",
            "~",
            "'a'",
            "\"",
            "<<",
            "0x1f",
            ".inf",
        ] {
            assert_eq!(round(&with_text(text)), with_text(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[^\u{0}]*") {
            prop_assert_eq!(round(&with_text(&text)), with_text(&text));
        }
    }
}
