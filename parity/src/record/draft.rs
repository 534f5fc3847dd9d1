//! Exchanges and sessions become steps, in the order in which a replay does them.
//!
//! Long because a step is made of everything that is known of it.

use std::{collections::BTreeMap, io::Read as _};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use serde_json::Value;

use super::{
    channel::{Act, Channel, Session},
    clients::{Clients, numbered},
    journal::Moment,
    plan::Plan,
    summary::Summary,
    wire::{Exchange, header},
};
use crate::{json_form, scenario::model::METHODS, socket_io::Transport, transcript::StatusLine};

/// The name under which a scenario has the text `$`, which begins a template.
pub(super) const DOLLAR: &str = "dollar";
/// Headers that client libraries and browsers send on their own.
const USUAL_HEADERS: [&str; 11] = [
    "accept-encoding",
    "accept-language",
    "content-length",
    "cookie",
    "dnt",
    "expect",
    "priority",
    "sec-gpc",
    "te",
    "upgrade-insecure-requests",
    "user-agent",
];

/// A step on its way into the recording.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// When it began.
    pub(super) begun: u64,
    pub(super) over: Moment,
    pub(super) who: Option<String>,
    pub(super) sent: Sent,
    pub(super) shown: Shown,
    /// What the client computes before it: name, value and how.
    pub(super) made: Vec<(String, String, Value)>,
    /// What later steps name: name and value.
    pub(super) captures: Vec<(String, Value)>,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sent {
    Http {
        method: String,
        path: String,
        headers: Vec<(String, String)>,
        body: Body,
    },
    Connect {
        client: String,
        headers: Vec<(String, String)>,
        query: String,
        transports: Vec<Transport>,
    },
    Emit {
        client: String,
        event: String,
        arguments: Vec<Value>,
        ack: bool,
    },
    Receive {
        client: String,
        event: String,
    },
    Disconnect {
        client: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Text(String),
    Bytes(Vec<u8>),
}

/// What it was shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    Answer {
        line: StatusLine,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        /// Its length as it passed.
        length: u64,
    },
    /// Connected, or why not.
    Connected(Option<String>),
    Acknowledged(Option<Vec<Value>>),
    Received(Vec<Value>),
    Nothing,
}

/// What one connection of a socket client received.
#[derive(Clone, Debug)]
pub(super) struct Listened {
    pub(super) client: String,
    /// When, what and with which arguments.
    pub(super) events: Vec<(Moment, String, Vec<Value>)>,
    /// Whether the client ended it, and why it ended.
    pub(super) closed: Option<(Moment, bool, String)>,
}

/// All steps, and what beside them was received.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) steps: Vec<Draft>,
    pub(super) heard: Vec<Listened>,
}

enum Next {
    Exchange(Box<Exchange>),
    Session(Box<Session>),
}

/// Puts everything in order.
pub(super) fn drafts(channel: Channel, plan: &Plan, summary: &mut Summary) -> Drafts {
    let mut all: Vec<(u64, Next)> = Vec::new();
    for exchange in channel.others {
        all.push((exchange.begun.number, Next::Exchange(Box::new(exchange))));
    }
    for session in channel.sessions {
        all.push((session.opened.begun.number, Next::Session(Box::new(session))));
    }
    all.sort_by_key(|(number, _)| *number);
    let mut writer = Writer {
        plan,
        clients: Clients::new(&plan.agents),
        out: Drafts::default(),
        connected: BTreeMap::new(),
        summary,
    };
    for (_, next) in all {
        match next {
            Next::Exchange(exchange) => writer.exchange(*exchange),
            Next::Session(session) => writer.session(&session),
        }
    }
    let mut out = writer.out;
    out.steps.sort_by_key(|step| step.begun);
    out
}

/// Whether this is a file of the built web client, which lies in the server's root folder: no request put it there, so a
/// replay's server has nothing to answer with.
fn is_of_the_web_client(exchange: &Exchange) -> bool {
    let Exchange { asked, answered, .. } = exchange;
    let routed = ["/api/", "/socket.io/"]
        .iter()
        .any(|prefix| asked.target.starts_with(prefix));
    let answers_json = header(&answered.headers, "content-type").is_some_and(|kind| kind.contains("json"))
        && header(&answered.headers, "last-modified").is_none();
    matches!(asked.method.as_str(), "GET" | "HEAD")
        && !routed
        && !answers_json
        && match answered.line.status {
            // A page of a server without a web client; a file that it lacks, a replay lacks, too.
            404 => !asked
                .target
                .split('?')
                .next()
                .and_then(|path| path.rsplit('/').next())
                .is_some_and(|name| name.contains('.')),
            status => matches!(status, 200 | 206 | 304),
        }
}

