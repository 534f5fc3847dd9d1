//! The bodies of `POST /api/scripts/quick_run` and `POST /api/ansible/quick_run`.

use crate::domain::{
    assembly::variables::{Overrides, overrides_of},
    coerce::integer_of,
    json::{Json, JsonObject},
    text::{python_trim, sqlite_float},
};

use super::text::{WrongType, trimmed_text};

/// A host as it was asked for, and as its name is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedHost {
    /// What the caller sent, and gets back.
    pub given: Json,
    /// The stored name; `None` for `null`.
    pub stored: Option<String>,
}

/// A script that shall run now.
#[derive(Clone, Debug, PartialEq)]
pub struct QuickRun {
    /// The file below `Assemblies`, as sent, trimmed.
    pub script_path: String,
    /// The hosts in order, repeats included; at least one.
    pub hosts: Vec<WantedHost>,
    /// One of the hosts is nothing that a database takes for a name. That is said only of a script that is there.
    pub has_unusable_host: bool,
    /// As whom it runs; not checked, and may be empty.
    pub run_mode: String,
    /// The values of the script's variables.
    pub variable_values: JsonObject,
}

/// Why a request for a run is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuickRunFieldError {
    /// No script or no hosts.
    #[error("Missing script_path or hostnames[]")]
    Missing,
    /// A field is of a wrong type (SCH-11).
    #[error("invalid payload")]
    WrongType,
}

/// A playbook that shall run now.
#[derive(Clone, PartialEq)]
pub struct QuickPlaybook {
    /// The file below the playbooks, as sent, trimmed.
    pub playbook_path: String,
    /// The hosts in order, repeats included; at least one.
    pub hosts: Vec<WantedHost>,
    /// What it logs in with; `None` where agents use what they have.
    pub credential_id: Option<i64>,
    /// The values of its variables.
    pub variable_values: Overrides,
}

impl std::fmt::Debug for QuickPlaybook {
    /// Without the values: there may be passwords among them.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("QuickPlaybook")
            .field("playbook_path", &self.playbook_path)
            .field("hosts", &self.hosts)
            .field("credential_id", &self.credential_id)
            .finish_non_exhaustive()
    }
}

/// Why a request for a playbook's run is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuickPlaybookFieldError {
    /// No playbook or no hosts.
    #[error("Missing playbook_path or hostnames[]")]
    Missing,
    /// The credential is named by nothing that could be a number.
    #[error("Invalid credential_id")]
    InvalidCredential,
}

/// Reads the request for a playbook's run. Hosts are taken by their text, whatever they are (ASM-28).
///
/// # Errors
/// [`QuickPlaybookFieldError`]
pub fn quick_playbook(body: &JsonObject) -> Result<QuickPlaybook, QuickPlaybookFieldError> {
    let path = trimmed_text(body, "playbook_path").map_err(|WrongType| QuickPlaybookFieldError::Missing)?;
    let wanted = match body.get("hostnames") {
        Some(Json::List(items)) if !items.is_empty() && !path.is_empty() => items,
        _ => return Err(QuickPlaybookFieldError::Missing),
    };
    let credential_id = credential_id(body.get("credential_id"))?;
    let uses_own_account = match body.get("use_service_account") {
        None | Some(Json::Null) => credential_id.is_none(),
        Some(value) => value.is_truthy(),
    };
    Ok(QuickPlaybook {
        playbook_path: path.to_owned(),
        hosts: wanted
            .iter()
            .map(|given| WantedHost {
                given: given.clone(),
                stored: Some(given.python_str()),
            })
            .collect(),
        credential_id: credential_id.filter(|_| !uses_own_account),
        variable_values: body
            .get("variable_values")
            .and_then(Json::as_object)
            .map(overrides_of)
            .unwrap_or_default(),
    })
}

fn credential_id(value: Option<&Json>) -> Result<Option<i64>, QuickPlaybookFieldError> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) if text.is_empty() || text == "null" => Ok(None),
        Some(value) => {
            let number = integer_of(value).ok_or(QuickPlaybookFieldError::InvalidCredential)?;
            // No credential has a number beyond 64 bits.
            Ok((number > 0).then(|| i64::try_from(number).unwrap_or(i64::MAX)))
        }
    }
}

/// Reads the request for a run.
pub fn quick_run(body: &JsonObject) -> Result<QuickRun, QuickRunFieldError> {
    let text = |name, default| match body.get(name).filter(|value| value.is_truthy()) {
        None => Ok(default),
        Some(Json::Text(text)) => Ok(python_trim(text)),
        Some(_) => Err(()),
    };
    let script_path = text("script_path", "").map_err(|()| QuickRunFieldError::Missing)?;
    let run_mode = text("run_mode", "system").map_err(|()| QuickRunFieldError::WrongType)?;
    let wanted = match body.get("hostnames") {
        Some(Json::List(items)) if !items.is_empty() && !script_path.is_empty() => items,
        _ => return Err(QuickRunFieldError::Missing),
    };
    Ok(QuickRun {
        script_path: script_path.to_owned(),
        hosts: wanted.iter().map(host).collect(),
        has_unusable_host: wanted
            .iter()
            .any(|host| matches!(host, Json::BigInt(_) | Json::List(_) | Json::Object(_))),
        run_mode: run_mode.to_lowercase(),
        variable_values: match body.get("variable_values") {
            Some(Json::Object(members)) => members.clone(),
            _ => JsonObject::new(),
        },
    })
}

