//! Steps become a recording, as `parity import` reads it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value, json};

use super::{
    certificate,
    channel::{self, Channel},
    draft::{self, Body, DOLLAR, Draft, Drafts, Sent, Shown},
    journal::Journal,
    plan::Plan,
    secrets,
    summary::Summary,
    values, waits,
    wire::header,
};
use crate::{
    mask::LONGEST_JSON_TEXT,
    scenario::socket::{self, transport_name},
};

const SECOND_US: i64 = 1_000_000;

/// What a recording became.
#[derive(Clone, Debug)]
pub struct Composed {
    /// As `parity import` reads it.
    pub recording: Value,
    pub summary: Summary,
}

/// Makes a scenario's recording of what passed.
#[must_use]
pub fn compose(journal: Journal, plan: &Plan) -> Composed {
    let mut summary = Summary::default();
    let (refused, reason) = journal.refused;
    if refused > 0 {
        summary.note(format!(
            "{refused} connections of clients found no server ({reason}); nothing of them is written"
        ));
    }
    let channel = channel::read(journal.entries);
    summary.left_out.extend(channel.missing.iter().cloned());
    for told in &channel.told {
        summary.note(told.clone());
    }
    let plan = &with_hostnames(plan, &channel);
    certificate::tell(&channel, plan, &mut summary);
    let skew_us = skew_us(&channel);
    if skew_us != 0 {
        let seconds = std::time::Duration::from_micros(skew_us.unsigned_abs()).as_secs_f64();
        let word = if skew_us > 0 { "ahead of" } else { "behind" };
        summary.note(format!(
            "the server's clock is some {seconds:.1} s {word} this machine's; times are written as the server's"
        ));
    }
    let started_at_us = journal.started_at_us;
    let mut drafts = draft::drafts(channel, plan, &mut summary);
    let beside = overlapping(&drafts);
    if beside > 0 {
        summary.note(format!(
            "{beside} requests began before an earlier one was answered; a replay asks one after the other"
        ));
    }
    waits::fold(&mut drafts.steps, &mut summary);
    waits::wait_for_events(&mut drafts);
    secrets::hide(&mut drafts, plan.keep_secrets, &mut summary);
    values::name(&mut drafts, plan, &mut summary);
    for agent in &plan.agents {
        let what = format!("the private key of {}", agent.name);
        Summary::once(&mut summary.written, what);
    }
    let recording = write(&drafts, plan, started_at_us, skew_us);
    Composed { recording, summary }
}

/// Agents have the hostnames under which they enrolled.
fn with_hostnames(plan: &Plan, channel: &Channel) -> Plan {
    let mut plan = plan.clone();
    for agent in plan.agents.iter_mut().filter(|agent| agent.hostname.is_empty()) {
        let key = agent.pubkey();
        let hostname = channel.others.iter().find_map(|exchange| {
            let asked: Value = serde_json::from_slice(&exchange.asked.body.bytes).ok()?;
            let is_own = asked.get("agent_pubkey")?.as_str()? == key;
            asked
                .get("hostname")
                .filter(|_| is_own)?
                .as_str()
                .map(str::to_owned)
        });
        agent.hostname = hostname.unwrap_or_else(|| agent.name.clone());
    }
    plan
}

/// How many requests began while another one was not over.
fn overlapping(drafts: &Drafts) -> usize {
    let mut over = 0;
    let begin_early = drafts.steps.iter().filter(|step| {
        let early = matches!(step.sent, Sent::Http { .. }) && step.begun < over;
        over = over.max(step.over.number);
        early
    });
    begin_early.count()
}

