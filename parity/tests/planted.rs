//! Faults planted into what a real run showed, and into the running engine itself, are found where they were planted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed assumption is a failed test"
)]

#[path = "planted/proxy.rs"]
mod proxy;
#[path = "planted/running.rs"]
mod running;

use std::path::Path;

use parity::{
    diff::{BothSpans, diff},
    json_form,
    normalize::normalize,
    runner::{Silent, run_embedded},
    scenario::model::Scenario,
    transcript::{Body, Seen, Transcript},
};
use serde_json::{Value, json};

const SCENARIO: &str = "format: 2\ntitle: T\narea: A\nstarted_at: 1700000000\nagents: {agent1: {hostname: H}}\nsteps:\n  \
    - get: /health\n  - login: admin\n  - enroll: agent1\n  - {socket: ui, connect: {}}\n  - {socket: agent, connect: {}}\n  \
    - {socket: agent, emit: macro_status, data: {n: 1, m: 2}, ack: true}\n  \
    - {socket: agent, emit: screenshot, data: {agent_id: A, image_base64: AAAA}}\n";

type Plant = fn(&mut Transcript);

/// The answer of a step.
fn answer(transcript: &mut Transcript, step: u32) -> &mut Seen {
    &mut transcript
        .observations
        .iter_mut()
        .find(|one| one.step == step)
        .unwrap()
        .seen
}

fn header(transcript: &mut Transcript, step: u32, name: &str, change: fn(&mut (String, String))) {
    let Seen::Answer { headers, .. } = answer(transcript, step) else {
        panic!("an answer")
    };
    change(headers.iter_mut().find(|(known, _)| known == name).unwrap());
}

/// Changes the JSON of an answer as a server would that writes another text.
fn rewrite(transcript: &mut Transcript, step: u32, change: fn(&str) -> String) {
    let Seen::Answer {
        body, form, length, ..
    } = answer(transcript, step)
    else {
        panic!("an answer")
    };
    let Body::Json(value) = &*body else { panic!("JSON") };
    let text = change(&(value.to_string() + "\n"));
    let value: Value = serde_json::from_str(&text).unwrap();
    *form = Some(json_form::form(&text, &value));
    *length = text.len();
    *body = Body::Json(value);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found_where_it_was_planted() {
    let scenario = Scenario::read("a/b", SCENARIO).unwrap();
    let transcript = run_embedded(&scenario, Path::new("."), &Silent).await.unwrap();
    let spans = BothSpans::of_replay(&scenario.steps.iter().map(|step| (step.id, 0)).collect::<Vec<_>>());
    let legacy = normalize(&transcript);
    let paths = |plant: Plant| -> Vec<String> {
        let mut engine = transcript.clone();
        plant(&mut engine);
        let found = diff(&legacy, &normalize(&engine), &spans);
        found.into_iter().map(|one| one.path).collect()
    };
    assert_eq!(paths(|_| {}), [""; 0], "nothing was planted");
    let plants: [(&str, Plant, &str); 17] = [
        (
            "the case of a header",
            |it| header(it, 1, "Content-Type", |one| one.0 = "content-type".to_owned()),
            "/wire/headers",
        ),
        (
            "a reason",
            |it| {
                if let Seen::Answer { line, .. } = answer(it, 1) {
                    line.reason = "Okay".to_owned();
                }
            },
            "/wire/reason",
        ),
        (
            "a version",
            |it| {
                if let Seen::Answer { line, .. } = answer(it, 1) {
                    line.version = "1.0".to_owned();
                }
            },
            "/wire/version",
        ),
        (
            "a length",
            |it| header(it, 1, "Content-Length", |one| one.1 = "17".to_owned()),
            "/headers/content-length",
        ),
        (
            "a date",
            |it| {
                header(it, 1, "Date", |one| {
                    one.1 = "Tue, 14 Nov 2023 23:13:20 GMT".to_owned();
                });
            },
            "/headers/date",
        ),
        (
            "a blank in a body",
            |it| rewrite(it, 1, |text| text.replace(':', ": ")),
            "/wire/json",
        ),
        (
            "a key that stands twice",
            |it| rewrite(it, 1, |text| text.replace("}\n", ",\"status\":\"ok\"}\n")),
            "/wire/json",
        ),
        (
            "the order of keys",
            |it| {
                rewrite(it, 2, |text| {
                    let at = text.find(",\"").unwrap();
                    format!(
                        "{{{},{}}}\n",
                        text.trim_end().trim_end_matches('}').get(at + 1..).unwrap(),
                        text.get(1..at).unwrap()
                    )
                });
            },
            "/body/<order>",
        ),
        (
            "another number",
            |it| {
                it.heard[0].events[0].data["n"] = serde_json::from_str("1.0").unwrap();
            },
            "/sockets/1 ui/events/0/data/n",
        ),
        (
            "an event that is lost",
            |it| {
                it.heard[0].events.remove(0);
            },
            "/sockets/1 ui/events/0",
        ),
        (
            "an event that is doubled",
            |it| {
                let twice = it.heard[0].events[0].clone();
                it.heard[0].events.push(twice);
            },
            "/sockets/1 ui/events/2",
        ),
        (
            "an event for somebody else",
            |it| {
                let event = it.heard[0].events.remove(0);
                it.heard[1].events.push(event);
            },
            "/sockets/1 ui/events/0",
        ),
        (
            "a connection that the server ended",
            |it| it.heard[1].closed = Some("transport error".to_owned()),
            "/sockets/2 agent/closed",
        ),
        (
            "a row that nobody selects",
            |it| {
                let row = json!({"id": 9, "name": "nowhere"}).as_object().unwrap().clone();
                it.left
                    .as_mut()
                    .unwrap()
                    .tables
                    .get_mut("sites")
                    .unwrap()
                    .push(row);
            },
            "/tables/sites/0",
        ),
        (
            "a column that nobody selects",
            |it| {
                it.left.as_mut().unwrap().tables.get_mut("users").unwrap()[0]["role"] = json!("User");
            },
            "/tables/users/0/role",
        ),
        (
            "a file for everybody",
            |it| {
                let files = &mut it.left.as_mut().unwrap().files;
                files.get_mut("Data/Server/server_secret.key").unwrap().mode = "0o666".to_owned();
            },
            "/files/Data~1Server~1server_secret.key/mode",
        ),
        (
            "a file that is gone",
            |it| {
                it.left
                    .as_mut()
                    .unwrap()
                    .files
                    .remove("Data/web-interface/build/index.html");
            },
            "/files/Data~1web-interface~1build~1index.html",
        ),
    ];
    for (what, plant, path) in plants {
        let found = paths(plant);
        assert!(found.iter().any(|one| one == path), "{what}: {found:?}");
    }
}
