//! Writes a scenario as YAML: block style for the outline, JSON-like flow style for data, so that a step stays short.
//!
//! Long because it is a list: one part of the format after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    ops::Range,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};

use super::{
    expect::Expect,
    model::{Action, Capture, FORMAT, FileSource, METHODS, Policy, Request, RequestBody, Scenario, Step},
    names,
    shorthand::{self, FIRST_OPERATOR, Kind},
    steps::JSON_TYPE,
    template,
    yaml::is_plain_text,
};
use crate::normalize::sha256_hex;

/// One entry of the file: what it is, the steps that it stands for, and what it is called where the file says nothing.
struct Entry {
    kind: Kind,
    steps: Range<usize>,
    usual: String,
}

fn entries(scenario: &Scenario) -> Vec<Entry> {
    let groups = shorthand::fold(scenario);
    let bases: Vec<String> = groups
        .iter()
        .map(|(kind, steps)| {
            let step = || {
                scenario
                    .steps
                    .get(steps.start)
                    .map(|step| names::base(step, &scenario.queries))
            };
            kind.base().or_else(step).unwrap_or_default()
        })
        .collect();
    let named = groups.into_iter().zip(names::number(&bases));
    named
        .map(|((kind, steps), usual)| Entry { kind, steps, usual })
        .collect()
}

/// What each step is called where the file gives it no name, in the order of the steps.
pub fn usual_names(scenario: &Scenario) -> Vec<String> {
    let parts = entries(scenario).into_iter().flat_map(|entry| {
        let parts: Vec<&str> = entry.kind.steps().iter().map(|(part, _)| *part).collect();
        let name = move |part: &str| {
            if part.is_empty() {
                entry.usual.clone()
            } else {
                format!("{}: {part}", entry.usual)
            }
        };
        if parts.is_empty() {
            vec![name("")]
        } else {
            parts.into_iter().map(name).collect()
        }
    });
    parts.collect()
}

/// Brings a scenario that a program made into the form in which it is written: steps are counted, those without a name
/// get the usual one, SQL texts that stand in it more than once get a name, and what nearly is a shorthand becomes one.
pub fn straighten(scenario: &mut Scenario) {
    shorthand::straighten(scenario);
    name_queries(scenario);
    for (step, id) in scenario.steps.iter_mut().zip(1..) {
        step.id = id;
    }
    let usual = usual_names(scenario);
    for (step, usual) in scenario.steps.iter_mut().zip(usual) {
        if step.name.is_empty() {
            step.name = usual;
        }
    }
}

fn name_queries(scenario: &mut Scenario) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order = Vec::new();
    for step in &scenario.steps {
        if let Action::Rows { statement, .. } = &step.action {
            let count = counts.entry(statement).or_default();
            *count += 1;
            if *count == 2 {
                order.push(statement.clone());
            }
        }
    }
    let mut queries = std::mem::take(&mut scenario.queries);
    queries.retain(|(_, statement)| counts.contains_key(statement.as_str()));
    let mut taken: BTreeSet<String> = queries.iter().map(|(name, _)| name.clone()).collect();
    for statement in order {
        if queries.iter().any(|(_, known)| *known == statement) {
            continue;
        }
        let table = names::table(&statement).unwrap_or_else(|| "query".to_owned());
        let numbered = |times: usize| {
            if times == 1 {
                table.clone()
            } else {
                format!("{table}_{times}")
            }
        };
        let free = (1..).map(numbered).find(|name| !taken.contains(name));
        if let Some(name) = free {
            taken.insert(name.clone());
            queries.push((name, statement));
        }
    }
    scenario.queries = queries;
}

/// SHA-256 of all that a scenario does, as its steps unfold, and of nothing that only people read. A snapshot names it, so
/// that an edited scenario is not held against what the legacy answered to another one.
pub fn requests_digest(scenario: &Scenario) -> String {
    let mut bare = Scenario {
        title: String::new(),
        area: String::new(),
        checklist: Vec::new(),
        queries: Vec::new(),
        ..scenario.clone()
    };
    for step in &mut bare.steps {
        step.name.clear();
        step.note.clear();
        step.at_us = None;
        step.expect = Expect::default();
    }
    let usual = usual_names(&bare);
    for (step, usual) in bare.steps.iter_mut().zip(usual) {
        step.name = usual;
    }
    sha256_hex(to_yaml(&bare).as_bytes())
}

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
    if let Some(shared) = &scenario.shared {
        let leaves = json!({ "leaves": shared.leaves });
        let leaves = if shared.leaves.is_empty() {
            json!({})
        } else {
            leaves
        };
        line(&mut out, 0, "shared", &flow(&leaves));
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
    if !scenario.queries.is_empty() {
        out.push_str("queries:\n");
        for (name, statement) in &scenario.queries {
            line(&mut out, 2, &scalar(name), &scalar(statement));
        }
    }
    write_upstream(&mut out, scenario);
    out.push_str(if scenario.steps.is_empty() {
        "steps: []\n"
    } else {
        "steps:\n"
    });
    for entry in entries(scenario) {
        if let Some(steps) = scenario.steps.get(entry.steps.clone()) {
            let mut text = String::new();
            write_entry(&mut text, &entry, steps, scenario);
            out.push_str("  - ");
            out.push_str(text.trim_start());
        }
    }
    out
}

