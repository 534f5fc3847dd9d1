//! Paths: their percent-encoding, and whose they are.

use std::borrow::Cow;

use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::reply::{Answer, Failure};

use crate::domain::coerce::ascii_digits;
pub use crate::domain::percent::{all_but, encode};

/// `path` with its escapes decoded; malformed escapes stay, bytes that are not UTF-8 become replacement characters.
pub fn decode(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// Whether a segment is of digits only. Those of every script count, as Python reads them.
pub fn is_number(segment: &str) -> bool {
    !segment.is_empty() && ascii_digits(segment).bytes().all(|byte| byte.is_ascii_digit())
}

/// The row id in a segment of digits; beyond 64 bits it is the largest there is, which no row has.
pub fn row_id(digits: &str) -> i64 {
    ascii_digits(digits).parse().unwrap_or(i64::MAX)
}

/// The row id in a segment of digits, on routes that pass the legacy's words on for one beyond 64 bits.
///
/// # Errors
/// The answer of such a route, for an id that no row can have.
pub fn storable_row_id(digits: &str) -> Result<i64, Answer<Failure>> {
    ascii_digits(digits).parse().map_err(|_| beyond_integers())
}

/// The legacy's answer where its database is given a number beyond 64 bits.
pub fn beyond_integers() -> Answer<Failure> {
    Answer::error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Python int too large to convert to SQLite INTEGER",
    )
}

/// Whether a path, as it was sent, belongs to the Socket.IO endpoint. Slashes doubled at its very start mean nothing there
/// either, unless they are escaped.
pub fn is_socket_path(sent: &str) -> bool {
    sent.starts_with('/') && decode(sent.trim_start_matches('/')).starts_with("socket.io/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_decoded_and_malformed_ones_kept() {
        assert_eq!(decode("/%6f%2Fa%zz%4%FF%c3%a9"), "/o/a%zz%4\u{fffd}\u{e9}");
        assert_eq!(encode("/a b\u{e9}%", const { &all_but("/") }), "/a%20b%C3%A9%25");
    }

    #[test]
    fn the_socket_endpoint_is_found_behind_doubled_slashes() {
        for path in ["/socket.io/", "//socket.io/", "///%73ocket.io/x", "/socket.io%2F"] {
            assert!(is_socket_path(path), "{path}");
        }
        for path in [
            "/socket.io",
            "/socket.iox/",
            "/x//socket.io/",
            "/%2Fsocket.io/",
            "//%2Fsocket.io/",
            "socket.io/",
        ] {
            assert!(!is_socket_path(path), "{path}");
        }
    }

    #[test]
    fn digits_of_every_script_make_a_row_id() {
        for (segment, id) in [("007", 7), ("1\u{661}", 11), ("\u{ff11}", 1)] {
            assert!(is_number(segment), "{segment}");
            assert_eq!(row_id(segment), id, "{segment}");
            assert_eq!(storable_row_id(segment).ok(), Some(id), "{segment}");
        }
        assert_eq!(row_id("9223372036854775808"), i64::MAX);
        assert!(storable_row_id("9223372036854775808").is_err());
        for segment in ["", "\u{b2}", "1.0", "-1", "1_0", "x"] {
            assert!(!is_number(segment), "{segment}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_again(text in any::<String>()) {
            let encoded = encode(&text, const { &all_but("/:@") });
            prop_assert_eq!(decode(&encoded), text);
        }
    }
}
