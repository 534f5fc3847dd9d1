//! Headers as WSGI hands them on.

use http::{HeaderMap, header::AsHeaderName};

/// All lines of a header as one, joined with commas; `None` where there is no line. Bytes that are not UTF-8 become
/// replacement characters.
pub fn joined(headers: &HeaderMap, name: impl AsHeaderName) -> Option<String> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// A value without the double quotes around it, where there are both.
pub fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn lines_are_joined_in_order() {
        let mut headers = HeaderMap::new();
        assert_eq!(joined(&headers, "dpop"), None);
        headers.append("DPoP", HeaderValue::from_static(""));
        assert_eq!(joined(&headers, "dpop").as_deref(), Some(""));
        headers.append("DPoP", HeaderValue::from_bytes(b"a\xff").unwrap());
        assert_eq!(joined(&headers, "dpop").as_deref(), Some(",a\u{fffd}"));
    }
}
