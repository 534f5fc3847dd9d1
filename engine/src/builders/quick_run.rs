//! The body of `POST /api/scripts/quick_run`.

use crate::domain::{
    json::{Json, JsonObject},
    text::{python_float, python_trim},
};

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
    /// As whom it runs; not checked.
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

/// Reads the request for a run.
pub fn quick_run(body: &JsonObject) -> Result<QuickRun, QuickRunFieldError> {
    let text = |name| match body.get(name).filter(|value| value.is_truthy()) {
        None => Ok(""),
        Some(Json::Text(text)) => Ok(python_trim(text)),
        Some(_) => Err(()),
    };
    let script_path = text("script_path").map_err(|()| QuickRunFieldError::Missing)?;
    let run_mode = text("run_mode").map_err(|()| QuickRunFieldError::WrongType)?;
    let wanted = match body.get("hostnames") {
        Some(Json::List(items)) if !items.is_empty() && !script_path.is_empty() => items,
        _ => return Err(QuickRunFieldError::Missing),
    };
    let hosts = wanted.iter().map(host).collect::<Result<_, _>>()?;
    Ok(QuickRun {
        script_path: script_path.to_owned(),
        hosts,
        run_mode: if run_mode.is_empty() {
            "system".to_owned()
        } else {
            run_mode.to_lowercase()
        },
        variable_values: match body.get("variable_values") {
            Some(Json::Object(members)) => members.clone(),
            _ => JsonObject::new(),
        },
    })
}

/// A host's name as SQLite stores it in a text column.
fn host(given: &Json) -> Result<WantedHost, QuickRunFieldError> {
    let stored = match given {
        Json::Null => None,
        Json::Text(text) => Some(text.clone()),
        Json::Bool(value) => Some(i32::from(*value).to_string()),
        Json::Int(number) => Some(number.to_string()),
        Json::Float(number) => Some(python_float(*number)),
        Json::BigInt(_) | Json::List(_) | Json::Object(_) => return Err(QuickRunFieldError::WrongType),
    };
    Ok(WantedHost {
        given: given.clone(),
        stored,
    })
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
        let run = read(r#"{"script_path":" S ","hostnames":[7,null,"",true,1.5,"A","A"]}"#).unwrap();
        let stored: Vec<_> = run.hosts.iter().map(|host| host.stored.as_deref()).collect();
        assert_eq!(
            stored,
            [
                Some("7"),
                None,
                Some(""),
                Some("1"),
                Some("1.5"),
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
        for body in [
            r#"{"script_path":"S","hostnames":["A"],"run_mode":5}"#,
            r#"{"script_path":"S","hostnames":["A",{"b":1}]}"#,
        ] {
            assert_eq!(read(body), Err(QuickRunFieldError::WrongType), "{body}");
        }
        let run =
            read(r#"{"script_path":"S","hostnames":["A"],"run_mode":" X ","variable_values":[1]}"#).unwrap();
        assert_eq!((run.run_mode.as_str(), run.variable_values.len()), ("x", 0));
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
            let body = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            if let Ok(run) = quick_run(&body) {
                prop_assert!(!run.script_path.is_empty() && !run.run_mode.is_empty());
                let given: Vec<_> = run.hosts.into_iter().map(|host| host.given).collect();
                prop_assert_eq!(Json::List(given), hosts);
            }
        }
    }
}
