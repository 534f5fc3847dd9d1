use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::domain::{arbitrary::any_json, json::JsonObject};

fn falsy() -> [Json; 6] {
    [
        Json::Null,
        false.into(),
        0.into(),
        "".into(),
        Json::List(Vec::new()),
        Json::Object(JsonObject::new()),
    ]
}

fn payload<const N: usize>(members: [(&str, Json); N]) -> Payload {
    Payload::from(Json::object(members))
}

fn beat(last_seen: Json) -> LastSeen {
    let Reading::Event(event) =
        agent_heartbeat(&payload([("agent_id", "a".into()), ("last_seen", last_seen)]).value)
    else {
        panic!("no event")
    };
    event.last_seen
}

#[test]
fn what_says_nothing_and_what_cannot_be_used() {
    for value in falsy() {
        assert_eq!(connect_agent(&value), Reading::Nothing, "{value:?}");
        assert_eq!(request_config(&value), Reading::Nothing, "{value:?}");
        assert_eq!(quick_job_result(&value), Reading::Nothing, "{value:?}");
        let id = Json::object([("agent_id", value)]);
        assert_eq!(agent_heartbeat(&id), Reading::Nothing, "{id:?}");
        assert_eq!(collector_status(&id), Reading::Nothing, "{id:?}");
    }
    for value in [Json::from("text"), Json::list([1]), 7.into(), true.into()] {
        assert_eq!(connect_agent(&value), Reading::Unusable, "{value:?}");
        assert_eq!(macro_status(&value.clone().into()), Reading::Unusable);
        assert_eq!(quick_job_result(&value), Reading::Nothing);
        if value.as_text().is_none() {
            let id = Json::object([("agent_id", value), ("image_base64", "x".into())]);
            assert_eq!(agent_heartbeat(&id), Reading::Unusable, "{id:?}");
            let is_scalar = !matches!(id.get("agent_id"), Some(Json::List(_)));
            assert_eq!(
                matches!(screenshot(id.into()), Reading::Event((None, _))),
                is_scalar
            );
        }
    }
    assert_eq!(
        request_config(&payload([("agent_id", " ".into())]).value),
        Reading::Event(" ".to_owned())
    );
    let long = "x".repeat(LONGEST_TEXT + 1);
    assert_eq!(
        request_config(&payload([("agent_id", long.into())]).value),
        Reading::Unusable
    );
}

#[test]
fn only_an_empty_object_is_a_falsy_payload_of_screenshots_and_macros() {
    for value in falsy() {
        let empty = value.as_object().is_some();
        let value = Payload::from(value);
        assert_eq!(
            screenshot(value.clone()),
            if empty {
                Reading::Nothing
            } else {
                Reading::Unusable
            }
        );
        assert_eq!(
            agent_screenshot_task(&value),
            if empty {
                Reading::Nothing
            } else {
                Reading::Unusable
            }
        );
        assert_eq!(
            macro_status(&value),
            if empty {
                Reading::Event(None)
            } else {
                Reading::Unusable
            }
        );
    }
}

#[test]
fn a_screenshot_passes_on_two_members_and_its_bytes() {
    let sent = Payload {
        value: Json::object([
            ("x", 1.into()),
            ("agent_id", "a".into()),
            (
                "image_base64",
                Json::object([("_placeholder", true.into()), ("num", 0.into())]),
            ),
        ]),
        attachments: vec![Bytes::from_static(b"x")],
    };
    let Reading::Event((agent_id, shown)) = screenshot(sent.clone()) else {
        panic!("no event")
    };
    assert_eq!(agent_id.as_deref(), Some("a"));
    assert_eq!(shown.value.as_object().unwrap().len(), 2);
    assert_eq!(shown.attachments, sent.attachments);
    let empty = Payload {
        attachments: vec![Bytes::new()],
        ..sent
    };
    assert_eq!(screenshot(empty), Reading::Nothing);
}

