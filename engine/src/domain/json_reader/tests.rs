use proptest::prelude::*;

use super::*;
use crate::domain::{arbitrary::any_json, json_text::compact_text};

#[test]
fn values_are_read_as_python_reads_them() {
    for (text, value) in [
        (" null\n", Json::Null),
        ("-0", 0.into()),
        ("-0.0", (-0.0).into()),
        ("1E2", 100.0.into()),
        ("1e999", f64::INFINITY.into()),
        ("-Infinity", f64::NEG_INFINITY.into()),
        (
            "9223372036854775808",
            Json::BigInt("9223372036854775808".to_owned()),
        ),
        (r#""\ud83d\ude00\/\u00e9""#, "\u{1f600}/\u{e9}".into()),
        (
            "[1 , [ ] ,{ }]",
            Json::list([1.into(), Json::List(Vec::new()), Json::Object(JsonObject::new())]),
        ),
        (
            r#"{"b":1,"a":2,"b":3}"#,
            Json::object([("b", 3.into()), ("a", 2.into())]),
        ),
    ] {
        assert_eq!(read_text(text), Ok(value), "{text}");
    }
    assert!(matches!(read_text("NaN"), Ok(Json::Float(value)) if value.is_nan()));
}

#[test]
fn malformed_text_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "--1",
        "[1,]",
        "[,]",
        "[1 2]",
        "{",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1]",
        "'a'",
        "\"a",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "1 1",
        "[]]",
        "\u{a0}1",
        "nan",
    ] {
        assert_eq!(read_text(text), Err(Unparsable), "{text}");
    }
}

#[test]
fn what_is_no_character_is_replaced_where_that_is_asked_for() {
    for (text, value) in [
        (r#""a\ud83db""#, "a\u{fffd}b"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\u0000\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
    ] {
        assert_eq!(read_text_replacing(text), Ok(value.into()), "{text}");
        assert_eq!(read_replacing(text.as_bytes()), Ok(value.into()), "{text}");
    }
    for text in [r#""\ud83d\u00""#, r#""\ud83d\x""#, r#""\ud83"#, "\"\0\""] {
        assert_eq!(read_text_replacing(text), Err(Unparsable), "{text}");
    }
    assert_eq!(read_text(r#""\u0000""#), Ok("\0".into()));
}

#[test]
fn half_a_character_that_was_stored_is_replaced_and_all_else_stays() {
    for (text, value) in [
        (r#""a\ud83db""#, "a\u{fffd}b"),
        (r#""\u0000\ude00""#, "\0\u{fffd}"),
        (r#""\ud83d\ude00""#, "\u{1f600}"),
    ] {
        assert_eq!(read_stored_text(text), Ok(value.into()), "{text}");
        assert_eq!(read_stored(text.as_bytes()), Ok(value.into()), "{text}");
    }
    assert_eq!(read_stored_text(r#""\ud83d\u00""#), Err(Unparsable));
}

#[test]
fn encodings_are_detected() {
    let text = "{\"a\":\"\u{e9}\u{1f600}\"}";
    let value = Json::object([("a", "\u{e9}\u{1f600}".into())]);
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let utf32: Vec<u32> = text.chars().map(u32::from).collect();
    for body in [
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        utf32.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        utf32.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        [0xfeff]
            .iter()
            .chain(&utf16)
            .flat_map(|unit| unit.to_le_bytes())
            .collect(),
        [0xfeff]
            .iter()
            .chain(&utf16)
            .flat_map(|unit| unit.to_be_bytes())
            .collect(),
        [0xfeff]
            .iter()
            .chain(&utf32)
            .flat_map(|unit| unit.to_le_bytes())
            .collect(),
        [0xfeff]
            .iter()
            .chain(&utf32)
            .flat_map(|unit| unit.to_be_bytes())
            .collect(),
    ] {
        assert_eq!(read(&body), Ok(value.clone()), "{body:?}");
    }
    assert_eq!(read(b"1\0"), Ok(1.into()));
    assert_eq!(read(b"\"\xff\""), Err(Unparsable));
    assert_eq!(read(b"\"\xed\xa0\xbd\""), Err(Unparsable));
}

#[test]
fn depth_and_length_are_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read_text(&nested(1000)).is_ok());
    assert_eq!(read_text(&nested(1001)), Err(Unparsable));
    assert_eq!(read_text(&"[".repeat(1_000_000)), Err(Unparsable));
    assert_eq!(read_text(&"{\"a\":".repeat(100_000)), Err(Unparsable));
    assert!(read_text(&"9".repeat(4300)).is_ok());
    assert_eq!(read_text(&format!("-{}", "9".repeat(4301))), Err(Unparsable));
    assert_eq!(
        read_text(&format!("{}.5", "9".repeat(4301))),
        Ok(f64::INFINITY.into())
    );
}

#[test]
fn values_are_counted_however_they_are_nested() {
    let within = |text: &str, most| JsonReader::within(most).read_text(text);
    for (text, values) in [
        ("7", 1),
        ("[]", 1),
        ("[0,0,{}]", 4),
        (r#"{"a":[1,{"b":null}],"a":2}"#, 6),
    ] {
        assert!(within(text, values).is_ok(), "{text}");
        assert_eq!(within(text, values - 1), Err(Refused::TooManyValues), "{text}");
    }
    assert_eq!(within("[0,0", 9), Err(Refused::Unparsable));
    // Commas within strings are none.
    let text = r#"["a,b,c,d,e,f,g,h,i,\",,,,,,","\\",1]"#;
    assert!(within(text, 4).is_ok());
    assert_eq!(within(text, 3), Err(Refused::TooManyValues));
    assert_eq!(within(&"[".repeat(1_000_000), 10), Err(Refused::TooManyValues));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in any_json()) {
        prop_assert_eq!(read_text(&compact_text(&value)), Ok(value));
    }

    #[test]
    fn bytes_are_read_as_their_text_or_not_at_all(bytes in any::<Vec<u8>>()) {
        match decode(&bytes) {
            Ok(text) => prop_assert_eq!(read(&bytes), read_text(&text)),
            Err(error) => prop_assert_eq!(read(&bytes), Err(error)),
        }
    }

    #[test]
    fn what_another_reader_reads_is_read_alike_and_what_is_read_settles(
        text in "([\\[\\]{}\",:\\\\u0-9eE.+\\- a\u{e9}]|\\{\"a\":|\\\\ud83d|\\\\u00e9|\"b\"|null|true|\\[1,|-0|1e5){0,20}",
    ) {
        let read = read_text(&text);
        if let Ok(value) = &read {
            prop_assert_eq!(read_text(&compact_text(value)), Ok(value.clone()));
            // What has nothing odd in it has nothing that would be replaced.
            if !text.contains("\\u0000") {
                prop_assert_eq!(read_text_replacing(&text), Ok(value.clone()));
            }
        }
        // Python has no other words beside JSON's than these, none of which can come here.
        let other: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        prop_assert_eq!(read.is_ok(), other.is_some(), "{:?} and {:?}", read, other);
    }
}