/// A host's name as SQLite stores it in a text column.
fn host(given: &Json) -> WantedHost {
    let stored = match given {
        Json::Text(text) => Some(text.clone()),
        Json::Bool(value) => Some(i32::from(*value).to_string()),
        Json::Int(number) => Some(number.to_string()),
        Json::Float(number) => sqlite_float(*number),
        // The last three are never stored.
        Json::Null | Json::BigInt(_) | Json::List(_) | Json::Object(_) => None,
    };
    WantedHost {
        given: given.clone(),
        stored,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{arbitrary::any_json, json_reader::read_text};

    fn read(text: &str) -> Result<QuickRun, QuickRunFieldError> {
        match read_text(text) {
            Ok(Json::Object(members)) => quick_run(&members),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn hosts_are_stored_as_sqlite_takes_them() {
        let run = read(r#"{"script_path":" S ","hostnames":[7,null,"",true,1.5,1e16,NaN,"A","A"]}"#).unwrap();
        let stored: Vec<_> = run.hosts.iter().map(|host| host.stored.as_deref()).collect();
        assert_eq!(
            stored,
            [
                Some("7"),
                None,
                Some(""),
                Some("1"),
                Some("1.5"),
                Some("1.0e+16"),
                None,
                Some("A"),
                Some("A")
            ]
        );
        assert_eq!((run.script_path.as_str(), run.run_mode.as_str()), ("S", "system"));
    }

    #[test]
    fn script_and_hosts_are_required() {
        for body in [
            "{}",
            r#"{"script_path":5,"hostnames":["A"]}"#,
            r#"{"script_path":" ","hostnames":["A"]}"#,
            r#"{"script_path":"S","hostnames":[]}"#,
            r#"{"script_path":"S","hostnames":"A"}"#,
            r#"{"script_path":"S","hostnames":{"A":1}}"#,
        ] {
            assert_eq!(read(body), Err(QuickRunFieldError::Missing), "{body}");
        }
        let body = r#"{"script_path":"S","hostnames":["A"],"run_mode":5}"#;
        assert_eq!(read(body), Err(QuickRunFieldError::WrongType));
        let run =
            read(r#"{"script_path":"S","hostnames":["A"],"run_mode":" X ","variable_values":[1]}"#).unwrap();
        assert_eq!((run.run_mode.as_str(), run.variable_values.len()), ("x", 0));
    }

    #[test]
    fn a_blank_mode_is_not_a_missing_one() {
        for (mode, expected) in [("", "system"), (" \\t", "")] {
            let body = format!(r#"{{"script_path":"S","hostnames":["A"],"run_mode":"{mode}"}}"#);
            assert_eq!(read(&body).unwrap().run_mode, expected, "{mode:?}");
        }
    }

    #[test]
    fn what_is_no_name_of_a_host_is_noted() {
        for (host, is_unusable) in [
            (r#"{"b":1}"#, true),
            ("[]", true),
            ("99999999999999999999", true),
            ("null", false),
            ("1.5", false),
        ] {
            let run = read(&format!(r#"{{"script_path":"S","hostnames":["A",{host}]}}"#)).unwrap();
            assert_eq!(run.has_unusable_host, is_unusable, "{host}");
        }
    }

    #[test]
    fn a_playbooks_credential_is_a_number_that_is_asked_for() {
        let read = |rest: &str| {
            let body = format!(r#"{{"playbook_path":" p ","hostnames":[null,5,"A"]{rest}}}"#);
            match read_text(&body) {
                Ok(Json::Object(members)) => quick_playbook(&members),
                other => panic!("{other:?}"),
            }
        };
        for (rest, id) in [
            ("", None),
            (r#","credential_id":true"#, Some(1)),
            (r#","credential_id":" 1 ","use_service_account":0"#, Some(1)),
            (r#","credential_id":1,"use_service_account":"false""#, None),
            (r#","credential_id":"null""#, None),
            (r#","credential_id":-1"#, None),
            (r#","credential_id":99999999999999999999"#, Some(i64::MAX)),
        ] {
            assert_eq!(read(rest).map(|run| run.credential_id), Ok(id), "{rest}");
        }
        for rest in [
            r#","credential_id":"NULL""#,
            r#","credential_id":[],"use_service_account":true"#,
        ] {
            assert_eq!(
                read(rest),
                Err(QuickPlaybookFieldError::InvalidCredential),
                "{rest}"
            );
        }
        let run = read(r#","variable_values":{" v ":5,"":1}"#).unwrap();
        assert_eq!(run.variable_values.keys().collect::<Vec<_>>(), ["v"]);
        let hosts: Vec<_> = run
            .hosts
            .iter()
            .filter_map(|host| host.stored.as_deref())
            .collect();
        assert_eq!((run.playbook_path.as_str(), hosts), ("p", vec!["None", "5", "A"]));
    }

    proptest! {
        #[test]
        fn no_body_breaks_the_builder(path in any_json(), hosts in any_json(), mode in any_json(), values in any_json()) {
            let members = [
                ("script_path", path),
                ("hostnames", hosts.clone()),
                ("run_mode", mode),
                ("variable_values", values),
            ];
            let body = Json::members(members);
            if let Ok(run) = quick_run(&body) {
                prop_assert!(!run.script_path.is_empty());
                let mode = body.get("run_mode").filter(|mode| mode.is_truthy());
                prop_assert!(mode.is_some() || run.run_mode == "system");
                let given: Vec<_> = run.hosts.into_iter().map(|host| host.given).collect();
                prop_assert_eq!(Json::List(given), hosts);
            }
        }
    }
}
