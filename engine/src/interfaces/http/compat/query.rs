//! Query strings as Flask reads them.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};

/// The first value of a parameter, decoded: `+` is a blank. Malformed escapes stay as text, and so do those of bytes that
/// are not UTF-8.
pub fn first(query: Option<&str>, name: &str) -> Option<String> {
    query?
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| decoded(key) == name)
        .map(|(_, value)| decoded(value))
}

fn decoded(text: &str) -> String {
    let text = match text.contains('+') {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    let bytes: Cow<'_, [u8]> = percent_decode(text.as_bytes()).into();
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(percent_encode(chunk.invalid(), NON_ALPHANUMERIC));
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_several_counts_and_bad_escapes_stay() {
        assert_eq!(
            first(Some("a=1&status=a%20b+c&status=x"), "status").as_deref(),
            Some("a b c")
        );
        assert_eq!(first(Some("status=%zz%4"), "status").as_deref(), Some("%zz%4"));
        assert_eq!(first(Some("status"), "status").as_deref(), Some(""));
        assert_eq!(first(None, "status"), None);
    }

    #[test]
    fn escapes_of_what_is_not_utf_8_stay() {
        for (query, value) in [
            ("q=abc%FF", "abc%FF"),
            ("q=%ff%c3%a9+x%zz", "%FF\u{e9} x%zz"),
            ("q=%e2%82A%E2", "%E2%82A%E2"),
            ("q=%f0%9f%98", "%F0%9F%98"),
            ("q=%ed%a0%80", "%ED%A0%80"),
            ("%71=%2571", "%71"),
            ("&&q==&q=x", "="),
        ] {
            assert_eq!(first(Some(query), "q").as_deref(), Some(value), "{query}");
        }
        assert_eq!(first(Some("q%FF=1"), "q%FF").as_deref(), Some("1"));
    }

    proptest! {
        #[test]
        fn what_is_written_first_is_read_whatever_follows(value in "\\PC*", rest in "\\PC*") {
            let escaped: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let query = format!("status={escaped}&{rest}");
            prop_assert_eq!(first(Some(&query), "status"), Some(value));
        }
    }
}
