//! `expect:`: what a step must show, said by the scenario itself.
//!
//! A scenario that nobody has recorded says something that way, and one that was recorded can say what it is about.
//! Objects are compared in part: members that are not named may be anything. Lists are compared as a whole, each item in
//! part. A header that is null must not be there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    model::Action,
    socket::SocketAct,
    yaml::{Fault, Node},
};
use crate::{
    normalize::join,
    transcript::{Body, Seen},
};

/// The expectations of one step; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect(Map<String, Value>);

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortfall {
    /// Where: `/expect/status`, `/expect/body/items/0/name`.
    pub path: String,
    /// What was expected there.
    pub expected: Value,
    /// What was there; none where there was nothing.
    pub found: Option<Value>,
}

/// What a step of this kind shows, by the keys of `expect:` besides JSON pointers.
fn keys(action: &Action) -> &'static [&'static str] {
    match action {
        Action::Http(_) => &["status", "headers", "body"],
        Action::Rows { .. } => &["rows"],
        Action::Socket(socket) => match &socket.act {
            SocketAct::Connect(_) => &["connected"],
            SocketAct::Emit(emit) if emit.ack => &["data"],
            SocketAct::Receive(_) => &["data"],
            _ => &[],
        },
        _ => &[],
    }
}

impl Expect {
    /// Reads the expectations of a step that does `action`.
    pub(super) fn read(node: Node, action: &Action, faults: &mut Vec<Fault>) -> Self {
        let known = keys(action);
        let mut all = Map::new();
        let Some(mut fields) = node.fields("expect", faults) else {
            return Self::default();
        };
        if known.is_empty() {
            faults.push(
                fields
                    .place
                    .fault("this step shows nothing that could be expected"),
            );
        }
        for (key, place, node) in fields.rest() {
            let value = node.value(faults);
            let fits = match key.as_str() {
                "status" => value.as_u64().is_some_and(|status| (100..=999).contains(&status)),
                "headers" => value.as_object().is_some_and(|headers| {
                    headers.values().all(|value| value.is_null() || value.is_string())
                }),
                "connected" => value.is_boolean(),
                _ => true,
            };
            let points = key.starts_with('/') && !matches!(known, ["connected"]);
            if !known.is_empty() && !points && !known.contains(&key.as_str()) {
                let known = known.join(", ");
                faults.push(place.fault(format!(
                    "expect has no `{key}` here, but {known} and JSON pointers"
                )));
            } else if !fits {
                faults.push(place.fault(match key.as_str() {
                    "status" => "the status is a number such as 201",
                    "headers" => "headers are texts, or null where there must be none",
                    _ => "connected is true or false",
                }));
            }
            all.insert(key, value);
        }
        Self(all)
    }

    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is written, and for templates.
    pub fn value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// Holds what a step showed against what was expected, templates filled in.
pub fn judge(expected: &Value, seen: &Seen) -> Vec<Shortfall> {
    let mut missed = Vec::new();
    let Some(members) = expected.as_object() else {
        return missed;
    };
    if let Seen::Failed { reason } = seen {
        return vec![Shortfall {
            path: "/expect".to_owned(),
            expected: expected.clone(),
            found: Some(json!({ "failed": reason })),
        }];
    }
    let shown = shown(seen);
    for (key, wanted) in members {
        match (key.as_str(), seen) {
            ("status", Seen::Answer { line, .. }) => {
                partly(wanted, Some(&json!(line.status)), "/expect/status", &mut missed);
            }
            ("headers", Seen::Answer { headers, .. }) => {
                for (name, wanted) in wanted.as_object().into_iter().flatten() {
                    header(name, wanted, headers, &mut missed);
                }
            }
            ("connected", Seen::Connected { connected, .. }) => {
                partly(wanted, Some(&json!(connected)), "/expect/connected", &mut missed);
            }
            (pointer, _) if pointer.starts_with('/') => {
                let found = shown.as_ref().and_then(|shown| shown.pointer(pointer));
                partly(wanted, found, &format!("/expect{pointer}"), &mut missed);
            }
            (key, _) => partly(wanted, shown.as_ref(), &format!("/expect/{key}"), &mut missed),
        }
    }
    missed
}

/// The data that a step showed.
fn shown(seen: &Seen) -> Option<Value> {
    match seen {
        Seen::Answer { body, .. } => match body {
            Body::Empty => None,
            Body::Json(value) => Some(value.clone()),
            Body::Text(text) | Body::Base64(text) => Some(json!(text)),
        },
        Seen::Rows { rows } => Some(json!(rows)),
        Seen::Acknowledged { arguments } | Seen::Received { arguments } | Seen::Silence { arguments } => {
            arguments.as_ref().map(|all| super::socket::data(all))
        }
        Seen::Connected { .. } | Seen::Asked { .. } | Seen::Failed { .. } => None,
    }
}

fn header(name: &str, wanted: &Value, headers: &[(String, String)], missed: &mut Vec<Shortfall>) {
    let mut there = headers
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .peekable();
    let met = match wanted.as_str() {
        None => there.peek().is_none(),
        Some(text) => there.clone().any(|(_, value)| value == text),
    };
    if !met {
        missed.push(Shortfall {
            path: join("/expect/headers", name),
            expected: wanted.clone(),
            found: there.next().map(|(_, value)| json!(value)),
        });
    }
}

/// Every place at which `wanted` asks for something else than what is there.
fn partly(wanted: &Value, found: Option<&Value>, path: &str, missed: &mut Vec<Shortfall>) {
    match (wanted, found) {
        (Value::Object(wanted), Some(Value::Object(found))) => {
            for (key, wanted) in wanted {
                partly(wanted, found.get(key), &join(path, key), missed);
            }
        }
        (Value::Array(wanted), Some(Value::Array(found))) if wanted.len() == found.len() => {
            for (at, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                partly(wanted, Some(found), &format!("{path}/{at}"), missed);
            }
        }
        (wanted, Some(found)) if wanted == found => {}
        (wanted, found) => missed.push(Shortfall {
            path: path.to_owned(),
            expected: wanted.clone(),
            found: found.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::StatusLine;

    fn missed(expected: &Value, body: Value) -> Vec<(String, Option<Value>)> {
        let seen = Seen::Answer {
            line: StatusLine {
                version: "1.1".to_owned(),
                status: 200,
                reason: "OK".to_owned(),
            },
            headers: vec![("X-One".to_owned(), "1".to_owned())],
            body: Body::Json(body),
            length: 1,
            form: None,
        };
        judge(expected, &seen)
            .into_iter()
            .map(|one| (one.path, one.found))
            .collect()
    }

    #[test]
    fn objects_are_compared_in_part_and_lists_as_a_whole() {
        let body = json!({"a": 1, "b": [{"c": "x", "d": 2}], "e": null});
        let met = json!({"status": 200, "body": {"b": [{"c": "x"}], "e": null}, "/b/0/d": 2, "headers": {"x-one": "1", "x-two": null}});
        assert_eq!(missed(&met, body.clone()), []);
        let other = json!({"status": 201, "body": {"a": 1.0, "b": [], "f": null}, "/b/1": 2, "headers": {"x-one": null, "x-two": "1"}});
        assert_eq!(
            missed(&other, body),
            [
                ("/expect/status".to_owned(), Some(json!(200))),
                ("/expect/body/a".to_owned(), Some(json!(1))),
                ("/expect/body/b".to_owned(), Some(json!([{"c": "x", "d": 2}]))),
                ("/expect/body/f".to_owned(), None),
                ("/expect/b/1".to_owned(), None),
                ("/expect/headers/x-one".to_owned(), Some(json!("1"))),
                ("/expect/headers/x-two".to_owned(), None),
            ]
        );
    }

    #[test]
    fn a_step_that_could_not_be_done_meets_nothing() {
        let seen = Seen::Failed {
            reason: "nobody listens".to_owned(),
        };
        let missed = judge(&json!({"status": 200}), &seen);
        assert_eq!(missed[0].found, Some(json!({"failed": "nobody listens"})));
    }
}
