//! Makes sense of the steps as they stand in the file.
//!
//! Long because it is a list: one kind of step after the other.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};

use super::{
    expect::Expect,
    made::Made,
    model::{Action, Capture, FileSource, METHODS, Request, RequestBody, Step, microseconds},
    names,
    shorthand::{FIRST_OPERATOR, Kind},
    socket,
    template::repeat,
    yaml::{Fault, Fields, Node, Place},
};

/// What the implied content type of `json:` is.
pub(super) const JSON_TYPE: (&str, &str) = ("Content-Type", "application/json");

/// Reads steps and collects what is wrong with them.
pub(super) struct Reader<'a> {
    /// The queries that the scenario names.
    pub(super) queries: &'a [(String, String)],
    /// Whether the file has format 1: numbers, `expect:` for an event, every content type written out.
    pub(super) old: bool,
    /// What is wrong.
    pub(super) faults: &'a mut Vec<Fault>,
}

/// One entry of the file.
struct Entry {
    place: Place,
    /// The name that the file gives it.
    name: Option<String>,
    /// The number that it has in a file of format 1.
    number: Option<u32>,
    base: String,
    /// Its steps, each with the name of its part.
    steps: Vec<(&'static str, Step)>,
}

impl Reader<'_> {
    /// The steps of all entries, named and counted; and the numbers that they have in a file of format 1.
    pub(super) fn steps(&mut self, nodes: Vec<Node>) -> (Vec<Step>, Vec<u32>) {
        let entries: Vec<Entry> = nodes.into_iter().filter_map(|node| self.entry(node)).collect();
        let bases: Vec<String> = entries.iter().map(|entry| entry.base.clone()).collect();
        let (mut steps, mut numbers, mut taken) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut previous = 0;
        for (entry, usual) in entries.into_iter().zip(names::number(&bases)) {
            let own = entry.name.is_some();
            let name = entry.name.unwrap_or(usual);
            for (at, (part, mut step)) in entry.steps.into_iter().enumerate() {
                step.name = if part.is_empty() {
                    name.clone()
                } else {
                    format!("{name}: {part}")
                };
                step.line = entry.place.line;
                step.id = u32::try_from(steps.len() + 1).unwrap_or(u32::MAX);
                if !taken.insert(step.name.clone()) {
                    let cure = if own {
                        ""
                    } else {
                        ": give one of them a `name:` of its own"
                    };
                    self.faults.push(
                        entry
                            .place
                            .fault(format!("a step before it is called `{}` too{cure}", step.name)),
                    );
                }
                let number = entry.number.filter(|_| at == 0).unwrap_or(previous + 1);
                if number <= previous {
                    self.faults.push(
                        entry
                            .place
                            .fault(format!("step {number} stands after step {previous}")),
                    );
                }
                previous = number;
                numbers.push(number);
                steps.push(step);
            }
        }
        (steps, numbers)
    }

    fn entry(&mut self, node: Node) -> Option<Entry> {
        let place = node.place;
        let mut fields = node.fields("a step", self.faults)?;
        if self.old && fields.has("socket") {
            fields.rename("expect", "receive");
        }
        let number = if self.old {
            fields.whole("id", self.faults)
        } else {
            None
        };
        let name = self.name(&mut fields);
        let note = fields.text("note", self.faults).unwrap_or_default();
        let only_own = fields.flag("only_own", self.faults).unwrap_or_default();
        let at_us = fields.number("at", self.faults).map(microseconds);
        let captures = self.captures(&mut fields);
        let mut who = fields.text("as", self.faults);
        let kind = self.kind(&mut fields, &mut who);
        let mut steps = kind.steps();
        if steps.is_empty() {
            let action = self.action(&mut fields)?;
            let expect = fields.take("expect");
            let expect = expect
                .map(|node| Expect::read(node, &action, self.faults))
                .unwrap_or_default();
            let step = Step {
                id: 0,
                name: String::new(),
                line: 0,
                who,
                note: String::new(),
                at_us: None,
                action,
                captures,
                expect,
                only_own,
            };
            if !step.captures.is_empty() && !step.shows_data() {
                let reason = "only requests, rows, events and acknowledgements can be captured from";
                self.faults.push(place.fault(reason));
            }
            steps.push(("", step));
        } else {
            if who.is_some() {
                self.faults.push(
                    place.fault("a login or a proof is the operator's or the agent's own: it has no `as`"),
                );
            }
            match steps.as_mut_slice() {
                [(_, step)] if matches!(kind, Kind::Login { .. }) => {
                    step.captures.extend(captures);
                    let expect = fields.take("expect");
                    step.expect = expect
                        .map(|node| Expect::read(node, &step.action, self.faults))
                        .unwrap_or_default();
                }
                _ if !captures.is_empty() => {
                    self.faults
                        .push(place.fault("enroll and proof capture what they always do, and nothing else"));
                }
                _ => {}
            }
        }
        if only_own
            && !matches!(
                steps.as_slice(),
                [(
                    _,
                    Step {
                        action: Action::Http(_),
                        ..
                    }
                )]
            )
        {
            self.faults.push(place.fault("`only_own` is for requests"));
        }
        if let Some((_, first)) = steps.first_mut() {
            (first.note, first.at_us) = (note, at_us);
        }
        let base = kind
            .base()
            .or_else(|| steps.first().map(|(_, step)| names::base(step, self.queries)));
        fields.end("the step", self.faults);
        Some(Entry {
            place,
            name,
            number,
            base: base.unwrap_or_default(),
            steps,
        })
    }

