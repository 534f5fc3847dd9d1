//! The payloads of the channel's events.
//!
//! An event is empty (it is acknowledged and changes nothing), or valid, or cannot be used (no
//! acknowledgement). Which payloads are which was seen on the legacy, event by event. An attachment is bytes wherever it
//! stands, and neither object nor text.

pub mod provision;

use crate::domain::{
    agents::{AgentHeartbeat, CollectorStatus, ConnectAgent, LastSeen, ServiceMode},
    coerce::integer_of,
    json::{Json, JsonObject},
    json_text::column_text,
    payload::Payload,
    text::sqlite_float,
};

/// `quick_job_result`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobResult {
    /// The activity.
    pub job_id: i64,
    /// Its status in the agent's word, trimmed, not empty.
    pub status: String,
    pub stdout: String,
    /// What it printed of errors.
    pub stderr: String,
}

/// Bytes of an id, a host name or an operating system where clients are checked; more would only fill memory.
pub const LONGEST_TEXT: usize = 4096;

/// A payload, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading<T> {
    Event(T),
    /// Nothing; that is no mistake.
    Nothing,
    /// Nothing that can be used.
    Unusable,
}

impl<T> Reading<T> {
    fn map<U>(self, function: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Event(event) => Reading::Event(function(event)),
            Self::Nothing => Reading::Nothing,
            Self::Unusable => Reading::Unusable,
        }
    }
}

/// `connect_agent`. Here and below, ids and names are of at most `longest` bytes.
pub fn connect_agent(payload: &Payload, longest: usize) -> Reading<ConnectAgent> {
    by_agent(payload, longest).map(|(agent_id, members)| ConnectAgent {
        mode: mode(members, &agent_id),
        agent_id,
    })
}

/// `agent_heartbeat`
pub fn agent_heartbeat(payload: &Payload, longest: usize) -> Reading<AgentHeartbeat> {
    by_agent(payload, longest).map(|(agent_id, members)| AgentHeartbeat {
        mode: mode(members, &agent_id),
        agent_id,
        hostname: hostname(members, longest),
        operating_system: members
            .get("agent_operating_system")
            .filter(|value| payload.attachment(value).is_none())
            .filter(|value| value.is_truthy() && column_text(value).len() <= longest)
            .cloned(),
        last_seen: last_seen(payload, members.get("last_seen")),
    })
}

/// `collector_status`
pub fn collector_status(payload: &Payload, longest: usize) -> Reading<CollectorStatus> {
    by_agent(payload, longest).map(|(agent_id, members)| CollectorStatus {
        mode: mode(members, &agent_id),
        agent_id,
        hostname: hostname(members, longest),
        active: members
            .get("active")
            .is_some_and(|value| payload.is_truthy(value)),
        last_user: members
            .get("last_user")
            .filter(|value| payload.attachment(value).is_none())
            .map(Json::python_text)
            .filter(|text| !text.is_empty() && text.len() <= longest),
    })
}

/// `request_config`: the agent's id.
pub fn request_config(payload: &Payload, longest: usize) -> Reading<String> {
    by_agent(payload, longest).map(|(agent_id, _)| agent_id)
}

/// `screenshot`: the agent's id, where it is text, and what is passed on. Nothing is kept of it (RT-9), so that here,
/// unlike in the registry, a number is as good an id as any.
pub fn screenshot(mut payload: Payload) -> Reading<(Option<String>, Payload)> {
    let Some(members) = payload.members() else {
        return Reading::Unusable;
    };
    let is_named = |name| members.get(name).is_some_and(|value| payload.is_truthy(value));
    if !is_named("agent_id") || !is_named("image_base64") {
        return Reading::Nothing;
    }
    let agent_id = members.get("agent_id").cloned().unwrap_or_default();
    if matches!(agent_id, Json::List(_) | Json::Object(_)) && payload.attachment(&agent_id).is_none() {
        return Reading::Unusable;
    }
    let named = agent_id.as_text().map(str::to_owned);
    // Taken out rather than copied: it is long.
    let image = match &mut payload.value {
        Json::Object(members) => members.swap_remove("image_base64").unwrap_or_default(),
        _ => Json::Null,
    };
    payload.value = Json::object([("agent_id", agent_id), ("image_base64", image)]);
    Reading::Event((named, payload))
}

