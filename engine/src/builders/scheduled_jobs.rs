//! The bodies and queries of `/api/scheduled_jobs`.

use jiff::tz::TimeZone;

use crate::domain::{
    coerce::{integer_in, integer_of},
    json::{Json, JsonObject},
    scheduled_jobs::{JobChanges, NewJob},
    start_time::{NotFinite, start_seconds},
    text::{python_trim, sqlite_float},
};

/// Why a job's fields are refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JobFieldError {
    /// A job needs all three; components and targets are lists (SCH-9).
    #[error("name, components, targets required")]
    Required,
    /// Nothing that could be changed is there.
    #[error("no fields to update")]
    NoFields,
    /// A field is of a wrong type (SCH-11).
    #[error("invalid payload")]
    WrongType,
}

/// Reads a job to be made. Start texts without an offset mean the server's own `zone`.
pub fn new_job(body: &JsonObject, zone: &TimeZone) -> Result<NewJob, JobFieldError> {
    let name = match truthy(body, "name") {
        None => "",
        Some(Json::Text(name)) => python_trim(name),
        Some(_) => return Err(JobFieldError::Required),
    };
    let list = |name| match truthy(body, name) {
        Some(Json::List(items)) => Ok(Json::List(items.clone())),
        _ => Err(JobFieldError::Required),
    };
    let (schedule_type, start) = schedule(body, zone)?;
    let duration = duration(body)?;
    let execution_context = execution_context(body)?;
    if name.is_empty() {
        return Err(JobFieldError::Required);
    }
    let (components, targets) = (list("components")?, list("targets")?);
    // What follows only the database refuses, and so after what is required.
    Ok(NewJob {
        name: name.to_owned(),
        components,
        targets,
        schedule_type,
        start_ts: start.map(stored).transpose()?,
        duration_stop_enabled: stops_after(body, duration),
        expiration: expiration(body, duration)?,
        credential_id: body.get("credential_id").map_or(Ok(None), credential_id)?,
        use_service_account: execution_context == "winrm"
            && body
                .get("use_service_account")
                .is_none_or(|value| value.is_null() || value.is_truthy()),
        execution_context,
        enabled: enabled(body),
    })
}

/// Reads what of a job shall change: the fields that are there.
pub fn job_changes(body: &JsonObject, zone: &TimeZone) -> Result<JobChanges, JobFieldError> {
    let mut changes = JobChanges::default();
    match body.get("name") {
        None => {}
        Some(Json::Text(name)) => changes.name = Some(python_trim(name).to_owned()),
        Some(value) if !value.is_truthy() => changes.name = Some(String::new()),
        Some(_) => return Err(JobFieldError::WrongType),
    }
    let list = |name| match body.get(name) {
        None => Ok(None),
        Some(Json::List(items)) => Ok(Some(Json::List(items.clone()))),
        Some(value) if !value.is_truthy() => Ok(Some(Json::List(Vec::new()))),
        Some(_) => Err(JobFieldError::Required),
    };
    changes.components = list("components")?;
    changes.targets = list("targets")?;
    if body.contains_key("schedule") || body.contains_key("schedule_type") {
        let (word, start) = schedule(body, zone)?;
        changes.schedule = Some((word, start.map(stored).transpose()?));
    }
    let duration = duration(body)?;
    if body.contains_key("duration") || body.contains_key("duration_stop_enabled") {
        changes.duration_stop_enabled = Some(stops_after(body, duration));
    }
    if body.contains_key("expiration") || duration.is_some_and(|members| members.contains_key("expiration")) {
        changes.expiration = Some(expiration(body, duration)?);
    }
    if body.contains_key("execution_context") {
        let context = execution_context(body)?;
        if context != "winrm" {
            changes.use_service_account = Some(false);
        }
        changes.execution_context = Some(context);
    }
    changes.credential_id = body.get("credential_id").map(credential_id).transpose()?;
    if let Some(value) = body.get("use_service_account") {
        changes.use_service_account = Some(value.is_truthy());
    }
    changes.enabled = body.get("enabled").map(Json::is_truthy);
    if changes == JobChanges::default() {
        return Err(JobFieldError::NoFields);
    }
    Ok(changes)
}

