//! JSON texts in ASCII.

/// Appends a text as a JSON string.
pub(crate) fn push_string(output: &mut String, text: &str) {
    output.push('"');
    for character in text.chars() {
        match character {
            '"' => output.push_str("\\\""),
            '\\' => output.push_str("\\\\"),
            '\n' => output.push_str("\\n"),
            '\r' => output.push_str("\\r"),
            '\t' => output.push_str("\\t"),
            '\u{8}' => output.push_str("\\b"),
            '\u{c}' => output.push_str("\\f"),
            ' '..='~' => output.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    output.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    output.push('"');
}

/// A text as a JSON string.
pub(crate) fn string(text: &str) -> String {
    let mut output = String::with_capacity(text.len() + 2);
    push_string(&mut output, text);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_ascii_and_read_back() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\u{0}\u{7f}\u{e9}\u{1f600}/";
        let json = string(text);
        assert!(json.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_eq!(string("\u{e9}"), "\"\\u00e9\"");
    }
}