struct Writer<'a> {
    plan: &'a Plan,
    clients: Clients,
    out: Drafts,
    /// Socket clients, and when their last connection ended.
    connected: BTreeMap<String, Option<u64>>,
    summary: &'a mut Summary,
}

impl Writer<'_> {
    fn exchange(&mut self, exchange: Exchange) {
        let what = format!("{} {}", exchange.asked.method, exchange.asked.target);
        let who = self.clients.exchange(&exchange);
        let method = exchange.asked.method.as_str();
        if !METHODS.iter().any(|(_, known)| *known == method) {
            self.summary.left_out(&what, "scenarios know no such method");
            return;
        }
        if !self.plan.keep_pages && is_of_the_web_client(&exchange) {
            self.summary.note(
                "a page or file of the web client is not written, because a replay has another web client or none (--keep-pages writes it)"
                    .to_owned(),
            );
            return;
        }
        for (body, whose) in [
            (&exchange.asked.body, "its body"),
            (&exchange.answered.body, "its answer"),
        ] {
            if !body.whole {
                let why = format!(
                    "{whose} has {} bytes, which is more than --largest-body keeps, and what is not whole cannot be compared",
                    body.length
                );
                self.summary.left_out(&what, &why);
                return;
            }
        }
        if exchange.answered.line.status == 101 {
            self.summary
                .left_out(&what, "it became a connection that is no Socket.IO channel");
            return;
        }
        let mut exchange = exchange;
        if let Some(coding) = header(&exchange.answered.headers, "content-encoding").map(str::to_owned) {
            if !unpack(&mut exchange, &coding) {
                let why = format!("its answer is encoded as {coding}, which cannot be read");
                self.summary.left_out(&what, &why);
                return;
            }
            self.summary.note(
                "answers came compressed; they are written as they come where nobody asks for that"
                    .to_owned(),
            );
        }
        let mut headers = self.headers(&exchange);
        let mut body = read_body(&exchange.asked.body.bytes);
        if let Some(coding) = header(&exchange.asked.headers, "transfer-encoding") {
            headers.push(("Transfer-Encoding".to_owned(), coding.to_owned()));
            body = one_chunk(&exchange.asked.body.bytes);
        }
        if let (Body::Json(_), Some(at)) = (&body, json_type(&headers)) {
            headers.remove(at);
            headers.insert(0, ("Content-Type".to_owned(), "application/json".to_owned()));
        }
        if let Some(cookie) = who.cookie {
            headers.push(("Cookie".to_owned(), cookie));
        }
        self.push(Draft {
            begun: exchange.begun.number,
            over: exchange.over,
            who: who.name,
            sent: Sent::Http {
                method: exchange.asked.method,
                path: exchange.asked.target,
                headers,
                body,
            },
            shown: Shown::Answer {
                length: exchange.answered.body.length,
                line: exchange.answered.line,
                headers: exchange
                    .answered
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, self.plan.as_said(&value)))
                    .collect(),
                body: self.plan.as_said_in(exchange.answered.body.bytes),
            },
            made: Vec::new(),
            captures: Vec::new(),
        });
    }

    /// Adds a step, with what reads like a template in it written so that it is none.
    fn push(&mut self, mut draft: Draft) {
        draft.sent.each_text(&mut |text| {
            if text.contains("${") {
                *text = text.replace("${", &format!("${{{DOLLAR}}}{{"));
            }
            for (host, base) in &self.plan.addresses {
                if text.contains(host.as_str()) {
                    *text = text
                        .replace(base.as_str(), "${base}")
                        .replace(host.as_str(), "${host}");
                }
            }
        });
        self.out.steps.push(draft);
    }

    /// The headers that a replay has to send: not those that belong to the connection, and not those that every client
    /// library sends on its own.
    fn headers(&mut self, exchange: &Exchange) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for (name, value) in &exchange.asked.headers {
            let lower = name.to_ascii_lowercase();
            let own = match lower.as_str() {
                "host" => self.plan.addresses.iter().any(|(host, _)| host == value),
                "accept" => value == "*/*",
                "sec-fetch-site" => matches!(value.as_str(), "same-origin" | "none"),
                "transfer-encoding" => true,
                // Where the server answers with one, it matters.
                "connection" if exchange.answered.line.status == 101 => true,
                "connection" => header(&exchange.answered.headers, "connection").is_none(),
                lower => {
                    USUAL_HEADERS.contains(&lower)
                        || lower.starts_with("sec-ch-")
                        || lower.starts_with("sec-fetch-")
                        || lower.starts_with("sec-websocket-")
                        || (lower == "upgrade" && value.eq_ignore_ascii_case("websocket"))
                }
            };
            if own {
                continue;
            }
            match out.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => {
                    known.push_str(", ");
                    known.push_str(value);
                    self.summary.note(format!(
                        "{} {}: the header {name} came more than once, and is written as one",
                        exchange.asked.method, exchange.asked.target
                    ));
                }
                None => out.push((name.clone(), value.clone())),
            }
        }
        out
    }

    fn session(&mut self, session: &Session) {
        let Some(over) = session.over else { return };
        let who = self.clients.socket(&session.opened.asked.headers);
        let mut headers = self.headers(&session.opened);
        if let Some(cookie) = who.cookie {
            headers.push(("Cookie".to_owned(), cookie));
        }
        let begun = session.opened.begun.number;
        let client = self.client(session, begun);
        self.push(Draft {
            begun,
            over,
            who: who.name,
            sent: Sent::Connect {
                client: client.clone(),
                headers,
                query: own_query(&session.opened.asked.target),
                transports: session.transports.clone(),
            },
            shown: Shown::Connected(session.error.clone()),
            made: Vec::new(),
            captures: Vec::new(),
        });
        let mut listened = Listened {
            client: client.clone(),
            events: Vec::new(),
            closed: None,
        };
        for act in &session.acts {
            self.act(act, &client, &mut listened);
        }
        self.connected
            .insert(client, listened.closed.as_ref().map(|(at, ..)| at.number));
        self.out.heard.push(listened);
    }

    fn act(&mut self, act: &Act, client: &str, listened: &mut Listened) {
        let client = client.to_owned();
        let step = |begun: Moment, over: Moment, sent: Sent, shown: Shown| Draft {
            begun: begun.number,
            over,
            who: None,
            sent,
            shown,
            made: Vec::new(),
            captures: Vec::new(),
        };
        match act {
            Act::Emit {
                at,
                event,
                arguments,
                ack,
            } => {
                let came = ack.as_ref().and_then(|ack| ack.came.clone());
                let over = came.as_ref().map_or(*at, |(over, _)| *over);
                let sent = Sent::Emit {
                    client,
                    event: event.clone(),
                    arguments: arguments.clone(),
                    ack: ack.is_some(),
                };
                let shown = match ack {
                    Some(_) => Shown::Acknowledged(came.map(|(_, arguments)| arguments)),
                    None => Shown::Nothing,
                };
                self.push(step(*at, over, sent, shown));
            }
            Act::Heard {
                at,
                event,
                arguments,
                asks,
            } => {
                if *asks {
                    self.summary.note(format!(
                        "the server asked for an acknowledgement of {event}; recordings do not say so"
                    ));
                }
                listened.events.push((*at, event.clone(), arguments.clone()));
            }
            Act::Closed {
                at,
                by_client,
                reason,
            } => {
                listened.closed = Some((*at, *by_client, reason.clone()));
                if *by_client {
                    self.push(step(*at, *at, Sent::Disconnect { client }, Shown::Nothing));
                }
            }
        }
    }

    /// What a socket client is called: one that comes back has the name that it had.
    fn client(&self, session: &Session, begun: u64) -> String {
        let is_agent = session.acts.iter().any(|act| {
            matches!(act, Act::Emit { event, .. } if event == "connect_agent" || event == "agent_heartbeat")
        });
        let name = if is_agent { "agent" } else { "ui" };
        let is_free = |name: &String| match self.connected.get(name) {
            None => true,
            Some(ended) => ended.is_some_and(|ended| ended < begun),
        };
        (1..)
            .map(|number| numbered(name, number))
            .find(is_free)
            .unwrap_or_else(|| name.to_owned())
    }
}