    fn name(&mut self, fields: &mut Fields) -> Option<String> {
        let place = fields.place;
        if self.old {
            return None;
        }
        let name = fields.text("name", self.faults)?;
        if names::is_taken(&name) || names::tidy(&name) != name || name.is_empty() {
            let reason = "a name is one short line, and not `start`, `asked`, `heard` or `left`";
            self.faults.push(place.fault(reason));
        }
        Some(name)
    }

    /// Takes a shorthand's fields.
    fn kind(&mut self, fields: &mut Fields, who: &mut Option<String>) -> Kind {
        let place = fields.place;
        let login = fields.text("login", self.faults);
        let enroll = fields.text("enroll", self.faults);
        let proof = fields.text("proof", self.faults);
        match (login, enroll, proof) {
            (None, None, None) => Kind::Step,
            (Some(operator), None, None) => Kind::Login {
                operator,
                password: fields.text("password", self.faults),
            },
            (None, Some(agent), None) => Kind::Enroll {
                agent,
                operator: who.take().unwrap_or_else(|| FIRST_OPERATOR.to_owned()),
            },
            (None, None, Some(agent)) => Kind::Proof { agent },
            _ => {
                self.faults.push(place.fault("the step does two things at once"));
                Kind::Step
            }
        }
    }

    fn captures(&mut self, fields: &mut Fields) -> Vec<(String, Capture)> {
        let Some(mut captures) = fields
            .take("capture")
            .and_then(|node| node.fields("capture", self.faults))
        else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, place, node) in captures.rest() {
            match capture(&node.value(self.faults)) {
                Some(source) => all.push((name, source)),
                None => self.faults.push(place.fault(
                    "a capture is a JSON pointer, {cookie: name}, {header: name}, {token: pointer, claim: pointer} or {packet: pointer}",
                )),
            }
        }
        all
    }

    fn action(&mut self, fields: &mut Fields) -> Option<Action> {
        let place = fields.place;
        let before = self.faults.len();
        let mut actions = Vec::new();
        if let Some(step) = socket::read(fields, self.faults) {
            actions.push(Action::Socket(step));
        }
        for (key, method) in METHODS {
            if let Some(path) = fields.text(key, self.faults) {
                let request = self.request(method, path, fields);
                actions.push(Action::Http(request));
            }
        }
        if let Some(values) = fields.object("set", self.faults) {
            actions.push(Action::Set(values.into_iter().collect()));
        }
        if let Some(mut made) = fields.object("make", self.faults) {
            let name = match made.shift_remove("name") {
                Some(Value::String(name)) => name,
                _ => {
                    self.faults.push(place.fault("make has no name"));
                    String::new()
                }
            };
            match Made::read(made.clone()) {
                Ok(how) => actions.push(Action::Make {
                    name,
                    made: how,
                    fields: made,
                }),
                Err(error) => self.faults.push(place.fault(format!("make {name}: {error}"))),
            }
        }
        if let Some(statement) = fields.text("sql", self.faults) {
            let params = fields.values("params", self.faults).unwrap_or_default();
            actions.push(Action::Sql { statement, params });
        }
        if let Some(rows) = fields.text("rows", self.faults) {
            let statement = self.query(place, rows);
            let params = fields.values("params", self.faults).unwrap_or_default();
            actions.push(Action::Rows { statement, params });
        }
        if let Some(seconds) = fields.number("wait", self.faults) {
            actions.push(Action::Wait {
                microseconds: microseconds(seconds),
            });
        }
        if let Some(flag) = fields.flag("restart", self.faults) {
            if flag {
                actions.push(Action::Restart);
            } else {
                self.faults.push(place.fault("restart is true, or is left out"));
            }
        }
        if let Some(path) = fields.text("file", self.faults) {
            let source = file_source(fields, "from", self.faults);
            actions.push(Action::File { path, source });
        }
        if let Some(values) = fields.value("check", self.faults) {
            actions.push(Action::Check(values));
        }
        let action = actions.pop();
        match (&action, actions.is_empty()) {
            (Some(_), true) => {}
            (Some(_), false) => self.faults.push(place.fault("the step does two things at once")),
            // What was meant to be its action is wrong and told already.
            (None, _) if self.faults.len() > before => {}
            (None, _) => self.faults.push(place.fault("the step does nothing")),
        }
        action
    }

    /// The text of a query that is named, or the statement itself.
    fn query(&mut self, place: Place, rows: String) -> String {
        match self.queries.iter().find(|(name, _)| *name == rows) {
            Some((_, statement)) => statement.clone(),
            None => {
                if !rows.contains(char::is_whitespace) {
                    self.faults
                        .push(place.fault(format!("`queries:` names no `{rows}`")));
                }
                rows
            }
        }
    }

    fn request(&mut self, method: &'static str, path: String, fields: &mut Fields) -> Request {
        let place = fields.place;
        let headers = fields.take("headers");
        let mut headers = headers.map_or_else(Vec::new, |node| socket::texts(node, "headers", self.faults));
        let body = self.body(fields);
        let none = match fields.text("content_type", self.faults).as_deref() {
            None => self.old,
            Some("none") => true,
            Some(_) => {
                let reason = "content_type is `none`; another one stands in `headers`";
                self.faults.push(place.fault(reason));
                true
            }
        };
        let has_type = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(JSON_TYPE.0));
        if has_type && none && !self.old {
            self.faults
                .push(place.fault("content_type is `none`, and `headers` has one"));
        }
        if matches!(body, RequestBody::Json(_)) && !none && !has_type {
            headers.insert(0, (JSON_TYPE.0.to_owned(), JSON_TYPE.1.to_owned()));
        }
        Request {
            method,
            path,
            headers,
            body,
        }
    }

    fn body(&mut self, fields: &mut Fields) -> RequestBody {
        let place = fields.place;
        let mut bodies = Vec::new();
        if let Some(json) = fields.value("json", self.faults) {
            bodies.push(RequestBody::Json(json));
        }
        if let Some(text) = fields.text("body", self.faults) {
            bodies.push(RequestBody::Text(text));
        }
        if let Some(text) = fields.text("body_base64", self.faults) {
            match BASE64.decode(text) {
                Ok(bytes) => bodies.push(RequestBody::Bytes(bytes)),
                Err(_) => self.faults.push(place.fault("body_base64 cannot be decoded")),
            }
        }
        if let Some((unit, times)) = repeated(fields, self.faults) {
            bodies.push(RequestBody::Text(repeat(&unit, times)));
        }
        if bodies.len() > 1 {
            let reason = "a request has at most one of json, body, body_base64 and repeat";
            self.faults.push(place.fault(reason));
        }
        bodies.pop().unwrap_or(RequestBody::Empty)
    }
}

