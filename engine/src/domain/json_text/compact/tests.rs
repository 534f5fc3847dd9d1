use proptest::prelude::*;

use super::*;
use crate::domain::{
    arbitrary::any_json,
    json::Json,
    json_reader::read_text,
    json_text::{column_text, compact_text, wire_text},
};

fn compact(stored: &str) -> Option<(String, Shape)> {
    let mut text = String::from("before");
    let shape = push_compact(&mut text, stored);
    let appended = text.strip_prefix("before").unwrap().to_owned();
    if shape.is_none() {
        assert_eq!(appended, "", "{stored}");
    }
    Some((appended, shape?))
}

fn check(stored: &str) -> Result<(), TestCaseError> {
    if let Some((text, shape)) = compact(stored) {
        let value = read_text(stored).map_err(|_| TestCaseError::fail(format!("no JSON: {stored:?}")))?;
        prop_assert_eq!(text, compact_text(&value));
        prop_assert!(value.is_finite());
        let of_value = match value {
            Json::List(_) => Shape::List,
            Json::Object(_) => Shape::Object,
            _ => Shape::Scalar,
        };
        prop_assert_eq!(shape, of_value);
    }
    Ok(())
}

#[test]
fn what_agents_report_takes_no_reader() {
    for (stored, text) in [
        ("[]", "[]"),
        (" { } ", "{}"),
        (
            r#"[{"slot": "A \u00ae\ud83d\ude00 \"1\"", "speed": 3200, "capacity": 8.50, "a": {"z": null, "b": [true, false, -1]}}]"#,
            r#"[{"a":{"b":[true,false,-1],"z":null},"capacity":8.5,"slot":"A \u00ae\ud83d\ude00 \"1\"","speed":3200}]"#,
        ),
        (r#"{"b":"\/","a b":0,"a":1E2}"#, r#"{"a":100.0,"a b":0,"b":"/"}"#),
    ] {
        let (appended, _) = compact(stored).unwrap_or_else(|| panic!("{stored}"));
        assert_eq!(appended, text);
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_left_to_the_reader() {
    let deep = format!("{}{}", "[".repeat(17), "]".repeat(17));
    for stored in [
        "",
        "[",
        "[1,]",
        "[1] 2",
        "{\"a\": 1, \"a\": 2}",
        "{\"b\": 1, \"a\": 2, \"b\": 3}",
        "{\"\\u00e9\": 1}",
        "[\"\u{e9}\"]",
        "[\"\\u00E9\"]",
        "[\"\\u0041\"]",
        "[\"\\ud83d\"]",
        "[\"\\ude00\"]",
        "[\"\n\"]",
        "[\"\u{7f}\"]",
        "[NaN]",
        "[Infinity]",
        "[1e999]",
        "[-0]",
        "[01]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[--1]",
        "[1234567890123456789]",
        "nul",
        &deep,
    ] {
        assert_eq!(compact(stored), None, "{stored}");
    }
}

/// Pieces of JSON in any order: now and then they are some.
fn pieces() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        " ",
        "\"a\"",
        "\"b\"",
        "\"\\u00e9\"",
        "\"\\/\"",
        "\"",
        "\\",
        "\\ud83d",
        "\\ude00",
        "0",
        "-0",
        "-1",
        "12",
        "1.50",
        "1e5",
        "1E-7",
        ".",
        "e",
        "true",
        "null",
        "NaN",
        "\u{e9}",
        "\n",
    ]);
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn it_says_what_the_reader_and_the_writer_say(value in any_json(), stored in pieces()) {
        check(&column_text(&value))?;
        check(&wire_text(&value))?;
        check(&compact_text(&value))?;
        check(&stored)?;
    }

    #[test]
    fn members_with_plain_names_come_sorted(
        objects in proptest::collection::vec(
            proptest::collection::hash_map("[a-c ]{0,3}", "[ -~]{0,5}", 0..6), 0..4),
    ) {
        let value = Json::list(objects.into_iter().map(|members| {
            Json::Object(members.into_iter().map(|(name, text)| (name, text.into())).collect())
        }));
        let stored = column_text(&value);
        prop_assert_eq!(compact(&stored), Some((compact_text(&value), Shape::List)));
    }
}
