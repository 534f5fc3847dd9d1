//! Cookies of requests, as Werkzeug reads them.

use http::{HeaderMap, header};

use super::headers::joined;

const BLANKS: [char; 2] = [' ', '\t'];

/// The first cookie of this name. Several `Cookie` lines are one, joined with commas, as WSGI has every header: only the
/// first cookie of a further line is spoilt by that. Bytes that are not UTF-8 spoil the cookie that they stand in, and no
/// other one.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let line = joined(headers, header::COOKIE)?;
    let mut rest = line.as_str();
    loop {
        match pair(rest) {
            Some((key, value, _)) if key == name => return Some(unquoted(value)),
            Some((_, _, behind)) => rest = behind,
            None => (_, rest) = rest.split_once(';')?,
        }
    }
}

/// The cookie at the beginning of a line: its name, its value, and what stands behind it. A name alone has an empty value.
fn pair(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.trim_start_matches(BLANKS);
    let (key, behind) = line.split_at(line.find([' ', '\t', '=', '"', ';']).unwrap_or(line.len()));
    if key.is_empty() {
        return None;
    }
    let behind = behind.trim_start_matches(BLANKS);
    let (value, behind) = match behind.strip_prefix('=') {
        Some(value) => value_of(value.trim_start_matches(BLANKS))?,
        None => ("", behind),
    };
    let behind = behind.trim_start_matches(BLANKS);
    match behind.strip_prefix(';') {
        Some(behind) => Some((key, value, behind)),
        None => behind.is_empty().then_some((key, value, "")),
    }
}

/// A value, with the quotes around it, and what stands behind it. Between quotes there may be anything.
fn value_of(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(text.split_at(text.find([' ', '\t', '"', ';']).unwrap_or(text.len())));
    };
    let mut escaped = false;
    let end = quoted.find(|character| {
        let is_end = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        is_end
    })?;
    text.split_at_checked(end + 2)
}

/// A value without its quotes: `\"` and the like are the character, `\303` is a byte.
fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match (first, behind) {
            (
                b'\\',
                [
                    high @ b'0'..=b'3',
                    middle @ b'0'..=b'7',
                    low @ b'0'..=b'7',
                    behind @ ..,
                ],
            ) => {
                bytes.push((high - b'0') * 64 + (middle - b'0') * 8 + (low - b'0'));
                rest = behind;
            }
            (b'\\', [character, behind @ ..]) => {
                bytes.push(*character);
                rest = behind;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(lines: &[&str], name: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        cookie(&headers, name)
    }

    #[test]
    fn a_line_is_read_as_werkzeug_reads_it() {
        for (line, value) in [
            ("s=1", Some("1")),
            ("a=0; s=1; s=2", Some("1")),
            (" \ts = 1 ;a=0", Some("1")),
            ("s=a=b,c", Some("a=b,c")),
            ("s=", Some("")),
            // A name alone is a cookie.
            ("s; s=1", Some("")),
            ("s;", Some("")),
            (r#"s="1""#, Some("1")),
            (r#"s="a;b\"\303\251 c"; a=0"#, Some("a;b\"\u{e9} c")),
            // What is no pair is passed over up to the next semicolon.
            ("a b=1; s=1", Some("1")),
            ("=1; s=1", Some("1")),
            (r#"a="x; s=1"#, Some("1")),
            (r#"s="1"x; a=0"#, None),
            ("s=1 2", None),
            ("S=1", None),
            (";;", None),
            ("", None),
        ] {
            assert_eq!(of(&[line], "s").as_deref(), value, "{line}");
        }
    }

    #[test]
    fn lines_are_one_as_wsgi_joins_them() {
        assert_eq!(of(&["a=1", "s=2"], "s"), None);
        assert_eq!(of(&["a=1", "s=2"], "a").as_deref(), Some("1,s=2"));
        assert_eq!(of(&["a=1", "b=2; s=3"], "s").as_deref(), Some("3"));
        assert_eq!(of(&[], "s"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "[sa=;,\"\\\\ \t0-9\u{e9}]{0,40}") {
            if let Some(value) = of(&[&line], "s") {
                prop_assert!(line.contains('s') && value.len() <= line.len());
            }
        }
    }
}