#[test]
fn a_screenshot_task_needs_agent_and_node_of_any_kind() {
    let task = |agent: Json, node: Json| payload([("agent_id", agent), ("node_id", node)]);
    assert_eq!(
        agent_screenshot_task(&task("a".into(), 1.into())),
        Reading::Event(Some("a"))
    );
    assert_eq!(
        agent_screenshot_task(&task(Json::list([1]), 1.into())),
        Reading::Event(None)
    );
    assert_eq!(
        agent_screenshot_task(&task("".into(), 1.into())),
        Reading::Nothing
    );
    assert_eq!(
        agent_screenshot_task(&task("a".into(), Json::Null)),
        Reading::Nothing
    );
}

#[test]
fn last_seen_is_read_as_the_legacy_reads_it() {
    for (value, time) in [
        (Json::from(1_600_000_000), 1_600_000_000),
        ((-5).into(), -5),
        (1.9.into(), 1),
        (0.5.into(), 0),
        (true.into(), 1),
        (" 1600000003 ".into(), 1_600_000_003),
    ] {
        assert_eq!(beat(value.clone()), LastSeen::At(time), "{value:?}");
    }
    for value in falsy() {
        assert_eq!(beat(value), LastSeen::Now);
    }
    for value in [Json::from("soon"), "1.5".into(), Json::list([1]), f64::NAN.into()] {
        assert_eq!(beat(value.clone()), LastSeen::Unreadable, "{value:?}");
    }
}

#[test]
fn a_host_must_be_text() {
    for value in [Json::from(7), Json::list(["h"]), "".into()] {
        let event = payload([("agent_id", "a".into()), ("hostname", value)]);
        let Reading::Event(event) = collector_status(&event.value) else {
            panic!("no event")
        };
        assert_eq!(event.hostname, None);
    }
}

#[test]
fn results_have_an_id_a_word_and_texts() {
    let read = |id: Json, status: Json, stdout: Json| {
        quick_job_result(&payload([("job_id", id), ("status", status), ("stdout", stdout)]).value)
    };
    let result = |status: &str, stdout: &str| {
        Reading::Event(JobResult {
            job_id: 12,
            status: status.to_owned(),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        })
    };
    assert_eq!(
        read(" 12 ".into(), " ok ".into(), 1.5.into()),
        result("ok", "1.5")
    );
    assert_eq!(read(12.9.into(), "  ".into(), Json::Null), result("Failed", ""));
    assert_eq!(read(12.into(), Json::Null, true.into()), result("Failed", "1"));
    assert_eq!(read(12.into(), 5.into(), Json::Null), Reading::Unusable);
    assert_eq!(read(12.into(), "ok".into(), Json::list([1])), Reading::Nothing);
    for id in [
        Json::from("31.9"),
        "x".into(),
        Json::list([1]),
        Json::BigInt("9".repeat(20)),
    ] {
        assert_eq!(read(id, 5.into(), Json::Null), Reading::Nothing);
    }
}

proptest! {
    #[test]
    fn no_payload_panics(value in any_json()) {
        let named = Json::object([("agent_id", "a".into()), ("last_seen", value.clone()), ("stdout", value.clone()),
            ("hostname", value.clone()), ("job_id", value.clone()), ("image_base64", value.clone())]);
        for value in [value, named] {
            let _ = (connect_agent(&value), agent_heartbeat(&value), collector_status(&value));
            let _ = quick_job_result(&value);
            let payload = Payload { value, attachments: vec![Bytes::from_static(b"x")] };
            let _ = (screenshot(payload.clone()), agent_screenshot_task(&payload), macro_status(&payload));
        }
    }

    #[test]
    fn every_64_bit_last_seen_is_kept(time in any::<i64>()) {
        prop_assume!(time != 0);
        prop_assert_eq!(beat(time.into()), LastSeen::At(time.into()));
        prop_assert_eq!(beat(time.to_string().into()), LastSeen::At(time.into()));
    }
}
