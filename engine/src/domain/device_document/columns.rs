//! The columns of JSON. What is unreadable, or of another shape than its column's, counts as empty; so do `NaN` and the
//! infinities: passed on, they would make an answer that is no JSON (INV-13).

use crate::domain::{
    json::{Json, JsonObject},
    json_reader,
    json_text::{Shape, push_compact, push_compact_text},
};

/// What a column of a list holds.
pub(super) fn list(column: Option<&str>) -> Vec<Json> {
    match read_column(column) {
        Some(Json::List(items)) => items,
        _ => Vec::new(),
    }
}

/// What a column of an object holds.
pub(super) fn object(column: Option<&str>) -> JsonObject {
    match read_column(column) {
        Some(Json::Object(members)) => members,
        _ => JsonObject::new(),
    }
}

fn read_column(column: Option<&str>) -> Option<Json> {
    json_reader::read_stored_text(column?)
        .ok()
        .filter(Json::is_finite)
}

/// Appends what a column of a list holds, as answers say it.
pub fn push_list(text: &mut String, column: Option<&str>) {
    push(text, column, Shape::List);
}

/// Appends what a column of an object holds, as answers say it.
pub fn push_object(text: &mut String, column: Option<&str>) {
    push(text, column, Shape::Object);
}

fn push(text: &mut String, column: Option<&str>, wanted: Shape) {
    let before = text.len();
    match push_compact(text, column.unwrap_or_default()) {
        Some(shape) if shape == wanted => {}
        Some(_) => {
            text.truncate(before);
            text.push_str(if wanted == Shape::List { "[]" } else { "{}" });
        }
        None if wanted == Shape::List => push_compact_text(text, &list(column).into()),
        None => push_compact_text(text, &object(column).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_costs_nothing_but_itself() {
        assert_eq!(
            list(Some(
                r#"[{"name": "A"}, {"name": "bad \ud83d"}, {"name": "C\u0000"}]"#
            )),
            ["A", "bad \u{fffd}", "C\0"].map(|name| Json::object([("name", name.into())]))
        );
    }

    #[test]
    fn a_column_says_the_same_with_and_without_the_reader() {
        for column in [
            None,
            Some(""),
            Some("{oops"),
            Some("null"),
            Some("5"),
            Some("[1, {\"b\": 1, \"a\": [2.50]}]"),
            Some("{\"b\": 1, \"a\": [2.50]}"),
            Some("[\"\u{e9}\", {\"a\": 1, \"a\": 2}]"),
            Some("{\"\u{e9}\": 1, \"a\": 1}"),
            Some("[NaN]"),
            Some("{\"a\": Infinity}"),
            Some("[\"\\ud83d\\u0000\"]"),
            Some("{\"\\ude00\": \"\\ud83d\\ude00\"}"),
        ] {
            let written = |push: fn(&mut String, Option<&str>)| {
                let mut text = String::new();
                push(&mut text, column);
                text
            };
            let read = |value: Json| {
                let mut text = String::new();
                push_compact_text(&mut text, &value);
                text
            };
            assert_eq!(written(push_list), read(list(column).into()), "{column:?}");
            assert_eq!(written(push_object), read(object(column).into()), "{column:?}");
        }
    }
}
