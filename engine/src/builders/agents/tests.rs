//! Long because each event has its own odd payloads.

use bytes::Bytes;
use proptest::{prelude::*, sample::select};

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
    let Reading::Event(event) = agent_heartbeat(
        &payload([("agent_id", "a".into()), ("last_seen", last_seen)]),
        LONGEST_TEXT,
    ) else {
        panic!("no event")
    };
    event.last_seen
}

#[test]
fn what_says_nothing_and_what_cannot_be_used() {
    for value in falsy().map(Payload::from) {
        assert_eq!(connect_agent(&value, LONGEST_TEXT), Reading::Nothing, "{value:?}");
        assert_eq!(
            request_config(&value, LONGEST_TEXT),
            Reading::Nothing,
            "{value:?}"
        );
        assert_eq!(quick_job_result(&value), Reading::Nothing, "{value:?}");
        let id = payload([("agent_id", value.value)]);
        assert_eq!(agent_heartbeat(&id, LONGEST_TEXT), Reading::Nothing, "{id:?}");
        assert_eq!(collector_status(&id, LONGEST_TEXT), Reading::Nothing, "{id:?}");
    }
    for value in [Json::from("text"), Json::list([1]), 7.into(), true.into()].map(Payload::from) {
        assert_eq!(
            connect_agent(&value, LONGEST_TEXT),
            Reading::Unusable,
            "{value:?}"
        );
        assert_eq!(macro_status(&value), Reading::Unusable);
        assert_eq!(quick_job_result(&value), Reading::Nothing);
        if value.value.as_text().is_none() {
            let is_scalar = value.value.as_list().is_none();
            let id = payload([("agent_id", value.value), ("image_base64", "x".into())]);
            assert_eq!(agent_heartbeat(&id, LONGEST_TEXT), Reading::Unusable, "{id:?}");
            assert_eq!(matches!(screenshot(id), Reading::Event((None, _))), is_scalar);
        }
    }
    assert_eq!(
        request_config(&payload([("agent_id", " ".into())]), LONGEST_TEXT),
        Reading::Event(" ".to_owned())
    );
    let long = "x".repeat(LONGEST_TEXT + 1);
    assert_eq!(
        request_config(&payload([("agent_id", long.clone().into())]), LONGEST_TEXT),
        Reading::Unusable
    );
    assert_eq!(
        request_config(&payload([("agent_id", long.clone().into())]), usize::MAX),
        Reading::Event(long)
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
            ("image_base64", attachment()),
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

/// A payload with one attachment, for which `value` may stand.
fn binary(value: Json, bytes: &'static [u8]) -> Payload {
    Payload {
        value,
        attachments: vec![Bytes::from_static(bytes)],
    }
}

/// What stands for the attachment of a payload.
fn attachment() -> Json {
    Json::object([("_placeholder", true.into()), ("num", 0.into())])
}

#[test]
fn bytes_alone_are_no_object() {
    for value in [
        attachment(),
        Json::object([
            ("_placeholder", 1.into()),
            ("num", 0.into()),
            ("agent_id", "a".into()),
        ]),
    ] {
        for (bytes, of_agents) in [(&b"abc"[..], Reading::Unusable), (b"", Reading::Nothing)] {
            let sent = binary(value.clone(), bytes);
            let readings = [
                request_config(&sent, LONGEST_TEXT),
                connect_agent(&sent, LONGEST_TEXT).map(|event| event.agent_id),
                agent_heartbeat(&sent, LONGEST_TEXT).map(|event| event.agent_id),
                collector_status(&sent, LONGEST_TEXT).map(|event| event.agent_id),
            ];
            for reading in readings {
                assert_eq!(reading, of_agents, "{value:?}");
            }
            assert_eq!(macro_status(&sent), Reading::Unusable);
            assert_eq!(agent_screenshot_task(&sent), Reading::Unusable);
            assert_eq!(quick_job_result(&sent), Reading::Nothing);
            assert_eq!(screenshot(sent), Reading::Unusable);
        }
    }
    // Nothing came with it, so this is an object like any other.
    let alike = Payload::from(attachment());
    assert_eq!(macro_status(&alike), Reading::Event(None));
}

#[test]
fn bytes_in_an_object_are_no_text_and_no_number() {
    let with = |name: &'static str, bytes| {
        let members = [
            ("agent_id", "a".into()),
            ("job_id", 1.into()),
            (name, attachment()),
        ];
        binary(Json::object(members), bytes)
    };
    let beat = |name, bytes| match agent_heartbeat(&with(name, bytes), LONGEST_TEXT) {
        Reading::Event(event) => event,
        other => panic!("{other:?}"),
    };
    assert_eq!(beat("agent_operating_system", b"Win").operating_system, None);
    assert_eq!(beat("hostname", b"H").hostname, None);
    assert_eq!(beat("last_seen", b"soon").last_seen, LastSeen::Unreadable);
    assert_eq!(beat("last_seen", b"").last_seen, LastSeen::Now);
    for (bytes, expected) in [(&b"x"[..], Reading::Unusable), (b"", Reading::Nothing)] {
        assert_eq!(request_config(&with("agent_id", bytes), LONGEST_TEXT), expected);
        let collected = |name| match collector_status(&with(name, bytes), LONGEST_TEXT) {
            Reading::Event(event) => event,
            other => panic!("{other:?}"),
        };
        assert_eq!(collected("active").active, !bytes.is_empty());
        assert_eq!(collected("last_user").last_user, None);
    }
    assert_eq!(quick_job_result(&with("status", b"ok")), Reading::Unusable);
    assert_eq!(quick_job_result(&with("stdout", b"out")), Reading::Nothing);
    for name in ["status", "stdout"] {
        let Reading::Event(result) = quick_job_result(&with(name, b"")) else {
            panic!("no event")
        };
        assert_eq!((result.status.as_str(), result.stdout.as_str()), ("Failed", ""));
    }
    // A screenshot's id is passed on, whatever it is.
    let mut shown = with("agent_id", b"a");
    if let Json::Object(members) = &mut shown.value {
        members.insert("image_base64".to_owned(), "x".into());
    }
    assert!(matches!(screenshot(shown), Reading::Event((None, _))));
}

#[test]
fn a_host_must_be_text() {
    for value in [Json::from(7), Json::list(["h"]), "".into()] {
        let event = payload([("agent_id", "a".into()), ("hostname", value)]);
        let Reading::Event(event) = collector_status(&event, LONGEST_TEXT) else {
            panic!("no event")
        };
        assert_eq!(event.hostname, None);
    }
}

#[test]
fn results_have_an_id_a_word_and_texts() {
    let read = |id: Json, status: Json, stdout: Json| {
        quick_job_result(&payload([("job_id", id), ("status", status), ("stdout", stdout)]))
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
    assert_eq!(read(12.into(), "ok".into(), 1e16.into()), result("ok", "1.0e+16"));
    assert_eq!(read(12.into(), "ok".into(), f64::NAN.into()), result("ok", ""));
    assert_eq!(read(12.9.into(), "  ".into(), Json::Null), result("Failed", ""));
    assert_eq!(read(12.into(), Json::Null, true.into()), result("Failed", "1"));
    assert_eq!(read(12.into(), 5.into(), Json::Null), Reading::Unusable);
    assert_eq!(read(12.into(), "ok".into(), Json::list([1])), Reading::Nothing);
    for id in [Json::from("31.9"), "x".into(), Json::list([1])] {
        assert_eq!(read(id, 5.into(), Json::Null), Reading::Nothing);
    }
    for id in [Json::BigInt("9".repeat(20)), 1e300.into(), "9".repeat(20).into()] {
        assert_eq!(read(id.clone(), 5.into(), Json::Null), Reading::Unusable);
        assert_eq!(read(id, "ok".into(), Json::Null), Reading::Nothing);
    }
}

/// Anything, mostly an object of members that the events have.
fn any_event() -> impl Strategy<Value = Json> {
    let names = [
        "agent_id",
        "hostname",
        "agent_operating_system",
        "last_user",
        "last_seen",
        "job_id",
        "status",
        "stdout",
        "stderr",
        "image_base64",
        "node_id",
    ];
    let value = prop_oneof![
        2 => any_json(),
        3 => "\\PC{0,8}".prop_map(Json::from),
        1 => (LONGEST_TEXT - 1..LONGEST_TEXT + 2).prop_map(|length| "x".repeat(length).into()),
        1 => any::<i64>().prop_map(Json::from),
        1 => Just(attachment()),
    ];
    let named = proptest::option::of(Just(("agent_id", Json::from("a"))));
    let members = (
        named,
        proptest::collection::vec((select(Vec::from(names)), value), 0..8),
    )
        .prop_map(|(named, members)| {
            let members = named.into_iter().chain(members);
            Json::Object(Json::members(members))
        });
    prop_oneof![1 => any_json(), 6 => members]
}

fn attachments() -> impl Strategy<Value = Vec<Bytes>> {
    proptest::collection::vec("[0-9]{0,2}".prop_map(Bytes::from), 0..2)
}

fn fits(text: &str) -> bool {
    (1..=LONGEST_TEXT).contains(&text.len())
}

proptest! {
    #[test]
    fn events_of_an_agent_agree_on_who_sends_them_and_keep_no_long_texts(value in any_event(), bytes in attachments()) {
        let value = Payload { value, attachments: bytes };
        let who = request_config(&value, LONGEST_TEXT);
        if let Reading::Event(id) = &who {
            prop_assert!(fits(id));
            prop_assert_eq!(Some(id.as_str()), value.value.get("agent_id").and_then(Json::as_text));
        }
        prop_assert_eq!(&connect_agent(&value, LONGEST_TEXT).map(|event| event.agent_id), &who);
        prop_assert_eq!(&agent_heartbeat(&value, LONGEST_TEXT).map(|event| event.agent_id), &who);
        prop_assert_eq!(&collector_status(&value, LONGEST_TEXT).map(|event| event.agent_id), &who);
        if let Reading::Event(event) = agent_heartbeat(&value, LONGEST_TEXT) {
            prop_assert!(event.hostname.is_none_or(|name| fits(&name)));
            let system = event.operating_system;
            prop_assert!(system.as_ref().is_none_or(|system| value.attachment(system).is_none()));
            prop_assert!(system.is_none_or(|system| fits(&column_text(&system))));
        }
        if let Reading::Event(event) = collector_status(&value, LONGEST_TEXT) {
            prop_assert!(event.hostname.is_none_or(|name| fits(&name)));
            prop_assert!(event.last_user.is_none_or(|name| fits(&name)));
        }
    }

    #[test]
    fn a_result_has_the_number_that_was_sent_and_a_status(value in any_event(), bytes in attachments()) {
        let sent = Payload { value: value.clone(), attachments: bytes };
        let integer = value.get("job_id").and_then(integer_of);
        let number = integer.and_then(|id| i64::try_from(id).ok());
        let status = value.get("status").filter(|status| sent.is_truthy(status));
        match quick_job_result(&sent) {
            Reading::Event(result) => {
                prop_assert_eq!(Some(result.job_id), number);
                let said = status.map(Json::python_text).filter(|status| !status.is_empty());
                prop_assert_eq!(result.status, said.unwrap_or("Failed".to_owned()));
            }
            Reading::Unusable => prop_assert!(integer.is_some() && status.is_some_and(|status| status.as_text().is_none())),
            Reading::Nothing => {
                let has_no_output = |name| output(value.get(name).filter(|value| sent.is_truthy(value))).is_none();
                prop_assert!(number.is_none() || has_no_output("stdout") || has_no_output("stderr"));
            }
        }
    }

    #[test]
    fn what_is_passed_on_is_what_was_sent(value in any_event()) {
        let sent = Payload { value, attachments: vec![Bytes::from_static(b"x")] };
        let agent_id = sent.value.get("agent_id");
        let named = agent_id.and_then(Json::as_text);
        let is_object = sent.members().is_some();
        match screenshot(sent.clone()) {
            Reading::Event((id, shown)) => {
                prop_assert_eq!(id.as_deref(), named);
                prop_assert_eq!(shown.value.as_object().unwrap().len(), 2);
                prop_assert_eq!(shown.value.get("agent_id"), agent_id);
                prop_assert_eq!(shown.value.get("image_base64"), sent.value.get("image_base64"));
                prop_assert_eq!(shown.attachments, sent.attachments.clone());
            }
            Reading::Unusable => prop_assert!(!is_object || matches!(agent_id, Some(Json::List(_) | Json::Object(_)))),
            Reading::Nothing => prop_assert!(is_object),
        }
        prop_assert_eq!(macro_status(&sent), if is_object { Reading::Event(named) } else { Reading::Unusable });
        match agent_screenshot_task(&sent) {
            Reading::Event(id) => prop_assert_eq!(id, named),
            Reading::Unusable => prop_assert!(!is_object),
            Reading::Nothing => prop_assert!(is_object),
        }
    }

    #[test]
    fn every_64_bit_last_seen_is_kept(time in any::<i64>()) {
        prop_assume!(time != 0);
        prop_assert_eq!(beat(time.into()), LastSeen::At(time.into()));
        prop_assert_eq!(beat(time.to_string().into()), LastSeen::At(time.into()));
    }
}
