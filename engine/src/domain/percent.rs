//! Percent-encoding.
//!
//! Short because the crate does it; what stays as it is differs from place to place.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is escaped where letters, digits, `-._~` and the characters of `safe` stay.
pub const fn all_but(safe: &str) -> AsciiSet {
    let mut escaped = NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let mut rest = safe.as_bytes();
    while let [byte, others @ ..] = rest {
        escaped = escaped.remove(*byte);
        rest = others;
    }
    escaped
}

/// `text` with escapes for these characters and for all that is not ASCII.
pub fn encode(text: &str, escaped: &'static AsciiSet) -> String {
    utf8_percent_encode(text, escaped).to_string()
}
