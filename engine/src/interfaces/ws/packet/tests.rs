use proptest::prelude::*;

use super::*;
use crate::domain::json_reader;

fn event(id: Option<&str>, json: &str) -> RawEvent {
    RawEvent {
        id: id.map(str::to_owned),
        data: json_reader::read_text(json).unwrap(),
    }
}

fn kind(text: &str) -> Result<Kind, Malformed> {
    Packet::parse(text, JsonReader::default()).map(|packet| packet.kind)
}

#[test]
fn packets_are_read_as_the_legacys_library_reads_them() {
    assert_eq!(kind("2[\"x\"]"), Ok(Kind::Event(event(None, "[\"x\"]"))));
    assert_eq!(kind("2007[\"x\"]"), Ok(Kind::Event(event(Some("7"), "[\"x\"]"))));
    assert_eq!(
        kind("20[\"a-b\"]"),
        Ok(Kind::Event(event(Some("0"), "[\"a-b\"]")))
    );
    assert_eq!(kind("0"), Ok(Kind::Connect));
    assert_eq!(kind("0{\"token\":1}"), Ok(Kind::Connect));
    assert_eq!(kind("1"), Ok(Kind::Disconnect));
    assert_eq!(kind("4\"x\""), Ok(Kind::Other));
    assert_eq!(kind("9"), Ok(Kind::Other));
    let binary = |attachments| Kind::Binary {
        event: Some(event(Some("3"), "[1]")),
        attachments,
    };
    assert_eq!(kind("52-3[1]"), Ok(binary(2)));
    assert_eq!(kind("53[1]"), Ok(binary(0)));
    let namespace = |text: &str| Packet::parse(text, JsonReader::default()).unwrap().namespace;
    assert_eq!(namespace("2/a?b=1,[\"x\"]"), "/a");
    assert_eq!(namespace("0/other"), "/other");
    assert_eq!(namespace("0"), "/");
    let long = |length: usize| kind(&format!("0/{},", "a".repeat(length - 1)));
    assert_eq!(long(255), Ok(Kind::Connect));
    assert_eq!(long(256), Err(Malformed::NoPacket));
}

#[test]
fn what_is_no_packet_is_malformed() {
    for text in ["", "x", "2{", "2[\"x\"", "-", "2\u{e9}"] {
        assert_eq!(kind(text), Err(Malformed::NoPacket), "{text:?}");
    }
    assert!(kind(&format!("2{}[1]", "1".repeat(100))).is_ok());
    assert_eq!(
        kind(&format!("2{}[1]", "1".repeat(101))),
        Err(Malformed::NoPacket)
    );
    assert_eq!(kind("512345678901-[1]"), Err(Malformed::NoPacket));
}

#[test]
fn an_event_has_a_name_and_arguments() {
    assert_eq!(
        event(None, "[\"x\",1]").parts(),
        Some(("x", &[Json::from(1)][..]))
    );
    for json in ["[]", "{}", "[5]", "null", "\"x\""] {
        assert_eq!(event(None, json).parts(), None, "{json}");
    }
}

fn frames(json: &str) -> Vec<Frame> {
    event_frames("e", &json_reader::read_text(json).unwrap().into())
}

#[test]
fn events_are_written_as_the_legacy_writes_them() {
    assert_eq!(
        frames("{\"z\": 1.50, \"a\": [1e3, 123456789012345678901234567890, \"\u{e9}\u{1f600}/\"]}"),
        [Frame::text(
            "42[\"e\",{\"z\":1.5,\"a\":[1000.0,123456789012345678901234567890,\"\\u00e9\\ud83d\\ude00/\"]}]"
        )]
    );
    assert_eq!(frames("null"), [Frame::text("42[\"e\"]")]);
    assert_eq!(frames("[]"), [Frame::text("42[\"e\",[]]")]);
    // Nothing came with it, so this is no placeholder.
    let alike = "{\"_placeholder\":true,\"num\":0}";
    assert_eq!(frames(alike), [Frame::text(format!("42[\"e\",{alike}]"))]);
}

#[test]
fn attachments_are_numbered_anew_and_the_unnamed_left_out() {
    let payload = Payload {
        value: json_reader::read_text(
            "[{\"_placeholder\":true,\"num\":2},{\"_placeholder\":true,\"num\":0}]",
        )
        .unwrap(),
        attachments: vec![
            Bytes::from_static(b"a"),
            Bytes::from_static(b"b"),
            Bytes::from_static(b"c"),
        ],
    };
    assert_eq!(
        event_frames("e", &payload),
        [
            Frame::text("452-[\"e\",[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]]"),
            Frame::Binary(Bytes::from_static(b"c")),
            Frame::Binary(Bytes::from_static(b"a")),
        ]
    );
    assert!(is_complete(&payload.value, 3));
    assert!(!is_complete(&payload.value, 2));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = Packet::parse(&text, JsonReader::default());
    }

    #[test]
    fn no_packet_like_text_panics(text in "[0-9]{0,3}(-|/|,|\\[|\"|[0-9]|\u{e9}|\\{){0,12}") {
        let _ = Packet::parse(&text, JsonReader::default());
    }

    #[test]
    fn what_is_sent_reads_back(value in crate::domain::arbitrary::any_json()) {
        prop_assume!(!value.is_null());
        let frames = event_frames("e", &value.clone().into());
        let [Frame::Text(text)] = frames.as_slice() else { panic!("{frames:?}") };
        let Kind::Event(event) = kind(text.get(1..).unwrap()).unwrap() else { panic!("{text}") };
        prop_assert_eq!(event.parts(), Some(("e", &[value][..])));
    }
}
