use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

fn parse(text: &str) -> Result<Packet<Value>, Malformed> {
    Packet::parse(text, usize::MAX)
}

fn kind(text: &str) -> Result<Kind<Value>, Malformed> {
    parse(text).map(|packet| packet.kind)
}

fn event(id: Option<&str>, data: Value, attachments: Option<usize>) -> Result<Kind<Value>, Malformed> {
    Ok(Kind::Message {
        message: Carried::Event {
            id: id.map(str::to_owned),
            data: Some(data),
        },
        attachments,
    })
}

#[test]
fn packets_are_read() {
    assert_eq!(kind("2[\"x\"]"), event(None, json!(["x"]), None));
    assert_eq!(kind("2007[\"x\"]"), event(Some("7"), json!(["x"]), None));
    assert_eq!(kind("20[\"a-b\"]"), event(Some("0"), json!(["a-b"]), None));
    assert_eq!(kind("0"), Ok(Kind::Connect(None)));
    assert_eq!(
        kind("0{\"token\":1}"),
        Ok(Kind::Connect(Some(json!({"token": 1}))))
    );
    assert_eq!(kind("1"), Ok(Kind::Disconnect));
    assert_eq!(kind("4\"x\""), Ok(Kind::Other));
    assert_eq!(kind("9"), Ok(Kind::Other));
    assert_eq!(kind("52-3[1]"), event(Some("3"), json!([1]), Some(2)));
    assert_eq!(kind("53[1]"), event(Some("3"), json!([1]), Some(0)));
    let acknowledged = Kind::Message {
        message: Carried::Acknowledgement {
            number: Some(12),
            data: Some(json!([])),
        },
        attachments: Some(1),
    };
    assert_eq!(kind("61-12[]"), Ok(acknowledged));
    let namespace = |text: &str| parse(text).unwrap().namespace;
    assert_eq!(namespace("2/a?b=1,[\"x\"]"), "/a");
    assert_eq!(namespace("0/other"), "/other");
    assert_eq!(namespace("0"), "/");
    let long = |length: usize| kind(&format!("0/{},", "a".repeat(length - 1)));
    assert_eq!(long(255), Ok(Kind::Connect(None)));
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
    let few = Packet::<Value>::parse("2[\"x\",1,2,3,4,5,6,7,8,9]", 5);
    assert_eq!(few, Err(Malformed::TooManyValues));
}

#[test]
fn the_protocol_wants_more_of_a_packet_than_that_it_can_be_read() {
    for text in [
        "0",
        "0{}",
        "0/a,{\"b\":1}",
        "1",
        "2[\"x\"]",
        "2[\"x\",null,[]]",
        "37[]",
        "51-[\"x\"]",
        "61-7[1]",
    ] {
        assert!(parse(text).unwrap().is_strict(), "{text}");
    }
    for text in [
        "0[]",
        "0\"x\"",
        "2",
        "2{}",
        "2[]",
        "2[5]",
        "2[\"connect\"]",
        "2[\"disconnecting\",1]",
        "3[]",
        "37",
        "37{}",
        "4{}",
        "7",
    ] {
        assert!(!parse(text).unwrap().is_strict(), "{text}");
    }
}

#[test]
fn packets_are_written_with_namespace_number_and_attachments() {
    let write = |text: &mut String| text.push_str("[\"e\"]");
    let packet = |namespace, id, attachments| Packets::with_json(2, namespace, id, attachments, write);
    assert_eq!(packet("/", None, Vec::new()).frames(), [Frame::text("42[\"e\"]")]);
    assert_eq!(
        packet("/a", Some("7"), Vec::new()).frames(),
        [Frame::text("42/a,7[\"e\"]")]
    );
    assert_eq!(
        packet("/a", None, vec![Bytes::from_static(b"x")]).frames(),
        [
            Frame::text("451-/a,[\"e\"]"),
            Frame::Binary(Bytes::from_static(b"x"))
        ]
    );
    assert_eq!(Packets::control(0, "/", "{}").frames(), [Frame::text("40{}")]);
}

/// A text of the parts that a packet has; each may be missing or wrong.
fn any_parts() -> impl Strategy<Value = String> {
    let namespace = prop_oneof![4 => "(/[a-z?/]{0,6},?)?", 1 => "/[a-z]{250,260},"];
    let data = prop_oneof![
        4 => "\\PC{0,5}".prop_map(|name| json!([name, 1.5, {"a": null}]).to_string()),
        4 => select(&["", "{\"a\":[]}", "[]", "[7]", "[\"connect\"]", "\"x\"", "-5", "[", "\u{e9}"]).prop_map(str::to_owned),
    ];
    ("[0-9]?", "([0-9]{1,12}-)?", namespace, "[0-9]{0,4}", data)
        .prop_map(|(kind, count, namespace, id, data)| [kind, count, namespace, id, data].concat())
}

/// The one way in which a packet that is as the protocol says is written.
fn written(packet: &Packet<Value>) -> String {
    let json = |data: &Option<Value>| data.as_ref().map(Value::to_string).unwrap_or_default();
    let (kind, attachments, rest) = match &packet.kind {
        Kind::Connect(data) => (CONNECT, None, json(data)),
        Kind::Disconnect => (DISCONNECT, None, String::new()),
        Kind::Message { message, attachments } => match message {
            Carried::Event { id, data } => {
                (EVENT, *attachments, id.clone().unwrap_or_default() + &json(data))
            }
            Carried::Acknowledgement { number, data } => (
                ACK,
                *attachments,
                number.map(|number| number.to_string()).unwrap_or_default() + &json(data),
            ),
        },
        Kind::Other => panic!("{packet:?}"),
    };
    let mut text = match attachments {
        None => kind.to_string(),
        Some(count) => format!("{}{count}-", kind + BINARY),
    };
    push_namespace(&mut text, &packet.namespace);
    text + &rest
}

proptest! {
    #[test]
    fn a_packet_begins_with_its_type(text in "\\PC*") {
        let read = parse(&text);
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            prop_assert_eq!(read, Err(Malformed::NoPacket));
        }
    }

    #[test]
    fn what_is_read_obeys_the_bounds_and_what_the_protocol_allows_is_written_in_one_way(text in any_parts()) {
        let Ok(packet) = parse(&text) else { return Ok(()) };
        let namespace = &packet.namespace;
        prop_assert!(namespace.starts_with('/') && namespace.len() <= LONGEST_NAMESPACE, "{}", namespace);
        prop_assert!(!namespace.contains([',', '?']), "{}", namespace);
        if let Kind::Message { message: Carried::Event { id: Some(id), .. }, .. } = &packet.kind {
            prop_assert!(id == "0" || !id.starts_with('0'), "{}", id);
            prop_assert!(!id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit()), "{}", id);
        }
        if packet.is_strict() {
            prop_assert_eq!(parse(&written(&packet)), Ok(packet));
        }
    }

    #[test]
    fn what_is_written_reads_back(
        namespace in "/[a-z]{0,5}",
        id in prop::option::of(0..1000_u64),
        argument in "\\PC*",
    ) {
        let id = id.map(|id| id.to_string());
        let data = json!(["e", argument]);
        let packets = Packets::with_json(2, &namespace, id.as_deref(), Vec::new(), |text| data.write(text));
        let [Frame::Text(text)] = packets.frames() else { panic!("{packets:?}") };
        let packet = parse(text.get(1..).unwrap()).unwrap();
        prop_assert_eq!(packet.namespace, namespace);
        prop_assert_eq!(packet.kind, event(id.as_deref(), data, None).unwrap());
    }
}
