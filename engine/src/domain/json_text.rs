//! JSON text as the legacy stores it in columns: members in the order they came, blanks after commas and colons,
//! nothing but ASCII.

use std::fmt::Write;

use super::{json::Json, text::python_float};

/// The text form of a value in a column.
pub fn column_text(value: &Json) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

// The depth is that of a value the reader accepted, so recursion is bounded.
fn write_value(text: &mut String, value: &Json) {
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(true) => text.push_str("true"),
        Json::Bool(false) => text.push_str("false"),
        Json::Int(number) => text.push_str(&number.to_string()),
        Json::BigInt(digits) => text.push_str(digits),
        Json::Float(number) => text.push_str(&float(*number)),
        Json::Text(string) => write_string(text, string),
        Json::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                write_value(text, item);
            }
            text.push(']');
        }
        Json::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                write_string(text, name);
                text.push_str(": ");
                write_value(text, member);
            }
            text.push('}');
        }
    }
}

/// A float as Python's JSON writer prints it.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        python_float(number)
    }
}

/// A text as a JSON string of nothing but ASCII, quotes included.
pub(crate) fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a text cannot fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_keeps_the_order_and_escapes_what_is_no_ascii() {
        let value = Json::object([
            (
                "z",
                Json::list([Json::Null, 1e21.into(), (-0.0).into(), true.into()]),
            ),
            ("a/", "\u{e9}\u{1f600}".into()),
            ("n", Json::BigInt("1".repeat(25))),
            ("o", Json::object::<&str, 0>([])),
        ]);
        assert_eq!(
            column_text(&value),
            format!(
                "{{\"z\": [null, 1e+21, -0.0, true], \"a/\": \"\\u00e9\\ud83d\\ude00\", \"n\": {}, \"o\": {{}}}}",
                "1".repeat(25)
            )
        );
    }
}
