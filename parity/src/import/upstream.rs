//! What the recording says about GitHub.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ImportError, Importer, fields::array};
use crate::{
    scenario::upstream::{Exchange, UPSTREAM_PORT, Upstream},
    transcript::{ASKED_AFTER, Asked, Observation, Seen},
};

impl Importer {
    /// Reads the recorded exchanges with GitHub. Where every request failed there are none, and nobody answers in a
    /// run either.
    pub(super) fn upstream(&mut self, recording: &Value) -> Result<(), ImportError> {
        if !recording.get("upstream").is_some_and(Value::is_array) {
            return Ok(());
        }
        let mut exchanges = Vec::new();
        for exchange in array(recording, "upstream") {
            exchanges.push(Self::exchange(exchange)?);
        }
        let period = self.refresh_period();
        let mut asks = BTreeMap::from([(0, 1)]);
        let mut before = 0.0;
        for step in array(recording, "steps") {
            let at = step.get("at").and_then(Value::as_f64).unwrap_or(before);
            let periods = u32::from((at / period).floor() > (before / period).floor());
            before = at;
            let count = asked_during(&step) + periods;
            if let (1.., Some(id)) = (count, step.get("id").and_then(Value::as_u64)) {
                asks.insert(u32::try_from(id).unwrap_or(u32::MAX), count);
            }
        }
        // The recorder stops with the last step, and may miss what the server asks in the background because of it.
        let told = asks.values().sum::<u32>() as usize;
        let unrecorded = u32::from(told == exchanges.len() + 1);
        if told != exchanges.len() && unrecorded == 0 {
            self.not_runnable
                .push("upstream: it does not follow during which step the server asked".to_owned());
            // Waiting for fewer than there are does no harm.
            if told > exchanges.len() {
                asks.retain(|step, _| *step == 0);
            }
        }
        let at_us = self.observations.last().map_or(0, |last| last.at_us);
        self.observations.push(Observation {
            step: self.scenario.last_step() + ASKED_AFTER,
            at_us,
            label: Asked::LABEL.to_owned(),
            seen: Seen::Asked {
                requests: exchanges.iter().map(Asked::of).collect(),
            },
        });
        self.scenario.upstream = Some(Upstream {
            asks,
            unrecorded,
            exchanges,
        });
        Ok(())
    }

    /// Seconds between two looks at the default branch, as the legacy reads the variable.
    fn refresh_period(&self) -> f64 {
        let variable = self
            .scenario
            .env
            .iter()
            .find(|(name, _)| name == "BOREALIS_REPO_HASH_REFRESH");
        let seconds = variable.and_then(|(_, value)| value.trim().parse::<i32>().ok());
        seconds.unwrap_or(60).clamp(30, 3600).into()
    }

    fn exchange(recorded: Value) -> Result<Exchange, ImportError> {
        serde_json::from_value(recorded).map_err(|error| ImportError::Field(format!("upstream: {error}")))
    }
}

