use proptest::prelude::*;

use super::{
    merge::{ShapesDiffer, merge},
    *,
};
use crate::domain::{
    arbitrary::any_json,
    json::{Json, JsonObject},
    json_reader::{object, read_text},
};

fn merged(known: &str, report: &str) -> Result<JsonObject, ShapesDiffer> {
    let mut known = object(known);
    merge(&mut known, object(report)).map(|()| known)
}

#[test]
fn empties_keep_and_everything_else_replaces() {
    assert_eq!(
        merged(
            r#"{"a": [1], "b": "x", "c": {"d": 1, "e": 2}, "f": [1]}"#,
            r#"{"a": [], "b": "", "c": {"d": 0, "g": false, "e": null}, "f": "wiped", "h": null}"#
        ),
        Ok(object(
            r#"{"a": [1], "b": "x", "c": {"d": 0, "e": 2, "g": false}, "f": "wiped"}"#
        ))
    );
}

#[test]
fn an_object_goes_into_an_object_or_into_nothing() {
    assert_eq!(
        merged(
            r#"{"a": [], "b": "", "c": null}"#,
            r#"{"a": {"x": 1}, "b": {}, "c": {"y": []}}"#
        ),
        Ok(object(r#"{"a": {"x": 1}, "b": {}, "c": {}}"#))
    );
    for known in [r#"{"a": [1]}"#, r#"{"a": "x"}"#, r#"{"a": 7}"#] {
        assert_eq!(merged(known, r#"{"a": {}}"#), Err(ShapesDiffer), "{known}");
    }
}

fn columns(document: &str) -> DeviceUpsert {
    DeviceUpsert::from_document("WIN-1", None, &object(document), 9)
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_first_name_that_is_not_falsy_counts() {
    let device = columns(
        r#"{"summary": {"type": "Server", "public_ip": "1.1.1.1", "private_ip": "2.2.2.2", "last_boot": "b",
            "username": "u", "last_user_name": "n", "agent_operating_system": "A", "os": "B", "uptime_seconds": "55",
            "remote_type": "ssh", "address": "h", "cpu": {"name": "s"}}, "cpu": {"name": "d"}}"#,
    );
    assert_eq!(device.device_type, text("Server"));
    assert_eq!(device.external_ip, text("1.1.1.1"));
    assert_eq!(device.internal_ip, text("2.2.2.2"));
    assert_eq!(device.last_reboot, text("b"));
    assert_eq!(device.last_user, text("n"));
    assert_eq!(device.operating_system, text("A"));
    assert_eq!(device.uptime, Some(55));
    assert_eq!(device.connection_type, text("ssh"));
    assert_eq!(device.connection_endpoint, text("h"));
    assert_eq!(device.cpu, r#"{"name": "s"}"#);
    assert_eq!(device.created_at, 9);
}

#[test]
fn scalars_become_text_and_what_is_no_integer_is_left_out() {
    let device = columns(
        r#"{"summary": {"device_type": 5, "domain": true, "last_user": 1.5, "operating_system": ["a", 1],
            "agent_id": "  ", "uptime_sec": "12.5", "last_seen": 1650000001.9},
            "memory": "text", "network": {"a": 1}, "cpu": 5}"#,
    );
    assert_eq!(device.device_type, text("5"));
    assert_eq!(device.domain, text("True"));
    assert_eq!(device.last_user, text("1.5"));
    assert_eq!(device.operating_system, text("['a', 1]"));
    assert_eq!(device.agent_id, None);
    assert_eq!((device.uptime, device.last_seen), (None, Some(1_650_000_001)));
    assert_eq!(
        (device.memory.as_str(), device.network.as_str()),
        ("[]", r#"{"a": 1}"#)
    );
    assert_eq!(device.cpu, "{}");
}

#[test]
fn falsy_scalars_are_values_where_no_other_name_has_one() {
    let device = columns(
        r#"{"summary": {"domain": false, "agent_id": 0, "ansible_ee_ver": 0.0, "device_type": "", "type": 0,
            "public_ip": 0, "private_ip": 0, "last_boot": 0, "username": false, "os": 0, "uptime": 0}}"#,
    );
    assert_eq!(device.domain, text("False"));
    assert_eq!(device.agent_id, text("0"));
    assert_eq!(device.ansible_ee_ver, text("0.0"));
    for column in [
        &device.device_type,
        &device.external_ip,
        &device.internal_ip,
        &device.last_reboot,
        &device.operating_system,
    ] {
        assert_eq!(*column, text("0"));
    }
    assert_eq!(device.last_user, text("False"));
    assert_eq!(device.uptime, Some(0));
    // An address is the last name of the endpoint, but of none that comes before it.
    assert_eq!(device.connection_endpoint, None);
    let device = columns(
        r#"{"summary": {"domain": {}, "internal_ip": 0, "device_type": 0, "operating_system": 0,
            "os": null, "external_ip": 0, "public_ip": "", "uptime_sec": 0}}"#,
    );
    assert_eq!(device.domain, text("{}"));
    assert_eq!(device.connection_endpoint, text("0"));
    let others = [&device.internal_ip, &device.device_type, &device.operating_system];
    assert_eq!(others, [&None; 3], "the last name decides, and is none");
    assert_eq!((device.external_ip, device.uptime), (None, None));
}