/// How far the server's clock is ahead of this machine's, as far as the second in its `Date` tells.
fn skew_us(channel: &Channel) -> i64 {
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for exchange in &channel.others {
        let date =
            header(&exchange.answered.headers, "date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let Some(date) = date else { continue };
        let date = date.timestamp().as_microsecond();
        least = least.max(date.saturating_sub(exchange.over.at_us));
        most = most.min(
            date.saturating_add(SECOND_US)
                .saturating_sub(exchange.begun.at_us),
        );
    }
    // One that was set while this was recorded is neither ahead nor behind.
    if least > most || (least..=most).contains(&0) {
        0
    } else {
        least.midpoint(most)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "microseconds of any date are exact in a number of JSON"
)]
fn seconds(us: i64) -> Value {
    json!(us as f64 / 1e6)
}

fn write(drafts: &Drafts, plan: &Plan, started_at_us: i64, skew_us: i64) -> Value {
    let mut steps = Vec::new();
    let mut id: u32 = 0;
    let mut at_us = started_at_us;
    // The step that was over when something passed that came after the begin of each draft.
    let mut places: Vec<(u64, u64, u32)> = Vec::new();
    let mut add = |step: Value, at_us: i64| {
        id += 1;
        let mut step = step;
        if let Some(fields) = step.as_object_mut() {
            fields.insert("id".to_owned(), json!(id));
            fields.insert("at".to_owned(), seconds(at_us - started_at_us));
        }
        steps.push(step);
        id
    };
    if drafts.steps.iter().any(uses_dollar) {
        add(json!({ "kind": "capture", "name": DOLLAR, "value": "$" }), at_us);
    }
    for draft in &drafts.steps {
        // Steps follow each other, also where what they stand for overlapped.
        at_us = at_us.max(draft.over.at_us);
        for (name, value, made) in &draft.made {
            add(
                json!({ "kind": "capture", "name": name, "value": value, "made": made }),
                at_us,
            );
        }
        let number = add(step(draft), at_us);
        places.push((draft.begun, draft.over.number, number));
        for (name, value) in &draft.captures {
            add(json!({ "kind": "capture", "name": name, "value": value }), at_us);
        }
    }
    let after_step = |number: u64| {
        let place = places.partition_point(|(begun, ..)| *begun <= number);
        let last = place.checked_sub(1).and_then(|place| places.get(place));
        last.map_or(0, |(_, over, step)| {
            if *over <= number {
                *step
            } else {
                step.saturating_sub(1)
            }
        })
    };
    let heard: Vec<Value> = (1_u32..)
        .zip(&drafts.heard)
        .map(|(connection, heard)| {
            let mut events: Vec<Value> = heard
                .events
                .iter()
                .map(|(at, event, arguments)| {
                    json!({
                        "at": seconds(at.at_us - started_at_us), "after_step": after_step(at.number),
                        "event": event, "data": socket::data(arguments),
                    })
                })
                .collect();
            if let Some((at, by_client, reason)) = &heard.closed {
                let reason = if *by_client { "client disconnect" } else { reason };
                events.push(json!({ "at": seconds(at.at_us - started_at_us), "disconnected": reason }));
            }
            json!({ "client": heard.client, "connection": connection, "events": events })
        })
        .collect();
    let agents: Map<String, Value> = plan
        .agents
        .iter()
        .map(|agent| {
            let fields = json!({ "hostname": agent.hostname, "ed25519_seed_b64": BASE64.encode(agent.seed) });
            (agent.name.clone(), fields)
        })
        .collect();
    let env: Map<String, Value> = plan
        .env
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let base = plan.addresses.first().map_or("", |(_, base)| base);
    json!({
        "format": 2,
        "area": plan.area,
        "scenario": plan.name,
        "title": plan.title,
        "source": { "server": plan.server, "revision": plan.revision },
        "base": base,
        "started_at": seconds(started_at_us.saturating_add(skew_us)),
        "env": env,
        "agents": agents,
        "steps": steps,
        "heard": heard,
        "final": Value::Null,
    })
}

fn uses_dollar(draft: &Draft) -> bool {
    let mut found = false;
    let marked = format!("${{{DOLLAR}}}");
    draft
        .sent
        .clone()
        .each_text(&mut |text| found |= text.contains(&marked));
    found
}

fn step(draft: &Draft) -> Value {
    let mut step = match &draft.sent {
        Sent::Http {
            method,
            path,
            headers,
            body,
        } => {
            let headers: Map<String, Value> = headers
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            let mut request = json!({ "method": method, "path": path, "headers": headers });
            let (key, value) = match body {
                Body::Empty => ("", Value::Null),
                Body::Json(value) => ("json", value.clone()),
                Body::Text(text) => ("body", json!(text)),
                Body::Bytes(bytes) => ("body_base64", json!(BASE64.encode(bytes))),
            };
            if let (false, Some(fields)) = (key.is_empty(), request.as_object_mut()) {
                fields.insert(key.to_owned(), value);
            }
            json!({ "kind": "http", "request": request, "response": response(&draft.shown) })
        }
        Sent::Connect {
            client,
            headers,
            query,
            transports,
        } => {
            let headers: Map<String, Value> = headers
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            let transports: Vec<&str> = transports.iter().map(|one| transport_name(*one)).collect();
            let mut step = json!({
                "kind": "socket.connect", "client": client, "headers": headers, "query": query,
                "transports": transports,
            });
            if let (Shown::Connected(error), Some(fields)) = (&draft.shown, step.as_object_mut()) {
                fields.insert("connected".to_owned(), json!(error.is_none()));
                if let Some(error) = error {
                    fields.insert("error".to_owned(), json!(error));
                }
            }
            step
        }
        Sent::Emit {
            client,
            event,
            arguments,
            ..
        } => {
            let mut step =
                json!({ "kind": "socket.emit", "client": client, "event": event, "args": arguments });
            if let (Shown::Acknowledged(came), Some(fields)) = (&draft.shown, step.as_object_mut()) {
                match came {
                    Some(came) => fields.insert("ack_args".to_owned(), json!(came)),
                    None => fields.insert("ack".to_owned(), json!("<TimeoutError>")),
                };
            }
            step
        }
        Sent::Receive { client, event } => {
            let arguments = match &draft.shown {
                Shown::Received(arguments) => arguments.as_slice(),
                _ => &[],
            };
            json!({ "kind": "socket.event", "client": client, "event": event, "args": arguments })
        }
        Sent::Disconnect { client } => json!({ "kind": "socket.disconnect", "client": client }),
    };
    if let (Some(who), Some(fields)) = (&draft.who, step.as_object_mut()) {
        fields.insert("who".to_owned(), json!(who));
    }
    step
}

fn response(shown: &Shown) -> Value {
    let Shown::Answer {
        line,
        headers,
        body,
        length,
    } = shown
    else {
        return Value::Null;
    };
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!([name, value])).collect();
    let mut response = json!({
        "status": line.status,
        "wire": { "version": line.version, "reason": line.reason, "headers": headers, "length": length },
    });
    let Some(fields) = response.as_object_mut() else {
        return response;
    };
    match std::str::from_utf8(body) {
        Err(_) => {
            fields.insert("base64".to_owned(), json!(BASE64.encode(body)));
        }
        Ok(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => {
                fields.insert("json".to_owned(), value);
                if text.len() <= LONGEST_JSON_TEXT {
                    fields.insert("raw".to_owned(), json!(text));
                }
            }
            Err(_) => {
                fields.insert("text".to_owned(), json!(text));
            }
        },
    }
    response
}
