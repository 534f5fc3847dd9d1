//! The body of `agent/details`.

use crate::domain::{
    json::{Json, JsonObject},
    text::python_trim,
};

/// The document that a device reports of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct DetailsReport {
    /// The host name as sent.
    pub hostname: String,
    /// What it says of that host; its shape counts once it is clear that the host is the device's.
    pub contents: Result<DetailsContents, InvalidDetails>,
}

/// What a device reports of its host.
#[derive(Clone, Debug, PartialEq)]
pub struct DetailsContents {
    /// The agent's id as sent.
    pub agent_id: Option<String>,
    /// The hash of its build, trimmed.
    pub agent_hash: Option<String>,
    /// The document; `summary`, where there is one, is an object.
    pub details: JsonObject,
}

/// The host name is missing, or a part has the wrong shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid payload")]
pub struct InvalidDetails;

/// Reads the body of `agent/details`.
///
/// The connection type that a device reports is dropped: with it, a device could pass for a remote one that the
/// server connects to with stored credentials (DEV-17).
///
/// # Errors
/// No host name, one that is no text, or a document that is no object.
pub fn details_report(mut body: JsonObject) -> Result<DetailsReport, InvalidDetails> {
    let Some(Json::Object(details)) = body.shift_remove("details") else {
        return Err(InvalidDetails);
    };
    let hostname = [
        body.get("hostname"),
        details.get("summary").and_then(|summary| summary.get("hostname")),
    ]
    .into_iter()
    .flatten()
    .find(|name| name.is_truthy())
    .and_then(Json::as_text)
    .ok_or(InvalidDetails)?
    .to_owned();
    Ok(DetailsReport {
        hostname,
        contents: contents(&body, details),
    })
}

/// Refuses a summary that is no object, and an agent id that is no scalar.
fn contents(body: &JsonObject, mut details: JsonObject) -> Result<DetailsContents, InvalidDetails> {
    if let Some(summary) = details.get_mut("summary") {
        let Json::Object(summary) = summary else {
            return Err(InvalidDetails);
        };
        summary.shift_remove("connection_type");
        summary.shift_remove("remote_type");
    }
    let agent_id = match body.get("agent_id").filter(|id| id.is_truthy()) {
        Some(Json::List(_) | Json::Object(_)) => return Err(InvalidDetails),
        id => id.map(Json::python_str),
    };
    let agent_hash = body
        .get("agent_hash")
        .and_then(Json::as_text)
        .map(python_trim)
        .filter(|hash| !hash.is_empty())
        .map(str::to_owned);
    Ok(DetailsContents {
        agent_id,
        agent_hash,
        details,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        arbitrary::{self, any_json},
        json_reader::read_text,
    };

    fn read(body: &str) -> Result<DetailsReport, InvalidDetails> {
        details_report(read_text(body).unwrap().as_object().unwrap().clone())
    }

    fn read_contents(body: &str) -> Result<DetailsContents, InvalidDetails> {
        read(body).unwrap().contents
    }

    #[test]
    fn the_host_name_may_stand_in_the_summary() {
        let report =
            read(r#"{"hostname": "", "agent_hash": 7, "details": {"summary": {"hostname": " H "}}}"#)
                .unwrap();
        assert_eq!(report.hostname, " H ");
        assert_eq!(report.contents.unwrap().agent_hash, None);
        let contents =
            read_contents(r#"{"hostname": "A", "agent_id": 9, "agent_hash": " h ", "details": {}}"#).unwrap();
        assert_eq!(contents.agent_id.as_deref(), Some("9"));
        assert_eq!(contents.agent_hash.as_deref(), Some("h"));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        for body in [
            r#"{"hostname": "A"}"#,
            r#"{"hostname": "A", "details": []}"#,
            r#"{"details": {}}"#,
            r#"{"details": {"summary": null}}"#,
            r#"{"hostname": ["A"], "details": {}}"#,
            r#"{"hostname": 7, "details": {}}"#,
        ] {
            assert_eq!(read(body), Err(InvalidDetails), "{body}");
        }
        // Whose the host is comes first.
        for body in [
            r#"{"hostname": "A", "details": {"summary": null}}"#,
            r#"{"hostname": "A", "agent_id": ["x"], "details": {}}"#,
        ] {
            assert_eq!(read_contents(body), Err(InvalidDetails), "{body}");
        }
    }

    #[test]
    fn a_device_does_not_make_itself_a_remote_one() {
        let contents = read_contents(
            r#"{"hostname": "A", "details": {"summary": {"connection_type": "ssh", "remote_type": "ssh", "os": "x"}}}"#,
        )
        .unwrap();
        assert_eq!(
            contents.details,
            *read_text(r#"{"summary": {"os": "x"}}"#)
                .unwrap()
                .as_object()
                .unwrap()
        );
    }

    fn any_members(names: &'static [&'static str]) -> impl Strategy<Value = JsonObject> {
        let value = prop_oneof![1 => any_json(), 2 => "\\PC{0,8}".prop_map(Json::from), 1 => Just("".into())];
        arbitrary::any_members(names, value)
    }

    proptest! {
        #[test]
        fn a_report_is_what_was_sent_but_for_how_the_device_is_reached(
            mut body in any_members(&["hostname", "agent_id", "agent_hash"]),
            mut details in any_members(&["os", "memory"]),
            summary in proptest::option::of(prop_oneof![
                1 => any_json(),
                5 => any_members(&["hostname", "connection_type", "remote_type", "os"]).prop_map(Json::Object),
            ]),
        ) {
            details.extend(summary.clone().map(|summary| ("summary".to_owned(), summary)));
            body.insert("details".to_owned(), details.clone().into());
            let names = [body.get("hostname"), summary.as_ref().and_then(|summary| summary.get("hostname"))];
            let hostname = names.into_iter().flatten().find(|name| name.is_truthy());
            let agent_id = body.get("agent_id").filter(|id| id.is_truthy());
            let is_named = hostname.is_some_and(|name| name.as_text().is_some());
            let Ok(report) = details_report(body.clone()) else {
                prop_assert!(!is_named);
                return Ok(());
            };
            prop_assert!(is_named);
            prop_assert_eq!(Some(report.hostname.as_str()), hostname.and_then(Json::as_text));
            let fits = summary.as_ref().is_none_or(|summary| summary.as_object().is_some())
                && !matches!(agent_id, Some(Json::List(_) | Json::Object(_)));
            prop_assert_eq!(report.contents.is_ok(), fits);
            let Ok(contents) = report.contents else {
                return Ok(());
            };
            prop_assert_eq!(contents.agent_id, agent_id.map(Json::python_str));
            prop_assert!(contents.agent_hash.is_none_or(|hash| !hash.is_empty() && python_trim(&hash) == hash));
            if let Some(Json::Object(summary)) = details.get_mut("summary") {
                summary.retain(|name, _| !["connection_type", "remote_type"].contains(&name.as_str()));
            }
            prop_assert_eq!(contents.details, details);
        }
    }
}
