//! The URL of a request as Flask shows it.

use http::Uri;

use super::{forwarded::Caller, path};

/// What a path shows as an escape beside controls, blanks and `%`.
const ESCAPED_IN_PATH: &[u8] = b"/?#";
/// The same for a query.
const ESCAPED_IN_QUERY: &[u8] = b"&=+#";

/// The whole address that the client asked for, `uri` being the request's target as sent: scheme and host in lower
/// case, the host without the scheme's own port, other escapes than those of reserved characters decoded, no `?` before
/// an empty query.
pub fn current_url(caller: &Caller, uri: &Uri) -> String {
    let sent = path::decode(uri.path());
    let mut url = format!(
        "{}://{}/",
        caller.scheme().to_lowercase(),
        caller.host().to_lowercase()
    );
    // Slashes are no escapes any more; only what would read as another part of the address becomes one.
    for character in sent.trim_start_matches('/').chars() {
        match u8::try_from(character) {
            Ok(byte) if byte != b'/' && stays_escaped(byte, ESCAPED_IN_PATH) => {
                url.push_str(&format!("%{byte:02X}"));
            }
            _ => url.push(character),
        }
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        url.push('?');
        url.push_str(&readable_query(query));
    }
    url
}

fn stays_escaped(byte: u8, reserved: &[u8]) -> bool {
    byte <= b' ' || byte == b'%' || byte == 0x7f || reserved.contains(&byte)
}

/// The byte of an escape whose `%` was read, and what follows; `None` where there is no escape.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, tail) = text.split_first_chunk::<2>()?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((byte, tail))
}

fn readable_query(query: &str) -> String {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escape = (*byte == b'%')
            .then(|| escape(after))
            .flatten()
            .filter(|(decoded, _)| !stays_escaped(*decoded, ESCAPED_IN_QUERY));
        match escape {
            Some((decoded, beyond)) => {
                bytes.push(decoded);
                rest = beyond;
            }
            None => bytes.push(*byte),
        }
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use axum::extract::ConnectInfo;
    use http::Request;
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    fn url(host: &str, target: &str, headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder().uri(target).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
        let request = request.extension(ConnectInfo(peer)).body(()).unwrap();
        current_url(&Caller::of(&request, &[], false), request.uri())
    }

    #[test]
    fn an_address_has_scheme_host_port_path_and_query() {
        for (host, target, expected) in [
            ("a.example:5000", "/x?y=1", "http://a.example:5000/x?y=1"),
            ("A.Example:80", "/x?", "http://a.example/x"),
            ("a", "//x/%68%2f%20%3f", "http://a/x/h/%20%3F"),
            (
                "a",
                "/?q=%41%26%2b%25%zz%4&r=a+b",
                "http://a/?q=A%26%2b%25%zz%4&r=a+b",
            ),
            ("a", "/?q=%c3%a9%ff", "http://a/?q=\u{e9}%FF"),
        ] {
            assert_eq!(url(host, target, &[]), expected);
        }
        let forwarded = [
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-host", "b.example:443"),
        ];
        assert_eq!(url("a", "/x", &forwarded), "https://b.example/x");
    }

    proptest! {
        #[test]
        fn a_query_without_escapes_stays_as_it_is(query in "[^%]*") {
            prop_assert_eq!(readable_query(&query), query);
        }

        // A `%` that begins no escape is left out: as in the legacy, what follows it may read as one afterwards.
        #[test]
        fn a_readable_query_means_what_was_sent(query in "([a-z&=+#/?\u{e9}]|%[0-9a-fA-F]{2}){0,20}") {
            let readable = readable_query(&query);
            let decoded = |text: &str| percent_decode_str(text).collect::<Vec<_>>();
            prop_assert_eq!(decoded(&readable), decoded(&query));
            prop_assert_eq!(&readable_query(&readable), &readable);
            // What is still escaped would be read as something else, or is no text.
            for escape in readable.split('%').skip(1) {
                let byte = u8::from_str_radix(escape.get(..2).unwrap(), 16).unwrap();
                prop_assert!(stays_escaped(byte, ESCAPED_IN_QUERY) || !byte.is_ascii(), "{}", readable);
            }
        }
    }
}