/// A longer text does not come out of a compressed body.
const LONGEST_UNPACKED: u64 = 64 << 20;

/// Makes an answer what it is without compression, as a replay gets it, which asks for none. Whether that could be done.
fn unpack(exchange: &mut Exchange, coding: &str) -> bool {
    let bytes = &exchange.answered.body.bytes;
    let mut out = Vec::new();
    let read = match coding.trim().to_ascii_lowercase().as_str() {
        "identity" => return true,
        _ if bytes.is_empty() => Ok(0),
        "gzip" | "x-gzip" => MultiGzDecoder::new(bytes.as_slice())
            .take(LONGEST_UNPACKED)
            .read_to_end(&mut out),
        "deflate" => ZlibDecoder::new(bytes.as_slice())
            .take(LONGEST_UNPACKED)
            .read_to_end(&mut out),
        _ => return false,
    };
    if read.is_err() || out.len() as u64 == LONGEST_UNPACKED {
        return false;
    }
    let length = out.len();
    exchange.answered.headers.retain_mut(|(name, value)| {
        if name.eq_ignore_ascii_case("content-length") && !bytes.is_empty() {
            *value = length.to_string();
        }
        !name.eq_ignore_ascii_case("content-encoding")
    });
    exchange.answered.body.length = length as u64;
    exchange.answered.body.bytes = out;
    true
}

