//! What both sides showed, step by step, for people who look at a run: requests, answers, what sockets heard.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    normalize::{NormalStep, Normalized},
    scenario::{
        model::{Action, Request, RequestBody, Scenario},
        template::as_shell_argument,
    },
    transcript::LEFT_AFTER,
};

/// Bodies up to this many bytes stand in a line of curl.
const LONGEST_BODY: usize = 16 * 1024;

/// One scenario as both sides went through it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// `<area>/<name>`.
    pub scenario: String,
    /// What it tries.
    pub title: String,
    /// Its steps, in their order; those behind the last are what was seen once the steps were over.
    pub steps: Vec<StoryStep>,
}

/// One step on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoryStep {
    /// Its number.
    pub step: u32,
    /// The step in one line.
    pub label: String,
    /// A remark of the scenario.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The request as a line of a shell: the server is `$BASE`, what the scenario calls by a name is a variable of that
    /// name, and each client keeps its cookies in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curl: Option<String>,
    /// What the legacy showed.
    pub legacy: Shown,
    /// What the engine showed.
    pub engine: Shown,
}

/// What a step showed on one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Microseconds since the scenario's start at which the step was over.
    pub at_us: Option<i64>,
    /// How many microseconds the step took, where that was measured: of a recording nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_us: Option<u64>,
    /// What was seen, with names in place of random values. Where the legacy's is absent it is the engine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Value>,
}

impl Story {
    /// The story of a scenario's two sides.
    #[must_use]
    pub fn of(scenario: &Scenario, legacy: &Normalized, engine: &Normalized) -> Self {
        let mut sides: BTreeMap<u32, [Option<&NormalStep>; 2]> = BTreeMap::new();
        for step in &legacy.steps {
            sides.entry(step.step).or_default()[0] = Some(step);
        }
        for step in &engine.steps {
            sides.entry(step.step).or_default()[1] = Some(step);
        }
        let steps = sides.into_iter().map(|(number, [legacy, engine])| {
            let planned = scenario.steps.iter().find(|step| step.id == number);
            // Whole tables and files would be most of the report; what differs in them stands in the verdict.
            let is_shown = number != scenario.last_step() + LEFT_AFTER;
            let seen = |side: Option<&NormalStep>| side.filter(|_| is_shown).map(|step| step.seen.clone());
            let (by_legacy, by_engine) = (seen(legacy), seen(engine));
            StoryStep {
                step: number,
                label: engine
                    .or(legacy)
                    .map(|step| step.label.clone())
                    .unwrap_or_default(),
                note: planned.map(|step| step.note.clone()).unwrap_or_default(),
                curl: planned.and_then(|step| match &step.action {
                    Action::Http(request) => curl(step.who.as_deref(), request),
                    _ => None,
                }),
                legacy: Shown {
                    at_us: legacy.map(|step| step.at_us),
                    took_us: None,
                    seen: by_legacy.filter(|seen| Some(seen) != by_engine.as_ref()),
                },
                engine: Shown {
                    at_us: engine.map(|step| step.at_us),
                    took_us: None,
                    seen: by_engine,
                },
            }
        });
        Self {
            scenario: scenario.name.clone(),
            title: scenario.title.clone(),
            steps: steps.collect(),
        }
    }

    /// Adds how long the steps took on each side, in microseconds.
    #[must_use]
    pub fn with_times(mut self, legacy: &BTreeMap<u32, u64>, engine: &BTreeMap<u32, u64>) -> Self {
        for step in &mut self.steps {
            step.legacy.took_us = legacy.get(&step.step).copied();
            step.engine.took_us = engine.get(&step.step).copied();
        }
        self
    }
}

/// A request as a line of a shell.
fn curl(who: Option<&str>, request: &Request) -> Option<String> {
    let mut line = String::from("curl -sS -i");
    match request.method {
        "GET" => {}
        "HEAD" => line.push_str(" -I"),
        method => line.push_str(&format!(" -X {method}")),
    }
    if let Some(who) = who {
        let jar = as_shell_argument(&format!("{who}.cookies"))?;
        line.push_str(&format!(" -b {jar} -c {jar}"));
    }
    for (name, value) in &request.headers {
        line.push_str(&format!(
            " -H {}",
            as_shell_argument(&format!("{name}: {value}"))?
        ));
    }
    let body = match &request.body {
        RequestBody::Empty => None,
        RequestBody::Json(value) => Some(value.to_string()),
        RequestBody::Text(text) => Some(text.clone()),
        RequestBody::Bytes(bytes) => match std::str::from_utf8(bytes) {
            // A template in it would be sent as it stands.
            Ok(text) if !text.contains("${") => Some(text.to_owned()),
            _ => {
                let bytes = BASE64.encode(bytes);
                line = format!("printf %s {bytes} | base64 -d | {line} --data-binary @-");
                None
            }
        },
    };
    if let Some(body) = body {
        line.push_str(&format!(" --data-raw {}", as_shell_argument(&body)?));
    }
    line.push_str(&format!(
        " --path-as-is \"$BASE\"{}",
        as_shell_argument(&request.path)?
    ));
    (line.len() <= LONGEST_BODY).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &'static str, body: RequestBody) -> Request {
        Request {
            method,
            path: "/api/x?q=a b".to_owned(),
            headers: vec![("Authorization".to_owned(), "Bearer ${agent.token}".to_owned())],
            body,
        }
    }

    #[test]
    fn a_request_is_a_line_of_a_shell_that_sends_the_same() {
        let get = curl(Some("admin"), &request("GET", RequestBody::Empty)).unwrap();
        insta::assert_snapshot!(get, @r#"curl -sS -i -b admin.cookies -c admin.cookies -H 'Authorization: Bearer '"${agent_token}" --path-as-is "$BASE"'/api/x?q=a b'"#);
        let post = curl(
            None,
            &request("POST", RequestBody::Text("it's ${name}".to_owned())),
        )
        .unwrap();
        insta::assert_snapshot!(post, @r#"curl -sS -i -X POST -H 'Authorization: Bearer '"${agent_token}" --data-raw 'it'\''s '"${name}" --path-as-is "$BASE"'/api/x?q=a b'"#);
        let bytes = curl(None, &request("PUT", RequestBody::Bytes(vec![0xff, 0]))).unwrap();
        insta::assert_snapshot!(bytes, @r#"printf %s /wA= | base64 -d | curl -sS -i -X PUT -H 'Authorization: Bearer '"${agent_token}" --data-binary @- --path-as-is "$BASE"'/api/x?q=a b'"#);
        assert_eq!(
            curl(None, &request("PUT", RequestBody::Text("a".repeat(LONGEST_BODY)))),
            None
        );
    }
}
