//! The forms that volatile values have, as far as a look at the text can tell.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use std::sync::LazyLock;

/// DER of an Ed25519 key's SubjectPublicKeyInfo up to the key itself.
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// UUIDs and install codes wherever they stand.
pub(crate) static EMBEDDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        r"|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}",
        r"|[0-9A-F]{4}(?:-[0-9A-F]{4}){7})\b"
    ))
});

/// Compiles a pattern that stands in this program.
#[expect(
    clippy::expect_used,
    reason = "the pattern is a constant that every test run compiles"
)]
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// The groups of a match; a group that took no part is empty.
pub(crate) fn captures<'a, const N: usize>(pattern: &Regex, text: &'a str) -> Option<[&'a str; N]> {
    let found = pattern.captures(text)?;
    Some(std::array::from_fn(|at| {
        found.get(at + 1).map_or("", |group| group.as_str())
    }))
}

/// The form of something that [`EMBEDDED`] matched.
pub(crate) fn embedded(text: &str) -> &'static str {
    if text.len() == 39 {
        "install code"
    } else if text.bytes().any(|byte| byte.is_ascii_lowercase())
        || !text.bytes().any(|b| b.is_ascii_uppercase())
    {
        "uuid"
    } else {
        "GUID"
    }
}

/// A random text has all three kinds of characters.
fn mixed(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a text is lower-case hex of the given length.
pub(crate) fn hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The form of a whole text that is an opaque secret, key or nonce.
pub(crate) fn opaque(text: &str) -> Option<String> {
    if hex(text, 64) {
        return Some("sha256".to_owned());
    }
    if hex(text, 32) {
        return Some("hex of 16 bytes".to_owned());
    }
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let url_safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if text.len() == 64 && text.bytes().all(url_safe) && mixed(text) {
        return Some("token of 64".to_owned());
    }
    if text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')) {
        return Some("base32 of 20 bytes".to_owned());
    }
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() >= 24)?;
    // What decodes to text was written by somebody: a script, for instance.
    if std::str::from_utf8(&bytes).is_ok() || !(text.ends_with('=') || mixed(text)) {
        return None;
    }
    if bytes.len() == 44 && bytes.starts_with(&ED25519_SPKI) {
        return Some("Ed25519 public key".to_owned());
    }
    Some(format!("base64 of {} bytes", bytes.len()))
}

/// A password that a recording holds masked, with the number that keeps its identity.
static MASKED_PASSWORD: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^<generated-password:\d+ length=24 four-classes=yes>$"));

/// Whether this is a password that a server made up: 24 characters of four classes, each of which is there.
pub(crate) fn made_up_password(text: &str) -> bool {
    let classes: [fn(u8) -> bool; 4] = [
        |byte| byte.is_ascii_lowercase(),
        |byte| byte.is_ascii_uppercase(),
        |byte| byte.is_ascii_digit(),
        |byte| b"!@#$%^&*()-_=+[]{}<>.?".contains(&byte),
    ];
    let in_the_clear = text.len() == 24
        && classes.iter().all(|class| text.bytes().any(class))
        && text.bytes().all(|byte| classes.iter().any(|class| class(byte)));
    in_the_clear || MASKED_PASSWORD.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_forms() {
        let form = |text: &str| opaque(text).unwrap_or_default();
        assert_eq!(
            form("yvN79sWOwNHGXUwFi8bTEobh5ICrH0m34x8jq3cwSuQ="),
            "base64 of 32 bytes"
        );
        assert_eq!(
            form("MCowBQYDK2VwAyEAhv29WGsJRAmfn/w0Nt1XQK+OnSsu7oUh1Zycl7U5Ujo="),
            "Ed25519 public key"
        );
        assert_eq!(
            form("aUzP6qkFBJ45nK4R_0U50hlvPa10kF7_UoEthCPkGW8nXKZGTnhX4nLbOATlWbiQ"),
            "token of 64"
        );
        assert_eq!(
            form("7677eceafeff3d3956c282553a845a40f9d4a3317c3bce60d357bece458b92c3"),
            "sha256"
        );
        assert_eq!(
            form("d3JpdGUtaG9zdCAiaGVsbG8sIHdvcmxkISI="),
            "",
            "a script in base64"
        );
        assert_eq!(form("6df391f21a636df391f21a636df391f21a63abcd"), "", "a commit");
    }

    #[test]
    fn a_made_up_password_has_every_class() {
        assert!(made_up_password("_<<GP^sIMi!%^mS]E2YEpFDu"));
        assert!(made_up_password(
            "<generated-password:3 length=24 four-classes=yes>"
        ));
        for other in [
            "_<<GP^sIMi!%^mS]E2YEpFD",
            "_<<GP^sIMi!%^mS]E2YEpFD/",
            "_<<GP^sIMi!%^mS]EXYEpFDu",
            "ABCDEFGH!JKLMNOPQRSTUVW1",
            "<generated-password:3 length=23 four-classes=yes>",
        ] {
            assert!(!made_up_password(other), "{other}");
        }
    }

    #[test]
    fn embedded_forms() {
        assert_eq!(embedded("38ff2d60-10ff-42e4-8562-a57cbddd4172"), "uuid");
        assert_eq!(embedded("5339A553-7BBF-487B-A4F6-DFCD06C88FF5"), "GUID");
        assert_eq!(
            embedded("CA8D-E3AB-3D7F-DFDF-9B93-E6EE-6987-8578"),
            "install code"
        );
        assert!(EMBEDDED.is_match("device:5339A553-7BBF-487B-A4F6-DFCD06C88FF5"));
    }
}