fn write_upstream(out: &mut String, scenario: &Scenario) {
    let Some(upstream) = &scenario.upstream else {
        return;
    };
    out.push_str("upstream:\n");
    if !upstream.asks.is_empty() {
        let name = |id: &u32| match scenario.steps.iter().find(|step| step.id == *id) {
            Some(step) => quote(&step.name),
            None => names::START.to_owned(),
        };
        let asks: Vec<_> = upstream
            .asks
            .iter()
            .map(|(step, count)| format!("{}: {count}", name(step)))
            .collect();
        line(out, 2, "asks", &format!("{{{}}}", asks.join(", ")));
    }
    if upstream.unrecorded > 0 {
        line(out, 2, "unrecorded", &upstream.unrecorded.to_string());
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

fn write_entry(out: &mut String, entry: &Entry, steps: &[Step], scenario: &Scenario) {
    let Some(step) = steps.first() else { return };
    let parts = entry.kind.steps();
    let suffix = match parts.as_slice() {
        [(part, _), _, ..] => format!(": {part}"),
        _ => String::new(),
    };
    let name = step.name.strip_suffix(&suffix).unwrap_or(&step.name);
    if name != entry.usual && !name.is_empty() {
        line(out, 4, "name", &scalar(name));
    }
    let mut captures = step.captures.as_slice();
    match &entry.kind {
        Kind::Step => {
            if let Some(who) = &step.who {
                line(out, 4, "as", &scalar(who));
            }
            write_remarks(out, step);
            write_action(out, step, scenario);
            if step.only_own {
                line(out, 4, "only_own", "true");
            }
        }
        Kind::Login { operator, password } => {
            line(out, 4, "login", &scalar(operator));
            if let Some(password) = password {
                line(out, 4, "password", &scalar(password));
            }
            write_remarks(out, step);
            // The first is the shorthand's own.
            captures = captures.get(1..).unwrap_or_default();
        }
        Kind::Enroll { agent, operator } => {
            line(out, 4, "enroll", &scalar(agent));
            if operator != FIRST_OPERATOR {
                line(out, 4, "as", &scalar(operator));
            }
            write_remarks(out, step);
            captures = &[];
        }
        Kind::Proof { agent } => {
            line(out, 4, "proof", &scalar(agent));
            write_remarks(out, step);
        }
    }
    if !captures.is_empty() {
        let captures: Vec<_> = captures
            .iter()
            .map(|(name, source)| format!("{}: {}", quote(name), capture(source)))
            .collect();
        line(out, 4, "capture", &format!("{{{}}}", captures.join(", ")));
    }
    if !step.expect.is_empty() {
        line(out, 4, "expect", &flow(&step.expect.value()));
    }
}

fn write_remarks(out: &mut String, step: &Step) {
    if !step.note.is_empty() {
        line(out, 4, "note", &scalar(&step.note));
    }
    if let Some(at_us) = step.at_us {
        line(out, 4, "at", &seconds(at_us));
    }
}

fn write_action(out: &mut String, step: &Step, scenario: &Scenario) {
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
        Action::Rows { statement, params } => {
            let query = scenario.queries.iter().find(|(_, text)| text == statement);
            write_statement(out, "rows", query.map_or(statement, |(name, _)| name), params);
        }
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
}

fn write_request(out: &mut String, request: &Request) {
    let key = METHODS
        .iter()
        .find(|(_, method)| *method == request.method)
        .map_or("get", |(key, _)| key);
    line(out, 4, key, &scalar(&request.path));
    let mut headers = request.headers.as_slice();
    if matches!(request.body, RequestBody::Json(_)) {
        let has_type = |(name, _): &(String, String)| name.eq_ignore_ascii_case(JSON_TYPE.0);
        match headers.split_first() {
            Some(((name, value), others))
                if (name.as_str(), value.as_str()) == JSON_TYPE && !others.iter().any(has_type) =>
            {
                headers = others;
            }
            _ if headers.iter().any(has_type) => {}
            _ => line(out, 4, "content_type", "none"),
        }
    }
    if !headers.is_empty() {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{}: {}", quote(name), quote(value)))
            .collect();
        line(out, 4, "headers", &format!("{{{}}}", headers.join(", ")));
    }
    match &request.body {
        RequestBody::Empty => {}
        RequestBody::Json(value) => line(out, 4, "json", &flow(value)),
        RequestBody::Text(text) => match template::whole_repeat(text) {
            Some((unit, times)) if template::repeat(&unit, times) == *text => {
                line(out, 4, "repeat", &repeated(&unit, times));
            }
            _ => line(out, 4, "body", &quote(text)),
        },
        RequestBody::Bytes(bytes) => line(out, 4, "body_base64", &quote(&BASE64.encode(bytes))),
    }
}

fn repeated(unit: &str, times: usize) -> String {
    flow(&json!({"text": unit, "times": times}))
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
        Capture::Header(header) => format!("{{header: {}}}", quote(header)),
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
        FileSource::Repeat(unit, times) => line(out, indent, "repeat", &repeated(unit, *times)),
        FileSource::Bytes(bytes) => line(out, indent, "base64", &quote(&BASE64.encode(bytes))),
        FileSource::Beside(path) => line(out, indent, beside, &scalar(path)),
        FileSource::Link(to) => line(out, indent, "link", &scalar(to)),
        FileSource::Mode(source, mode) => {
            line(out, indent, "mode", &quote(&format!("{mode:04o}")));
            file(out, indent, beside, source);
        }
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
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/');
    let ends_well = !text.ends_with([' ', ':']);
    let plain = text.chars().all(|character| {
        character.is_ascii_alphanumeric() || " _/.,()?=&%*+<>'|;!@~-${}:".contains(character)
    });
    let harmless = !text.contains(": ") && is_plain_text(text);
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
mod tests;