fn capture(source: &Value) -> Option<Capture> {
    let text = |key: &str| source.get(key).and_then(Value::as_str).map(str::to_owned);
    match (source.as_str(), source.as_object().map_or(0, Map::len)) {
        (Some(pointer), _) => {
            (pointer.is_empty() || pointer.starts_with('/')).then(|| Capture::Pointer(pointer.to_owned()))
        }
        (None, 1) => text("cookie")
            .map(Capture::Cookie)
            .or_else(|| text("header").map(Capture::Header))
            .or_else(|| text("packet").map(Capture::Packet)),
        (None, 2) => Some(Capture::Claim {
            token: text("token")?,
            claim: text("claim")?,
        }),
        _ => None,
    }
}

/// `repeat: {text: x, times: 1000}`.
fn repeated(fields: &mut Fields, faults: &mut Vec<Fault>) -> Option<(String, usize)> {
    let node = fields.take("repeat")?;
    let place = node.place;
    let mut inner = node.fields("repeat", faults)?;
    let (text, times) = (inner.text("text", faults), inner.whole("times", faults));
    inner.end("repeat", faults);
    let (Some(text), Some(times)) = (text, times) else {
        faults.push(place.fault("repeat has a text and how many times: {text: x, times: 1000}"));
        return None;
    };
    if text.is_empty()
        || super::template::render(&repeat(&text, times), &super::template::Names::new()).is_err()
    {
        faults.push(place.fault("nothing is repeated, or it is too long, or it could be read as a template"));
    }
    Some((text, times))
}

/// What a file holds; `beside` is the key that names a file beside the scenario.
pub(super) fn file_source(fields: &mut Fields, beside: &str, faults: &mut Vec<Fault>) -> FileSource {
    let place = fields.place;
    let mut sources = Vec::new();
    if let Some(text) = fields.text("text", faults) {
        sources.push(FileSource::Text(text));
    }
    if let Some(base64) = fields.text("base64", faults) {
        match BASE64.decode(base64) {
            Ok(bytes) => sources.push(FileSource::Bytes(bytes)),
            Err(_) => faults.push(place.fault("base64 cannot be decoded")),
        }
    }
    if let Some(path) = fields.text(beside, faults) {
        if super::files::stays_inside(&path) {
            sources.push(FileSource::Beside(path));
        } else {
            faults.push(place.fault(format!("{path} leaves the scenario's folder")));
        }
    }
    if let Some((unit, times)) = repeated(fields, faults) {
        sources.push(FileSource::Repeat(unit, times));
    }
    if sources.len() != 1 {
        faults.push(place.fault(format!(
            "a file has exactly one of text, base64, repeat and {beside}"
        )));
    }
    sources.pop().unwrap_or_else(|| FileSource::Text(String::new()))
}
