use super::*;
use crate::scenario::{emit::to_yaml, model::Capture};

fn recording(steps: &Value) -> String {
    json!({
        "format": 2, "area": "a", "scenario": "s", "title": "T", "base": "http://h", "started_at": 5.5, "upstream": "unreachable",
        "env": {}, "files_before_start": {}, "agents": {}, "steps": steps, "heard": [], "final": {"tables": {}, "files": {}},
    })
    .to_string()
}

fn http(id: u32, path: &str, answer: &Value) -> Value {
    json!({"id": id, "at": 0.1, "kind": "http", "who": "w", "note": "", "request": {"method": "GET", "path": path, "headers": {}},
           "response": {"status": 200, "json": answer, "wire": {"version": "1.1", "reason": "OK", "length": 9,
                        "headers": [["Content-Type", "application/json"], ["Set-Cookie", "c=COOKIE12; Path=/"]]}}})
}

#[test]
fn captures_move_to_the_answer_that_holds_the_value() {
    let steps = json!([
        http(1, "/a", &json!({"items": [{"id": "X-123456", "code": "X-99"}]})),
        {"id": 2, "at": 0.1, "kind": "capture", "name": "it", "value": "X-123456"},
        {"id": 3, "at": 0.1, "kind": "capture", "name": "c", "value": "COOKIE12"},
        {"id": 4, "at": 0.1, "kind": "capture", "name": "own", "value": "made up"},
        http(5, "/b/${it}", &json!(null)),
        {"id": 6, "at": 0.2, "kind": "smoke.signal", "client": "x"},
        {"id": 7, "at": 0.2, "kind": "capture", "name": "low", "value": "x-123456", "made": {"function": "lower", "of": "X-123456"}},
    ]);
    let imported = import_recording(&recording(&steps)).unwrap();
    let steps = &imported.scenario.steps;
    assert_eq!(steps.iter().map(|step| step.id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(matches!(&steps[3].action, Action::Make { fields, .. } if fields["of"] == "${it}"));
    assert_eq!(
        steps[0].captures,
        [
            ("it".to_owned(), Capture::Pointer("/items/0/id".to_owned())),
            ("c".to_owned(), Capture::Cookie("c".to_owned()))
        ]
    );
    assert_eq!(imported.not_runnable, ["step 6: smoke.signal"]);
    assert!(imported.transcript.client_values.contains(&"made up".to_owned()));
    assert!(!imported.transcript.client_values.contains(&"X-123456".to_owned()));
    let mut written = imported.scenario.clone();
    keep(&mut written, None);
    let mut read = Scenario::read("a/s", &to_yaml(&written)).unwrap();
    read.steps.iter_mut().for_each(|step| step.line = 0);
    assert_eq!(read, written);
}

#[test]
fn a_claim_that_is_the_digest_of_a_captured_value_follows_it() {
    let claims = |ath: &Value| json!({"jti": "j", "other": "x", "ath": ath});
    let made =
        json!({"function": "dpop", "agent": "agent1", "claims": claims(&text_digest("X-123456").into())});
    let steps = json!([
        http(1, "/a", &json!({"id": "X-123456"})),
        {"id": 2, "at": 0.1, "kind": "capture", "name": "it", "value": "X-123456"},
        {"id": 3, "at": 0.1, "kind": "capture", "name": "proof", "value": "p", "made": made},
    ]);
    let imported = import_recording(&recording(&steps)).unwrap();
    let Action::Make { fields, .. } = &imported.scenario.steps[1].action else {
        panic!("a made value")
    };
    assert_eq!(fields["claims"], claims(&json!({"sha256": "${it}"})));
}

#[test]
fn socket_steps_become_steps_and_observations() {
    let steps = json!([
        {"id": 1, "at": 0.1, "kind": "socket.connect", "client": "ui", "headers": {"X": "1"}, "query": "a=b", "transports": ["polling", "websocket"], "connected": true},
        {"id": 2, "at": 0.2, "kind": "socket.emit", "client": "ui", "event": "none", "data": null, "ack": "<TimeoutError>"},
        {"id": 3, "at": 0.2, "kind": "socket.emit", "client": "ui", "event": "job", "data": {"n": 1}, "ack": null},
        {"id": 4, "at": 0.2, "kind": "socket.event", "client": "ui", "event": "job", "data": {"run_id": "X-123456"}},
        {"id": 5, "at": 0.2, "kind": "capture", "name": "run", "value": "X-123456"},
        {"id": 6, "at": 0.3, "kind": "socket.emit", "client": "ui", "event": "done", "data": {"run_id": "${run}"}},
        {"id": 7, "at": 0.3, "kind": "socket.event", "client": "ui", "event": "late", "missing": true},
        {"id": 8, "at": 1.3, "kind": "socket.silence", "client": "ui", "event": "job", "silent": true},
        {"id": 9, "at": 1.3, "kind": "socket.disconnect", "client": "ui"},
    ]);
    let imported = import_recording(&recording(&steps)).unwrap();
    assert_eq!(imported.not_runnable, Vec::<String>::new());
    insta::assert_snapshot!("socket_scenario", to_yaml(&imported.scenario));
    insta::assert_json_snapshot!("socket_observations", imported.transcript.observations);
}

#[test]
fn a_session_id_is_captured_from_a_polling_payload() {
    let text = "0{\"sid\":\"sM9iEnu6Qmc4RBhZAAAA\"}";
    let steps = json!([
        {"id": 1, "at": 0.1, "kind": "http", "request": {"method": "GET", "path": "/socket.io/", "headers": {}},
         "response": {"status": 200, "text": text,
                      "wire": {"version": "1.1", "reason": "OK", "length": 30, "headers": [["Content-Type", "text/plain"]]}}},
        {"id": 2, "at": 0.1, "kind": "capture", "name": "p.sid", "value": "sM9iEnu6Qmc4RBhZAAAA"},
    ]);
    let imported = import_recording(&recording(&steps)).unwrap();
    assert_eq!(
        imported.scenario.steps[0].captures,
        [("p.sid".to_owned(), Capture::Packet("/sid".to_owned()))]
    );
}

#[test]
fn names_that_leave_their_folder_are_refused() {
    let good: Value = serde_json::from_str(&recording(&json!([]))).unwrap();
    for (pointer, value) in [
        ("/area", json!("..")),
        ("/scenario", json!("../../s")),
        ("/scenario", json!("a/b")),
        ("/scenario", json!("/tmp/s")),
        ("/files_before_start", json!({"../x": {"text": "t"}})),
        ("/files_before_start", json!({"/x": {"base64": "AAEC"}})),
        ("/files_before_start", json!({"x": {"link": "../x"}})),
        (
            "/steps",
            json!([http(1, "/", &json!(1)), {"id": 2, "at": 0.1, "kind": "file", "path": "a/../../x", "text": "t"}]),
        ),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let error = import_recording(&bad.to_string()).unwrap_err();
        assert!(matches!(error, ImportError::Leaves(_)), "{pointer}: {error}");
    }
}

#[test]
fn numbers_of_the_recording_become_places_in_the_scenario() {
    let steps = json!([
        http(3, "/a", &json!({"id": "X-123456"})),
        {"id": 4, "at": 0.1, "kind": "capture", "name": "it", "value": "X-123456"},
        http(8, "/b/${it}", &json!(null)),
    ]);
    let mut whole: Value = serde_json::from_str(&recording(&steps)).unwrap();
    let event = |after: u32| json!({"at": 0.1, "after_step": after, "event": "e", "data": null});
    whole["heard"] =
        json!([{"client": "ui", "connection": 1, "events": [event(2), event(3), event(7), event(8)]}]);
    let imported = import_recording(&whole.to_string()).unwrap();
    let steps: Vec<u32> = imported.scenario.steps.iter().map(|step| step.id).collect();
    let seen: Vec<u32> = imported
        .transcript
        .observations
        .iter()
        .map(|one| one.step)
        .collect();
    let heard: Vec<u32> = imported.transcript.heard[0]
        .events
        .iter()
        .map(|one| one.after_step)
        .collect();
    assert_eq!((steps, seen, heard), (vec![1, 2], vec![1, 2], vec![0, 1, 1, 2]));
    assert_eq!(imported.transcript.last_step, 2);
}

#[test]
fn other_texts_are_refused_by_name() {
    assert!(matches!(import_recording("{}"), Err(ImportError::Format(_))));
    assert!(matches!(import_recording("x"), Err(ImportError::Json(_))));
}

#[test]
fn links_and_modes_of_files_before_the_start_are_kept() {
    let mut recording: Value = serde_json::from_str(&recording(&json!([http(1, "/", &json!(1))]))).unwrap();
    recording["files_before_start"] = json!({"a/link": {"link": "../b"}, "b": {"text": "t", "mode": "0755"}});
    let imported = import_recording(&recording.to_string()).unwrap();
    let text = FileSource::Text("t".to_owned());
    assert_eq!(
        imported.scenario.files,
        [
            ("a/link".to_owned(), FileSource::Link("../b".to_owned())),
            ("b".to_owned(), FileSource::Mode(Box::new(text), 0o755))
        ]
    );
}

#[test]
fn files_are_placed_when_the_recording_placed_them() {
    let file = |id: u32, path: &str, text: &str| json!({"id": id, "at": 0.001, "kind": "file", "path": path, "text": text});
    let steps = json!([
        file(1, "key", "k"),
        file(2, "script", "0f9d2b1e-5c1a-4d6f-9c57-5a8f3f1f2f10"),
        http(3, "/", &json!(1)),
        file(4, "key", "k")
    ]);
    let mut whole: Value = serde_json::from_str(&recording(&steps)).unwrap();
    whole["files_before_start"] = json!({"key": {"text": "k"}});
    let imported = import_recording(&whole.to_string()).unwrap();
    let before: Vec<_> = imported
        .scenario
        .files
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(before, ["key"]);
    let steps = imported
        .scenario
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::File { path, .. } => Some((step.id, path.as_str())),
            _ => None,
        });
    assert_eq!(
        steps.collect::<Vec<_>>(),
        [(1, "script"), (3, "key")],
        "the key's first step tells it once more"
    );
    let text = "0f9d2b1e-5c1a-4d6f-9c57-5a8f3f1f2f10".to_owned();
    assert!(
        imported.transcript.client_values.contains(&text),
        "no server made it up"
    );
}