/// Reads whether a job shall be enabled: it shall where nothing is said.
pub fn enabled(body: &JsonObject) -> bool {
    body.get("enabled").is_none_or(Json::is_truthy)
}

/// The days that a query names lie further back than any time that is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many days")]
pub struct TooManyDays;

/// Reads for how many days runs are listed; at least one. `None` where the query names no number.
///
/// # Errors
/// [`TooManyDays`]
pub fn days(text: Option<&str>) -> Result<Option<i64>, TooManyDays> {
    const DAY: i64 = 86_400;
    match text.and_then(integer_in) {
        None => Ok(None),
        Some(days) => i64::try_from(days.max(1))
            .ok()
            .filter(|days| days.checked_mul(DAY).is_some())
            .map(Some)
            .ok_or(TooManyDays),
    }
}

/// The query names an occurrence that is no number (SCH-19).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid occurrence")]
pub struct InvalidOccurrence;

/// Reads which occurrence is meant; `None` is the latest.
///
/// # Errors
/// A text that is no integer.
pub fn occurrence(text: Option<&str>) -> Result<Option<i128>, InvalidOccurrence> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => integer_in(text).map(Some).ok_or(InvalidOccurrence),
    }
}

fn truthy<'a>(members: &'a JsonObject, name: &str) -> Option<&'a Json> {
    members.get(name).filter(|value| value.is_truthy())
}

/// The schedule's word and start: a member of `schedule` wins over the one beside it.
fn schedule(body: &JsonObject, zone: &TimeZone) -> Result<(String, Option<i128>), JobFieldError> {
    let members = match body.get("schedule") {
        None => None,
        Some(Json::Object(members)) => Some(members),
        Some(_) => return Err(JobFieldError::WrongType),
    };
    let first = |inner, outer| {
        members
            .and_then(|members| truthy(members, inner))
            .or_else(|| truthy(body, outer))
    };
    let word = match first("type", "schedule_type") {
        None => "immediately".to_owned(),
        Some(Json::Text(word)) => python_trim(word).to_lowercase(),
        Some(_) => return Err(JobFieldError::WrongType),
    };
    let start = match first("start", "start") {
        None => None,
        Some(start) => start_seconds(start, zone).map_err(|NotFinite| JobFieldError::WrongType)?,
    };
    Ok((word, start))
}

/// A number that a column takes.
fn stored(number: i128) -> Result<i64, JobFieldError> {
    i64::try_from(number).map_err(|_| JobFieldError::WrongType)
}

fn duration(body: &JsonObject) -> Result<Option<&JsonObject>, JobFieldError> {
    match truthy(body, "duration") {
        None => Ok(None),
        Some(Json::Object(members)) => Ok(Some(members)),
        Some(_) => Err(JobFieldError::WrongType),
    }
}

fn stops_after(body: &JsonObject, duration: Option<&JsonObject>) -> bool {
    let inner = duration.is_some_and(|members| truthy(members, "stopAfterEnabled").is_some());
    inner || truthy(body, "duration_stop_enabled").is_some()
}

/// The expiration as SQLite stores it in a text column.
fn expiration(body: &JsonObject, duration: Option<&JsonObject>) -> Result<Option<String>, JobFieldError> {
    let value = duration
        .and_then(|members| truthy(members, "expiration"))
        .or_else(|| truthy(body, "expiration"));
    match value {
        None => Ok(Some("no_expire".to_owned())),
        Some(Json::Text(text)) => Ok(Some(text.clone())),
        Some(Json::Int(number)) => Ok(Some(number.to_string())),
        // What is no number is NULL there, which is shown as the same.
        Some(Json::Float(number)) => Ok(sqlite_float(*number)),
        Some(Json::Bool(_)) => Ok(Some("1".to_owned())),
        Some(_) => Err(JobFieldError::WrongType),
    }
}

fn execution_context(body: &JsonObject) -> Result<String, JobFieldError> {
    match truthy(body, "execution_context") {
        None => Ok("system".to_owned()),
        Some(Json::Text(context)) => Ok(python_trim(context).to_lowercase()),
        Some(_) => Err(JobFieldError::WrongType),
    }
}

/// What is no integer names no credential.
fn credential_id(value: &Json) -> Result<Option<i64>, JobFieldError> {
    integer_of(value).map(stored).transpose()
}

#[cfg(test)]
mod tests;
