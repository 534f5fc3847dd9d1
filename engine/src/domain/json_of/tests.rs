use proptest::prelude::*;
use serde::Serialize;

use super::*;
use crate::domain::arbitrary::any_json;

#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    missing: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<i64>,
    numbers: (u64, f64),
    #[serde(flatten)]
    more: Flattened,
}

#[derive(Serialize)]
struct Flattened {
    state: State,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    NotReady,
}

#[test]
fn fields_keep_their_names_and_their_order() {
    let answer = Answer {
        text: "é",
        missing: None,
        left_out: None,
        numbers: (u64::MAX, f64::INFINITY),
        more: Flattened {
            state: State::NotReady,
        },
    };
    let numbers = Json::list([Json::BigInt(u64::MAX.to_string()), Json::Float(f64::INFINITY)]);
    let expected = Json::object([
        ("text", "é".into()),
        ("missing", Json::Null),
        ("numbers", numbers),
        ("state", "not_ready".into()),
    ]);
    let found = Json::of(&answer);
    assert_eq!(found, expected);
    assert!(
        found
            .as_object()
            .unwrap()
            .keys()
            .eq(expected.as_object().unwrap().keys())
    );
}

proptest! {
    #[test]
    fn a_value_is_written_as_itself(value in any_json()) {
        prop_assert_eq!(format!("{:?}", Json::of(&value)), format!("{value:?}"));
    }
}