fn json_type(headers: &[(String, String)]) -> Option<usize> {
    let types: Vec<usize> = (0..headers.len())
        .filter(|at| {
            headers
                .get(*at)
                .is_some_and(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        })
        .collect();
    let [at] = types.as_slice() else { return None };
    headers
        .get(*at)
        .is_some_and(|(_, value)| value == "application/json")
        .then_some(*at)
}

/// What a client has added to the query of a handshake.
fn own_query(target: &str) -> String {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let own: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && !["EIO", "transport", "sid", "t", "b64"].contains(&name)
        })
        .collect();
    own.join("&")
}

/// A body as a scenario writes it. Where a JSON text is written as no program writes it, it stays a text.
fn read_body(bytes: &[u8]) -> Body {
    if bytes.is_empty() {
        return Body::Empty;
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Body::Bytes(bytes.to_vec());
    };
    match serde_json::from_str::<Value>(text) {
        Ok(value) if is_usual(text, &value) => Body::Json(value),
        _ => Body::Text(text.to_owned()),
    }
}

/// Whether a JSON text is written as JavaScript or Python write it, so that it follows from what it says.
fn is_usual(text: &str, value: &Value) -> bool {
    let compact = value.to_string();
    compact == text || json_form::form(text, value) != text
}

/// A body that came in chunks, as one.
fn one_chunk(bytes: &[u8]) -> Body {
    let head = format!("{:x}\r\n", bytes.len());
    let end: &[u8] = b"\r\n0\r\n\r\n";
    let framed = if bytes.is_empty() {
        b"0\r\n\r\n".to_vec()
    } else {
        [head.as_bytes(), bytes, end].concat()
    };
    match String::from_utf8(framed) {
        Ok(text) => Body::Text(text),
        Err(error) => Body::Bytes(error.into_bytes()),
    }
}

impl Sent {
    /// Every text in which templates count.
    pub(super) fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Http {
                path, headers, body, ..
            } => {
                change(path);
                headers.iter_mut().for_each(|(_, value)| change(value));
                match body {
                    Body::Json(value) => each_text_in(value, change),
                    Body::Text(text) => change(text),
                    Body::Empty | Body::Bytes(_) => {}
                }
            }
            Self::Connect { headers, query, .. } => {
                headers.iter_mut().for_each(|(_, value)| change(value));
                change(query);
            }
            Self::Emit { arguments, .. } => {
                arguments.iter_mut().for_each(|value| each_text_in(value, change));
            }
            Self::Receive { .. } | Self::Disconnect { .. } => {}
        }
    }
}

/// Every text of a JSON value, keys too.
fn each_text_in(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text_in(item, change)),
        Value::Object(fields) => {
            let all = std::mem::take(fields);
            for (mut key, mut item) in all {
                change(&mut key);
                each_text_in(&mut item, change);
                fields.insert(key, item);
            }
        }
        _ => {}
    }
}