/// `agent_screenshot_task`: the agent's id, where it is text. Everything is passed on.
pub fn agent_screenshot_task(payload: &Payload) -> Reading<Option<&str>> {
    let Some(members) = payload.members() else {
        return Reading::Unusable;
    };
    let named = |name| members.get(name).filter(|value| payload.is_truthy(value));
    match (named("agent_id"), named("node_id")) {
        (Some(agent_id), Some(_)) => Reading::Event(agent_id.as_text()),
        _ => Reading::Nothing,
    }
}

/// `macro_status`: the agent's id, where it is text. Everything is passed on.
pub fn macro_status(payload: &Payload) -> Reading<Option<&str>> {
    let Some(members) = payload.members() else {
        return Reading::Unusable;
    };
    Reading::Event(members.get("agent_id").and_then(Json::as_text))
}

/// `quick_job_result`
pub fn quick_job_result(payload: &Payload) -> Reading<JobResult> {
    let member = |name| payload.members()?.get(name);
    let Some(job_id) = member("job_id").and_then(integer_of) else {
        return Reading::Nothing;
    };
    let status = match member("status") {
        Some(status @ Json::Text(_)) => status.python_text(),
        Some(status) if payload.is_truthy(status) => return Reading::Unusable,
        _ => String::new(),
    };
    // It is the legacy's database that refuses an id beyond 64 bits, after all of this was read.
    let Ok(job_id) = i64::try_from(job_id) else {
        return Reading::Nothing;
    };
    let printed = |name| output(member(name).filter(|value| payload.is_truthy(value)));
    let (Some(stdout), Some(stderr)) = (printed("stdout"), printed("stderr")) else {
        return Reading::Nothing;
    };
    Reading::Event(JobResult {
        job_id,
        status: if status.is_empty() {
            "Failed".to_owned()
        } else {
            status
        },
        stdout,
        stderr,
    })
}

/// The agent's id and all members of an event that an agent sends of itself.
fn by_agent(payload: &Payload, longest: usize) -> Reading<(String, &JsonObject)> {
    match payload.members() {
        Some(members) => agent_id(payload, members, longest).map(|id| (id, members)),
        None if payload.is_truthy(&payload.value) => Reading::Unusable,
        None => Reading::Nothing,
    }
}

/// An id must be text: any other breaks the legacy's listing (RT-4).
fn agent_id(payload: &Payload, members: &JsonObject, longest: usize) -> Reading<String> {
    match members.get("agent_id") {
        Some(Json::Text(id)) if id.len() > longest => Reading::Unusable,
        Some(Json::Text(id)) if !id.is_empty() => Reading::Event(id.clone()),
        Some(other) if payload.is_truthy(other) => Reading::Unusable,
        _ => Reading::Nothing,
    }
}

fn mode(members: &JsonObject, agent_id: &str) -> ServiceMode {
    ServiceMode::read(members.get("service_mode"), agent_id)
}

fn hostname(members: &JsonObject, longest: usize) -> Option<String> {
    let name = members.get("hostname")?.as_text()?;
    (!name.is_empty() && name.len() <= longest).then(|| name.to_owned())
}

fn last_seen(payload: &Payload, value: Option<&Json>) -> LastSeen {
    match value {
        Some(value) if payload.is_truthy(value) => {
            integer_of(value).map_or(LastSeen::Unreadable, LastSeen::At)
        }
        _ => LastSeen::Now,
    }
}

/// What a job printed, of a truthy value; `None` where the legacy's database takes no such value, and where it would take
/// bytes, which its own routes cannot show.
fn output(value: Option<&Json>) -> Option<String> {
    match value {
        Some(Json::Bool(_)) => Some("1".to_owned()),
        Some(Json::Float(number)) => Some(sqlite_float(*number).unwrap_or_default()),
        Some(Json::BigInt(_) | Json::List(_) | Json::Object(_)) => None,
        Some(value) => Some(value.python_str()),
        None => Some(String::new()),
    }
}

#[cfg(test)]
mod tests;
