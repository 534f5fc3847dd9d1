//! What agents report of playbook runs, and how many runs a query asks for.

use crate::domain::{
    coerce::{integer_in, integer_of},
    json::{Json, JsonObject},
    json_reader::{read_text, read_text_replacing},
    json_text::column_text,
    playbooks::PlaybookReport,
    text::{python_trim, sqlite_float},
};

/// Playbook runs that are listed where the query names no number.
const USUAL_LIMIT: i64 = 50;

/// Why a report is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlaybookFieldError {
    /// Nobody knows what it is about.
    #[error("run_id is required")]
    NoRun,
    /// A field is of a wrong type (ASM-20).
    #[error("invalid payload")]
    WrongType,
}

pub fn playbook_report(body: &JsonObject) -> Result<PlaybookReport, PlaybookFieldError> {
    let text = |name| match body.get(name).filter(|value| value.is_truthy()) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(python_trim(text).to_owned()).filter(|text| !text.is_empty())),
        Some(_) => Err(PlaybookFieldError::WrongType),
    };
    let number = |name| match body.get(name).and_then(integer_of) {
        None => Ok(None),
        Some(number) => i64::try_from(number)
            .map(Some)
            .map_err(|_| PlaybookFieldError::WrongType),
    };
    // Whatever else is wrong.
    let run_id = text("run_id").ok().flatten().ok_or(PlaybookFieldError::NoRun)?;
    let playbook_path = text("playbook_path")?;
    let last_part = || {
        let path = playbook_path.as_deref()?;
        let name = path.rsplit('/').next()?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    Ok(PlaybookReport {
        hostname: text("hostname")?,
        agent_id: text("agent_id")?,
        playbook_name: text("playbook_name")?.or_else(last_part),
        status: text("status")?,
        run_id,
        scheduled_job_id: number("scheduled_job_id")?,
        scheduled_run_id: number("scheduled_run_id")?,
        activity_job_id: number("activity_job_id")?,
        started_ts: number("started_ts")?,
        finished_ts: number("finished_ts")?,
        recap_text: printed(body.get("recap_text"))?,
        recap_json: body
            .get("recap_json")
            .filter(|value| !value.is_null())
            .map(numbers),
        playbook_path,
    })
}

/// What was printed, as SQLite stores it in a text column.
fn printed(value: Option<&Json>) -> Result<Option<String>, PlaybookFieldError> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text.clone())),
        Some(Json::Bool(value)) => Ok(Some(i32::from(*value).to_string())),
        Some(Json::Int(number)) => Ok(Some(number.to_string())),
        Some(Json::Float(number)) => Ok(sqlite_float(*number)),
        Some(Json::BigInt(_) | Json::List(_) | Json::Object(_)) => Err(PlaybookFieldError::WrongType),
    }
}

/// A text that is JSON stays as it is; a falsy value is `{}`.
fn numbers(value: &Json) -> String {
    match value {
        Json::Text(text) => match (read_text(text), read_text_replacing(text)) {
            (Ok(_), Ok(_)) if !text.contains("\\u0000") => text.clone(),
            (_, Ok(value)) => column_text(&value),
            _ => "{}".to_owned(),
        },
        value if !value.is_truthy() => "{}".to_owned(),
        value => column_text(value),
    }
}

/// A number that SQLite cannot count to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a number has more than 64 bits")]
pub struct NumberTooLarge;

/// Reads how many playbook runs are listed; a negative number means all.
///
/// # Errors
/// There is no such number.
pub fn list_limit(text: Option<&str>) -> Result<i64, NumberTooLarge> {
    match text.and_then(integer_in) {
        None => Ok(USUAL_LIMIT),
        Some(number) => i64::try_from(number).map_err(|_| NumberTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::arbitrary::any_json;

    fn read(text: &str) -> Result<PlaybookReport, PlaybookFieldError> {
        match read_text(text) {
            Ok(Json::Object(members)) => playbook_report(&members),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_is_required_and_types_are_checked() {
        for body in [
            "{}",
            r#"{"run_id":" "}"#,
            r#"{"run_id":5}"#,
            r#"{"run_id":null}"#,
            r#"{"hostname":5}"#,
            r#"{"playbook_path":[1]}"#,
            r#"{"run_id":" ","status":true}"#,
        ] {
            assert_eq!(read(body), Err(PlaybookFieldError::NoRun), "{body}");
        }
        for body in [
            r#"{"run_id":"r","hostname":5}"#,
            r#"{"run_id":"r","recap_text":[1]}"#,
            r#"{"run_id":"r","started_ts":99999999999999999999}"#,
        ] {
            assert_eq!(read(body), Err(PlaybookFieldError::WrongType), "{body}");
        }
    }

    #[test]
    fn values_are_coerced() {
        let report = read(
            r#"{"run_id":" r ","hostname":" ","playbook_path":"a/b.yml","scheduled_job_id":" 4 ","scheduled_run_id":"x",
                "activity_job_id":0,"recap_text":true,"recap_json":{"ok":1}}"#,
        )
        .unwrap();
        assert_eq!((report.run_id.as_str(), report.hostname), ("r", None));
        assert_eq!(report.playbook_name.as_deref(), Some("b.yml"));
        assert_eq!(
            (
                report.scheduled_job_id,
                report.scheduled_run_id,
                report.activity_job_id
            ),
            (Some(4), None, Some(0))
        );
        assert_eq!(report.recap_text.as_deref(), Some("1"));
        assert_eq!(report.recap_json.as_deref(), Some("{\"ok\": 1}"));
        let json = |value: &str| {
            read(&format!(r#"{{"run_id":"r","recap_json":{value}}}"#))
                .unwrap()
                .recap_json
        };
        for (value, stored) in [
            ("\"7\"", "7"),
            ("\"{bad\"", "{}"),
            ("[]", "{}"),
            ("0", "{}"),
            ("[1]", "[1]"),
        ] {
            assert_eq!(json(value).as_deref(), Some(stored), "{value}");
        }
        assert_eq!(json("null"), None);
    }

    #[test]
    fn a_printed_float_is_stored_as_the_database_writes_it() {
        for (value, stored) in [("1.5", Some("1.5")), ("1e16", Some("1.0e+16")), ("NaN", None)] {
            let report = read(&format!(r#"{{"run_id":"r","recap_text":{value}}}"#)).unwrap();
            assert_eq!(report.recap_text.as_deref(), stored, "{value}");
        }
    }

    #[test]
    fn a_limit_is_an_integer_or_fifty() {
        for (text, limit) in [
            (None, 50),
            (Some(""), 50),
            (Some("1.5"), 50),
            (Some("0"), 0),
            (Some("-7"), -7),
            (Some("3"), 3),
            (Some("9223372036854775807"), i64::MAX),
        ] {
            assert_eq!(list_limit(text), Ok(limit), "{text:?}");
        }
        for text in ["9223372036854775808", "-9223372036854775809"] {
            assert_eq!(list_limit(Some(text)), Err(NumberTooLarge), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_builder(run in any_json(), text in any_json(), numbers in any_json(), time in any_json()) {
            let members = [("run_id", run), ("recap_text", text), ("recap_json", numbers), ("started_ts", time)];
            let body = Json::members(members);
            if let Ok(report) = playbook_report(&body) {
                prop_assert!(!report.run_id.is_empty());
                prop_assert!(report.recap_json.is_none_or(|text| read_text(&text).is_ok()));
            }
        }
    }
}
