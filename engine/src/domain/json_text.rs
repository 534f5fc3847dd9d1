//! JSON text as the legacy writes it, in columns and in answers: nothing but ASCII, numbers as Python prints them.

mod compact;
mod written;

use std::fmt::Write;

pub use compact::{Shape, push_compact};
pub use written::{column_text_of, compact_text_of};

use super::{json::Json, text::python_float};

/// What differs between the legacy's forms.
#[derive(Clone, Copy)]
struct Layout {
    comma: &'static str,
    colon: &'static str,
    sorted: bool,
}

/// The text form of a value in a column: members in the order they came, blanks after commas and colons.
pub fn column_text(value: &Json) -> String {
    text_of(value, COLUMN)
}

/// The text form of a value in an answer or a cookie: members sorted by code point, no blanks.
pub fn compact_text(value: &Json) -> String {
    text_of(value, COMPACT)
}

/// Appends [`compact_text`].
pub fn push_compact_text(text: &mut String, value: &Json) {
    write_value(text, value, COMPACT);
}

/// Appends [`compact_text`] of a text.
pub fn push_compact_string(text: &mut String, string: &str) {
    write_string(text, string);
}

/// The text form of a value in an event: members in the order they came, no blanks.
pub fn wire_text(value: &Json) -> String {
    text_of(value, WIRE)
}

/// Appends [`wire_text`], which may be long, without a copy.
pub fn push_wire_text(text: &mut String, value: &Json) {
    write_value(text, value, WIRE);
}

/// The text form of a value in a file that people read: a line for each member and item, two blanks a level.
pub fn indented_text(value: &Json) -> String {
    let mut text = String::new();
    write_indented(&mut text, value, 0);
    text
}

fn write_indented(text: &mut String, value: &Json, depth: usize) {
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    match value {
        Json::List(items) if !items.is_empty() => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(text, depth + 1);
                write_indented(text, item, depth + 1);
            }
            line(text, depth);
            text.push(']');
        }
        Json::Object(members) if !members.is_empty() => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(text, depth + 1);
                write_string(text, name);
                text.push_str(": ");
                write_indented(text, member, depth + 1);
            }
            line(text, depth);
            text.push('}');
        }
        flat => write_value(text, flat, WIRE),
    }
}

const COLUMN: Layout = Layout {
    comma: ", ",
    colon: ": ",
    sorted: false,
};

const COMPACT: Layout = Layout {
    comma: ",",
    colon: ":",
    sorted: true,
};

const WIRE: Layout = Layout {
    comma: ",",
    colon: ":",
    sorted: false,
};

fn text_of(value: &Json, layout: Layout) -> String {
    let mut text = String::new();
    write_value(&mut text, value, layout);
    text
}

// The depth is that of a value the reader accepted or the code built, so recursion is bounded.
fn write_value(text: &mut String, value: &Json, layout: Layout) {
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(true) => text.push_str("true"),
        Json::Bool(false) => text.push_str("false"),
        Json::Int(number) => {
            // Writing to a text cannot fail.
            let _ = write!(text, "{number}");
        }
        Json::BigInt(digits) => text.push_str(digits),
        Json::Float(number) => text.push_str(&float(*number)),
        Json::Text(string) => write_string(text, string),
        Json::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(layout.comma);
                }
                write_value(text, item, layout);
            }
            text.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if layout.sorted {
                // Texts compare byte by byte, which for UTF-8 is the order of code points.
                members.sort_unstable_by_key(|(name, _)| *name);
            }
            text.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push_str(layout.comma);
                }
                write_string(text, name);
                text.push_str(layout.colon);
                write_value(text, member, layout);
            }
            text.push('}');
        }
    }
}

/// A float as Python's JSON writer prints it.
fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        python_float(number)
    }
}

/// A text as a JSON string of nothing but ASCII, quotes included.
fn write_string(text: &mut String, string: &str) {
    text.push('"');
    if string
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
    {
        text.push_str(string);
        text.push('"');
        return;
    }
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
    fn a_file_has_a_line_for_each_member_and_item() {
        let value = Json::object([
            ("b", Json::list([Json::from(1), Json::list([Json::Null])])),
            ("a", Json::object([("\u{e9}", Json::list::<Json>([]))])),
            ("e", Json::object::<&str, 0>([])),
        ]);
        assert_eq!(
            indented_text(&value),
            "{\n  \"b\": [\n    1,\n    [\n      null\n    ]\n  ],\n  \"a\": {\n    \"\\u00e9\": []\n  },\n  \"e\": {}\n}"
        );
    }

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