/// How often the legacy asks GitHub because of this step, its background work included: a stored token is judged and
/// then used for a look at the default branch, a head that is not answered from memory is looked up.
fn asked_during(step: &Value) -> u32 {
    let text = |pointer| step.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let answer = |field| step.pointer("/response/json").and_then(|json| json.get(field));
    if text("/kind") == "restart" {
        return 1;
    }
    let path = text("/request/path").split('?').next().unwrap_or_default();
    let judged = u32::from(answer("has_token") == Some(&Value::Bool(true)));
    // Whatever an operator asks for is asked of the played server where the address names its port.
    let names_the_port = text("/request/path").contains(UPSTREAM_PORT);
    match (text("/request/method"), path) {
        ("GET" | "HEAD" | "POST", "/api/proxy") => u32::from(names_the_port),
        ("POST", "/api/github/token") if answer("has_token").is_some() => judged + 1,
        ("GET", "/api/github/token") => judged,
        ("GET", "/api/repo/current_hash") => {
            let source = answer("source").and_then(Value::as_str);
            u32::from(source.is_some_and(|source| source != "cache"))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        import::{import_recording, keep},
        scenario::{emit::to_yaml, model::Scenario},
        transcript::{Asked, Seen},
    };

    fn wire() -> serde_json::Value {
        json!({"version": "1.1", "reason": "OK", "length": 1, "headers": []})
    }

    fn recording(upstream: &serde_json::Value) -> String {
        let token = |id: u32, method: &str, has_token: bool| {
            json!({"id": id, "at": 0.1, "kind": "http", "who": "w", "note": "",
                   "request": {"method": method, "path": "/api/github/token", "headers": {}},
                   "response": {"status": 200, "json": {"has_token": has_token}, "wire": wire()}})
        };
        let head = |id: u32, source: &str| {
            json!({"id": id, "at": 0.1, "kind": "http", "who": "w", "note": "",
                   "request": {"method": "GET", "path": "/api/repo/current_hash?ttl=1", "headers": {}},
                   "response": {"status": 200, "json": {"source": source}, "wire": wire()}})
        };
        json!({"format": 2, "heard": [], "final": {"tables": {}, "files": {}}, "area": "platform", "scenario": "s", "title": "T", "base": "http://h", "started_at": 5.5, "env": {},
               "files_before_start": {}, "agents": {}, "upstream": upstream, "steps": [
                   token(1, "GET", false), head(2, "cache"), token(3, "POST", true), token(4, "GET", true),
                   head(5, "cache-stale"), head(6, "github"), token(7, "POST", false)]})
        .to_string()
    }

    fn exchange(authorization: Option<&str>) -> serde_json::Value {
        json!({"method": "GET", "path": "/repos/a/b/branches/c", "authorization": authorization, "status": 200,
               "headers": {"X-RateLimit-Limit": "5000"}, "body": "{\"a\": 1}"})
    }

    #[test]
    fn every_question_is_laid_to_the_step_that_causes_it() {
        let mut all = vec![exchange(None); 6];
        all.push(exchange(Some("Bearer é")));
        let imported = import_recording(&recording(&json!(all))).unwrap();
        assert_eq!(imported.not_runnable, Vec::<String>::new());
        let upstream = imported.scenario.upstream.clone().unwrap();
        let asks: Vec<_> = upstream
            .asks
            .iter()
            .map(|(step, count)| (*step, *count))
            .collect();
        assert_eq!(asks, [(0, 1), (3, 2), (4, 1), (5, 1), (6, 1), (7, 1)]);
        assert_eq!((upstream.asked_by(2), upstream.asked_by(5)), (1, 5));
        let last = imported.transcript.observations.last().unwrap();
        assert_eq!((last.step, last.label.as_str()), (8, Asked::LABEL));
        let Seen::Asked { requests } = &last.seen else {
            panic!("{last:?}")
        };
        assert_eq!(requests.len(), 7);
        let mut written = imported.scenario.clone();
        keep(&mut written, None);
        let mut read = Scenario::read("platform/s", &to_yaml(&written)).unwrap();
        for step in &mut read.steps {
            step.line = 0;
        }
        assert_eq!(read, written);

        all.pop();
        let cut_off = import_recording(&recording(&json!(all)))
            .unwrap()
            .scenario
            .upstream
            .unwrap();
        assert_eq!((cut_off.asked_by(9), cut_off.unrecorded), (7, 1));

        let later =
            recording(&json!(vec![exchange(None); 8])).replace("\"id\":7,\"at\":0.1", "\"id\":7,\"at\":61.0");
        let asks = import_recording(&later).unwrap().scenario.upstream.unwrap().asks;
        assert_eq!(asks.get(&7), Some(&2));
    }

    #[test]
    fn questions_that_no_step_explains_are_told() {
        for (count, waited_for) in [(1, 1), (9, 7)] {
            let imported = import_recording(&recording(&json!(vec![exchange(None); count]))).unwrap();
            assert_eq!(imported.not_runnable.len(), 1);
            assert_eq!(imported.scenario.upstream.unwrap().asked_by(9), waited_for);
        }
        let unreachable = import_recording(&recording(&json!("unreachable"))).unwrap();
        assert_eq!(unreachable.scenario.upstream, None);
    }
}
