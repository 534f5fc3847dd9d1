//! The payloads of the channel's events.
//!
//! An event is empty (it is acknowledged and changes nothing), or valid, or cannot be used (no
//! acknowledgement). Which payloads are which was seen on the legacy, event by event.

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
pub fn connect_agent(payload: &Json, longest: usize) -> Reading<ConnectAgent> {
    by_agent(payload, longest).map(|(agent_id, members)| ConnectAgent {
        mode: mode(members, &agent_id),
        agent_id,
    })
}

/// `agent_heartbeat`
pub fn agent_heartbeat(payload: &Json, longest: usize) -> Reading<AgentHeartbeat> {
    by_agent(payload, longest).map(|(agent_id, members)| AgentHeartbeat {
        mode: mode(members, &agent_id),
        agent_id,
        hostname: hostname(members, longest),
        operating_system: members
            .get("agent_operating_system")
            .filter(|value| value.is_truthy() && column_text(value).len() <= longest)
            .cloned(),
        last_seen: last_seen(members.get("last_seen")),
    })
}

/// `collector_status`
pub fn collector_status(payload: &Json, longest: usize) -> Reading<CollectorStatus> {
    by_agent(payload, longest).map(|(agent_id, members)| CollectorStatus {
        mode: mode(members, &agent_id),
        agent_id,
        hostname: hostname(members, longest),
        active: members.get("active").is_some_and(Json::is_truthy),
        last_user: members
            .get("last_user")
            .map(Json::python_text)
            .filter(|text| !text.is_empty() && text.len() <= longest),
    })
}

/// `request_config`: the agent's id.
pub fn request_config(payload: &Json, longest: usize) -> Reading<String> {
    by_agent(payload, longest).map(|(agent_id, _)| agent_id)
}

/// `screenshot`: the agent's id, where it is text, and what is passed on. Nothing is kept of it (RT-9), so that here,
/// unlike in the registry, a number is as good an id as any.
pub fn screenshot(mut payload: Payload) -> Reading<(Option<String>, Payload)> {
    let Some(members) = payload.value.as_object() else {
        return Reading::Unusable;
    };
    let is_named = |name| members.get(name).is_some_and(|value| is_truthy(&payload, value));
    if !is_named("agent_id") || !is_named("image_base64") {
        return Reading::Nothing;
    }
    let agent_id = members.get("agent_id").cloned().unwrap_or_default();
    if matches!(agent_id, Json::List(_) | Json::Object(_)) {
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
    let Some(members) = payload.value.as_object() else {
        return Reading::Unusable;
    };
    let named = |name| members.get(name).filter(|value| is_truthy(payload, value));
    match (named("agent_id"), named("node_id")) {
        (Some(agent_id), Some(_)) => Reading::Event(agent_id.as_text()),
        _ => Reading::Nothing,
    }
}

/// `macro_status`: the agent's id, where it is text. Everything is passed on.
pub fn macro_status(payload: &Payload) -> Reading<Option<&str>> {
    if payload.value.as_object().is_none() {
        return Reading::Unusable;
    }
    Reading::Event(payload.value.get("agent_id").and_then(Json::as_text))
}

/// `quick_job_result`
pub fn quick_job_result(payload: &Json) -> Reading<JobResult> {
    let Some(job_id) = payload
        .get("job_id")
        .and_then(integer_of)
        .and_then(|id| i64::try_from(id).ok())
    else {
        return Reading::Nothing;
    };
    let status = match payload.get("status") {
        Some(Json::Text(_)) => payload.get("status").map(Json::python_text).unwrap_or_default(),
        Some(status) if status.is_truthy() => return Reading::Unusable,
        _ => String::new(),
    };
    let (Some(stdout), Some(stderr)) = (output(payload.get("stdout")), output(payload.get("stderr"))) else {
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
fn by_agent(payload: &Json, longest: usize) -> Reading<(String, &JsonObject)> {
    match payload {
        Json::Object(members) => agent_id(members, longest).map(|id| (id, members)),
        falsy if !falsy.is_truthy() => Reading::Nothing,
        _ => Reading::Unusable,
    }
}

/// An id must be text: any other breaks the legacy's listing (RT-4).
fn agent_id(members: &JsonObject, longest: usize) -> Reading<String> {
    match members.get("agent_id") {
        Some(Json::Text(id)) if id.len() > longest => Reading::Unusable,
        Some(Json::Text(id)) if !id.is_empty() => Reading::Event(id.clone()),
        Some(other) if other.is_truthy() => Reading::Unusable,
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

fn last_seen(value: Option<&Json>) -> LastSeen {
    match value {
        Some(value) if value.is_truthy() => integer_of(value).map_or(LastSeen::Unreadable, LastSeen::At),
        _ => LastSeen::Now,
    }
}

/// What a job printed; `None` where the legacy's database takes no such value.
fn output(value: Option<&Json>) -> Option<String> {
    match value {
        Some(Json::Bool(true)) => Some("1".to_owned()),
        Some(Json::Float(number)) if *number != 0.0 => Some(sqlite_float(*number).unwrap_or_default()),
        Some(Json::BigInt(_)) => None,
        Some(Json::List(items)) if !items.is_empty() => None,
        Some(Json::Object(members)) if !members.is_empty() => None,
        Some(value) if value.is_truthy() => Some(value.python_str()),
        _ => Some(String::new()),
    }
}

/// Whether a member is truthy; an attachment is when it is not empty.
fn is_truthy(payload: &Payload, value: &Json) -> bool {
    payload
        .attachment(value)
        .map_or_else(|| value.is_truthy(), |bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests;
