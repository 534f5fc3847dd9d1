//! YAML in which every text is data: Ansible never takes what is tagged `!unsafe` for a template.

use std::fmt::Write as _;

use super::{json::Json, text::python_float};

/// A document that Ansible reads as this value. Members of objects and of objects inside it are `!unsafe` too.
pub fn unsafe_yaml(value: &Json) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text.push('\n');
    text
}

/// Flow style throughout; explicit keys, because others end at 1,024 characters.
fn write(value: &Json, text: &mut String) {
    match value {
        Json::Null => text.push_str("null"),
        Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Json::Int(number) => text.push_str(&number.to_string()),
        Json::BigInt(digits) => text.push_str(digits),
        Json::Float(number) => write_float(*number, text),
        Json::Text(data) => write_text(data, text),
        Json::List(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push_str(", ");
            }
            text.push(']');
        }
        Json::Object(members) => {
            text.push('{');
            for (name, member) in members {
                text.push_str("? ");
                write_text(name, text);
                text.push_str(" : ");
                write(member, text);
                text.push_str(", ");
            }
            text.push('}');
        }
    }
}

/// Tagged: without a point, what has an exponent would be a text.
fn write_float(number: f64, text: &mut String) {
    text.push_str(&match number {
        number if number.is_nan() => ".nan".to_owned(),
        number if number == f64::INFINITY => ".inf".to_owned(),
        number if number == f64::NEG_INFINITY => "-.inf".to_owned(),
        number => format!("!!float \"{}\"", python_float(number)),
    });
}

fn write_text(data: &str, text: &mut String) {
    text.push_str("!unsafe \"");
    for character in data.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            ' '..='~' => text.push(character),
            // Writing to a string does not fail.
            _ => {
                let _ = write!(text, "\\U{:08X}", u32::from(character));
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json_reader::read_text;

    #[test]
    fn every_text_is_tagged_and_nothing_else_is_one() {
        let value = read_text(
            r#"{"a\n": "{{ x }}", "b": [1, -2.5, 1e+20, true, null, NaN, 123456789012345678901234567890, "é\"\\😀"]}"#,
        )
        .unwrap();
        assert_eq!(
            unsafe_yaml(&value),
            "{? !unsafe \"a\\U0000000A\" : !unsafe \"{{ x }}\", \
             ? !unsafe \"b\" : [1, !!float \"-2.5\", !!float \"1e+20\", true, null, .nan, 123456789012345678901234567890, \
             !unsafe \"\\U000000E9\\\"\\\\\\U0001F600\", ], }\n"
        );
        assert_eq!(unsafe_yaml(&Json::object::<String, 0>([])), "{}\n");
    }
}
