//! Writes JSON as the legacy does: sorted keys, no spaces, nothing but ASCII.

use crate::domain::{
    json::Json,
    json_text::{float, write_string},
};

/// The text form of a value, without the line end of an answer.
pub fn write(value: &Json) -> String {
    let mut text = String::new();
    write_value(&mut text, value);
    text
}

/// The body of an answer: the text form and a line end.
pub fn write_line(value: &Json) -> String {
    let mut text = write(value);
    text.push('\n');
    text
}

// The depth is that of a value the reader accepted or the code built, so recursion is bounded.
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
                    text.push(',');
                }
                write_value(text, item);
            }
            text.push(']');
        }
        Json::Object(members) => {
            // Texts compare byte by byte, which for UTF-8 is the order of code points.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_string(text, name);
                text.push(':');
                write_value(text, member);
            }
            text.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_the_legacys() {
        let value = Json::object([
            ("z", Json::list([1.0, 1e30, 1e-7, -0.0, f64::NAN])),
            ("\u{e9}", "\u{1f600}/\"\\\u{7f}\u{1}\n".into()),
            ("Z", Json::BigInt("1".repeat(25))),
            ("a", Json::Null),
        ]);
        assert_eq!(
            write_line(&value),
            format!(
                "{}{}\n",
                format_args!("{{\"Z\":{},\"a\":null,", "1".repeat(25)),
                "\"z\":[1.0,1e+30,1e-07,-0.0,NaN],\"\\u00e9\":\"\\ud83d\\ude00/\\\"\\\\\\u007f\\u0001\\n\"}"
            )
        );
    }
}
