//! The text of a script inside its document, which may be base64 without saying so.

use crate::domain::{
    base64,
    json::{Json, JsonObject},
    text::{is_python_space, python_trim},
};

/// The encoding that a document names for its script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hint {
    Base64,
    Plain,
    None,
}

/// A script as its document holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScriptText {
    /// The text, as [`line_feeds`] leaves it.
    pub text: String,
    /// Whether the document held base64.
    pub was_base64: bool,
}

/// Finds and decodes the script of a document.
///
/// The legacy decodes whatever can be read as base64, so that `exit` becomes rubbish (SCH-13, ASM-13). Here a document
/// that says `plain` is taken as such, and one that names no encoding is decoded only into UTF-8 without control
/// characters.
pub fn script_text(document: &JsonObject) -> ScriptText {
    let hint = hint(document);
    let source = source(document);
    let decoded = decode(&source, hint);
    let mut was_base64 = hint == Hint::Base64;
    let mut text = decoded.unwrap_or(source);
    if hint == Hint::None {
        // Wins even over `script_lines`, as in the legacy.
        let shown = ["script", "content"]
            .iter()
            .filter_map(|name| document.get(*name)?.as_text())
            .find(|text| !text.is_empty());
        if let Some(decoded) = shown.and_then(|text| decode(text, hint)) {
            was_base64 = true;
            text = decoded;
        }
    }
    ScriptText {
        text: line_feeds(&text),
        was_base64,
    }
}

/// Every CRLF becomes a line feed. Of CR CR LF a CRLF is left, which the next look at the text finds: the legacy looks at a
/// script when it reads its document, and once more when it encodes it for a file or an agent.
pub fn line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// The text of a file that is no document: every kind of line end becomes a line feed.
pub fn plain_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .replace("\r\n", "\n")
        .replace('\r', "\n")
}

fn hint(document: &JsonObject) -> Hint {
    let word = ["script_encoding", "scriptEncoding"]
        .iter()
        .filter_map(|name| document.get(*name))
        .find(|value| value.is_truthy())
        .map(Json::python_text)
        .unwrap_or_default();
    match word.to_lowercase().as_str() {
        "base64" | "b64" | "base-64" => Hint::Base64,
        "plain" => Hint::Plain,
        _ => Hint::None,
    }
}

fn source(document: &JsonObject) -> String {
    if let Some(lines) = document.get("script_lines").and_then(Json::as_list) {
        let lines: Vec<_> = lines.iter().map(Json::python_str).collect();
        return lines.join("\n");
    }
    ["script", "content"]
        .iter()
        .find_map(|name| document.get(*name)?.as_text())
        .unwrap_or_default()
        .to_owned()
}

fn decode(text: &str, hint: Hint) -> Option<String> {
    if hint == Hint::Plain {
        return None;
    }
    let digits: String = text
        .chars()
        .filter(|character| !is_python_space(*character))
        .collect();
    // Python forgives any padding behind complete groups, and none without one.
    let groups = digits.trim_end_matches('=');
    let digits = if !groups.is_empty() && groups.len().is_multiple_of(4) {
        groups
    } else {
        &digits
    };
    let bytes = base64::decode_strict(digits)?;
    match hint {
        Hint::Base64 => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => String::from_utf8(bytes).ok().filter(|text| is_text(text)),
    }
}

fn is_text(text: &str) -> bool {
    text.chars()
        .all(|character| !character.is_control() || matches!(character, '\t' | '\n' | '\r'))
        || python_trim(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json_reader::read_text;

    fn read(document: &str) -> (String, bool) {
        let Ok(Json::Object(members)) = read_text(document) else {
            panic!("{document}");
        };
        let script = script_text(&members);
        (script.text, script.was_base64)
    }

    #[test]
    fn base64_is_decoded_with_or_without_a_hint() {
        for document in [
            r#"{"script":"ZWNobyBoaQ=="}"#,
            r#"{"script":"ZWNo\nbyBoaQ=="}"#,
            r#"{"script":"ZWNobyBoaQ==","script_encoding":" B64 "}"#,
            r#"{"content":"ZWNobyBoaQ==","scriptEncoding":"base-64"}"#,
        ] {
            assert_eq!(read(document), ("echo hi".to_owned(), true), "{document}");
        }
        assert_eq!(
            read(r#"{"script":"aGkNCg==","script_encoding":"base64"}"#).0,
            "hi\n"
        );
    }

    #[test]
    fn plain_words_are_left_alone() {
        for word in ["exit", "dir1", "date", "not base64!", "AAAA"] {
            assert_eq!(
                read(&format!(r#"{{"script":"{word}"}}"#)),
                (word.to_owned(), false)
            );
        }
        assert_eq!(
            read(r#"{"script":"ZWNobyBoaQ==","script_encoding":"plain"}"#),
            ("ZWNobyBoaQ==".to_owned(), false)
        );
    }

    #[test]
    fn a_wrong_hint_changes_nothing() {
        assert_eq!(
            read(r#"{"script":"not base64!","script_encoding":"base64"}"#).0,
            "not base64!"
        );
        assert_eq!(
            read(r#"{"script":"ZWNobyBoaQ","script_encoding":"base64"}"#).0,
            "ZWNobyBoaQ"
        );
    }

    #[test]
    fn padding_is_taken_where_python_takes_it() {
        for (script, text) in [
            ("QUJD=", "ABC"),
            ("QUJD==", "ABC"),
            ("QUJD====", "ABC"),
            ("QUI=", "AB"),
            ("QUJ=", "AB"),
            ("QQ==", "A"),
            (" ", ""),
            ("=", "="),
            ("==", "=="),
            ("QQ=", "QQ="),
            ("QQ===", "QQ==="),
            ("QUI==", "QUI=="),
            ("QUJDRA===", "QUJDRA==="),
            ("QUJDQ===", "QUJDQ==="),
            ("QUJD=QUJD", "QUJD=QUJD"),
            ("QQ==QQ==", "QQ==QQ=="),
        ] {
            let document = format!(r#"{{"script":"{script}","script_encoding":"base64"}}"#);
            assert_eq!(read(&document).0, text, "{script}");
        }
    }

    #[test]
    fn the_source_is_the_first_that_is_there() {
        assert_eq!(
            read(r#"{"script_lines":["one;",2,null],"script":"other text;"}"#).0,
            "one;\n2\nNone"
        );
        assert_eq!(
            read(r#"{"script_lines":["from lines;"],"script":"c29tZSBvdGhlcg=="}"#).0,
            "some other"
        );
        assert_eq!(
            read(r#"{"script":"","content":"echo 'x';"}"#),
            (String::new(), false)
        );
        assert_eq!(read(r#"{"script":5,"content":"a!\r\nb"}"#).0, "a!\nb");
        assert_eq!(read("{}"), (String::new(), false));
    }

    #[test]
    fn a_plain_file_has_line_feeds_only() {
        assert_eq!(
            plain_text(b"\xef\xbb\xbfa\r\nb\rc\xff"),
            "\u{feff}a\nb\nc\u{fffd}"
        );
    }
}
