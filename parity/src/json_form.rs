//! How a JSON text is written, beside what it says: white space, escapes, and that no key stands twice.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The ways in which the servers write JSON: between members, between key and value, at the end.
const WAYS: [(&str, &str, &str, &str); 3] = [
    ("compact, a newline at the end", ",", ":", "\n"),
    ("a blank after each separator", ", ", ": ", ""),
    ("compact", ",", ":", ""),
];

/// Whether two values are equal and their members stand in one order, which `==` does not look at.
#[must_use]
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => same_members(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}

/// As [`same`], of the members of an object or the columns of a row.
#[must_use]
pub fn same_members(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((name, member), (other_name, other))| name == other_name && same(member, other))
}

/// The way in which `text`, which says `value`, is written; the text itself where it is written in none of the known
/// ways. Two texts with equal values and equal forms are equal.
#[must_use]
pub fn form(text: &str, value: &Value) -> String {
    let known = WAYS.iter().find(|(_, between, after_key, end)| {
        text.strip_suffix(end).is_some_and(|text| {
            let mut written = String::with_capacity(text.len());
            write(value, between, after_key, &mut written);
            written == text
        })
    });
    known.map_or_else(|| text.to_owned(), |(name, ..)| (*name).to_owned())
}

/// As [`form`], of a text whose values chance may give: where it is written in none of the known ways, what shows how it
/// is written. That is its keys, white space and escapes, and what is beyond ASCII; `*` stands for the rest of its texts and
/// `0` for the digits of its numbers.
#[must_use]
pub fn spelling(text: &str, value: &Value) -> String {
    let form = form(text, value);
    if form == text { skeleton(text) } else { form }
}

fn skeleton(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (part, after) = if first == '"' {
            text_and_rest(rest)
        } else {
            let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest.split_at(length.max(first.len_utf8()))
        };
        match first {
            '"' if after.trim_start().starts_with(':') => out.push_str(part),
            '"' => push_spelled(part, &mut out),
            '0'..='9' => out.push('0'),
            _ => out.push_str(part),
        }
        rest = after;
    }
    out
}

/// A text with its quotation marks, and what follows.
fn text_and_rest(text: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = text.char_indices().skip(1).find(|(_, character)| {
        let ends = *character == '"' && !is_escaped;
        is_escaped = *character == '\\' && !is_escaped;
        ends
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at + 1))
}

fn push_spelled(text: &str, out: &mut String) {
    let mut characters = text.chars();
    let mut is_plain = false;
    while let Some(character) = characters.next() {
        let was_plain = std::mem::take(&mut is_plain);
        match character {
            '\\' => {
                out.push(character);
                let escaped = characters.next();
                out.extend(escaped);
                if escaped == Some('u') {
                    out.extend(characters.by_ref().take(4));
                }
            }
            '"' => out.push(character),
            ' '..='~' => {
                is_plain = true;
                if !was_plain {
                    out.push('*');
                }
            }
            other => out.push(other),
        }
    }
}

/// A value as a text of this form; where the form is a text of its own, as compact JSON.
#[must_use]
pub fn written(form: &str, value: &Value) -> String {
    let (_, between, after_key, end) = WAYS
        .iter()
        .find(|(name, ..)| *name == form)
        .unwrap_or(&("", ",", ":", ""));
    let mut out = String::new();
    write(value, between, after_key, &mut out);
    out.push_str(end);
    out
}

/// Python's `json.dumps`: all but ASCII is escaped, and numbers keep the text that they came with.
fn write(value: &Value, between: &str, after_key: &str, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in members.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { between });
                write_text(key, out);
                out.push_str(after_key);
                write(member, between, after_key, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { between });
                write(item, between, after_key, out);
            }
            out.push(']');
        }
        Value::String(text) => write_text(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // A String takes whatever is written to it.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form_of(text: &str) -> String {
        form(text, &serde_json::from_str(text).unwrap())
    }

    #[test]
    fn how_a_text_is_written_does_not_hang_on_what_it_says() {
        let spelling_of = |text: &str| spelling(text, &serde_json::from_str(text).unwrap());
        assert_eq!(spelling_of(r#"{"a":"x y","n":17}"#), "compact");
        for (text, shown) in [
            (r#"{"a":"x y", "n":17}"#, r#"{"a":"*", "n":0}"#),
            (r#"{"a":1,"a":"2"}"#, r#"{"a":0,"a":"*"}"#),
            (r#"{"\u0061" : "x\/y\"é"}"#, r#"{"\u0061" : "*\/*\"é"}"#),
            (r#"["\u00E9\\",-1.5E+07]"#, r#"["\u00E9\\",-0.0E+0]"#),
            ("[true ,\"\"]", "[true ,\"\"]"),
        ] {
            assert_eq!(spelling_of(text), shown);
        }
    }

    #[test]
    fn the_ways_of_the_servers_are_known_and_every_other_text_stands_for_itself() {
        let flask = r#"{"b":1.50,"a":["\u00e9\ud83d\ude00\n\u007f"]}"#.to_owned() + "\n";
        assert_eq!(form_of(&flask), "compact, a newline at the end");
        assert_eq!(
            form_of(r#"{"b": 1e-07, "a": {}}"#),
            "a blank after each separator"
        );
        assert_eq!(form_of("[null,true]"), "compact");
        for other in [
            "{\"a\":1,\"a\":2}\n",
            "[1 ,2]",
            "[\"é\"]\n",
            r#"["\/"]"#,
            " 1",
            "[1E5]",
            "[1]\r\n",
            r#"["\u00E9"]"#,
        ] {
            assert_eq!(form_of(other), other);
        }
    }
}