#[test]
fn an_integer_that_no_column_holds_is_told() {
    let big = "99999999999999999999";
    for (summary, is_held) in [
        (format!(r#"{{"uptime_sec": {big}}}"#), false),
        (format!(r#"{{"uptime_sec": 0, "uptime": "-{big}"}}"#), false),
        (format!(r#"{{"uptime_sec": 1, "uptime": {big}}}"#), true),
        (r#"{"last_seen": 1e30}"#.to_owned(), false),
        (r#"{"last_seen": 9223372036854775808}"#.to_owned(), false),
        (r#"{"last_seen": 9223372036854775807}"#.to_owned(), true),
        (format!(r#"{{"last_seen": {big}.5, "domain": {big}}}"#), false),
        (format!(r#"{{"last_seen": "{big}.5", "domain": {big}}}"#), true),
        ("5".to_owned(), true),
    ] {
        let document = object(&format!(r#"{{"summary": {summary}}}"#));
        assert_eq!(DeviceUpsert::holds_integers_of(&document), is_held, "{summary}");
    }
    assert!(DeviceUpsert::holds_integers_of(&JsonObject::new()));
}

#[test]
fn a_snapshot_shows_every_member() {
    let row = DeviceRow {
        guid: text("{aaaaaaaa-1111-4222-8333-444444444444}"),
        hostname: text(" WIN-1 "),
        domain: text(" LAB "),
        memory: text(r#"[{"slot": "A"}]"#),
        network: text("[NaN]"),
        cpu: text("[1]"),
        created_at: Some(1_600_000_000),
        uptime: Some(7),
        ..DeviceRow::default()
    };
    let document = DeviceSnapshot::from(&row).document();
    let expected = object(
        r#"{"summary": {"hostname": " WIN-1 ", "description": "", "agent_hash": "",
            "agent_guid": "AAAAAAAA-1111-4222-8333-444444444444", "agent_id": "", "device_type": "", "domain": "LAB",
            "external_ip": "", "internal_ip": "", "last_reboot": "", "last_user": "", "operating_system": "",
            "connection_type": "", "connection_endpoint": "", "ansible_ee_ver": "", "last_seen": 0, "uptime": 7,
            "uptime_sec": 7, "created_at": 1600000000, "created": "2020-09-13 12:26:40"},
            "memory": [{"slot": "A"}], "network": [], "software": [], "storage": [], "cpu": {}}"#,
    );
    assert_eq!(document, expected);
    for (created_at, created) in [(i64::MAX, ""), (253_402_300_799, "9999-12-31 23:59:59")] {
        let ages = DeviceSnapshot {
            created_at,
            ..DeviceSnapshot::default()
        };
        assert_eq!(ages.summary().get("created"), Some(&created.into()));
    }
}

fn any_object() -> impl Strategy<Value = JsonObject> {
    let name = prop_oneof![
        proptest::sample::select(vec![
            "summary",
            "memory",
            "cpu",
            "hostname",
            "last_seen",
            "uptime",
            "os",
            "cpu",
            "address",
            "external_ip",
        ])
        .prop_map(str::to_owned),
        "[a-c]",
    ];
    let member = prop_oneof![
        any_json(),
        proptest::collection::vec((name.clone(), any_json()), 0..6)
            .prop_map(|members| Json::Object(members.into_iter().collect())),
    ];
    proptest::collection::vec((name, member), 0..6).prop_map(|members| members.into_iter().collect())
}

proptest! {
    #[test]
    fn merging_twice_changes_nothing_more(known in any_object(), report in any_object()) {
        let mut once = known;
        if merge(&mut once, report.clone()).is_ok() {
            let mut twice = once.clone();
            prop_assert_eq!(merge(&mut twice, report), Ok(()));
            prop_assert_eq!(twice, once);
        }
    }

    #[test]
    fn any_document_becomes_columns(document in any_object(), now in any::<i64>()) {
        let device = DeviceUpsert::from_document("WIN-1", None, &document, now);
        for column in [&device.memory, &device.network, &device.software, &device.storage, &device.cpu] {
            prop_assert!(matches!(read_text(column), Ok(Json::List(_) | Json::Object(_))), "{}", column);
        }
        for text in [&device.domain, &device.agent_id, &device.connection_endpoint] {
            prop_assert!(text.as_deref().is_none_or(|text| !text.is_empty()));
        }
    }

    #[test]
    fn any_row_becomes_a_document(column in ".*", guid in ".*", number in any::<i64>()) {
        let row = DeviceRow {
            guid: Some(guid),
            memory: Some(column.clone()),
            cpu: Some(column),
            created_at: Some(number),
            ..DeviceRow::default()
        };
        let snapshot = DeviceSnapshot::from(&row);
        let device = DeviceUpsert::rewrite("WIN-1", Some(&snapshot), 1);
        prop_assert_eq!(read_text(&device.memory), Ok(Json::List(snapshot.memory)));
    }
}
