//! The legacy's reading of base64.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Standard alphabet, exact padding, no white space; bits beyond the last byte may be anything (`QR==` is `QQ==`).
static STRICT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// URL-safe alphabet, with or without padding, in the one spelling that every text of bytes has.
static ONE_SPELLING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes untrusted text; `None` where it is no base64. The empty text is zero bytes.
pub fn decode_strict(text: &str) -> Option<Vec<u8>> {
    STRICT.decode(text).ok()
}

/// Like [`decode_strict`], but takes the URL-safe spelling too: the legacy does so for public keys alone.
pub fn decode_public_key(text: &str) -> Option<Vec<u8>> {
    decode_strict(&text.replace('-', "+").replace('_', "/"))
}

/// Like [`decode_strict`], but reads as Python's lenient reader does: characters outside the alphabet are skipped,
/// and what follows a complete padding is not looked at.
pub fn decode_lenient(text: &[u8]) -> Option<Vec<u8>> {
    let mut taken = Vec::with_capacity(text.len());
    let mut padding = 0;
    for &byte in text {
        match byte {
            b'=' if taken.len() % 4 >= 2 => {
                padding += 1;
                if taken.len() % 4 + padding == 4 {
                    break;
                }
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                taken.push(byte);
                padding = 0;
            }
            _ => {}
        }
    }
    let padding_needed = (4 - taken.len() % 4) % 4;
    if padding_needed != padding {
        return None;
    }
    taken.resize(taken.len() + padding, b'=');
    STRICT.decode(taken).ok()
}

/// Like [`decode_lenient`], but takes the URL-safe spelling too.
pub fn decode_lenient_url_safe(text: &[u8]) -> Option<Vec<u8>> {
    let standard: Vec<u8> = text
        .iter()
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    decode_lenient(&standard)
}

/// URL-safe base64 with padding.
pub fn encode_url_safe(bytes: &[u8]) -> String {
    base64::engine::general_purpose::URL_SAFE.encode(bytes)
}

/// Decodes one part of a signed text as the legacy's library does: padding may be there if it is whole, and nothing else
/// may differ from what an encoder writes. So a token has no second spelling that is as good as it.
pub fn decode_jws_part(text: &str) -> Option<Vec<u8>> {
    if text.ends_with('=') && !text.len().is_multiple_of(4) {
        return None;
    }
    ONE_SPELLING.decode(text).ok()
}

/// Decodes a member of a key in a header as Python does: padding is completed, characters outside both alphabets are
/// skipped (but count when padding is), and what follows a complete padding is not read.
pub fn decode_jwk_member(text: &str) -> Option<Vec<u8>> {
    let missing = (4 - text.len() % 4) % 4;
    decode_lenient_url_safe(format!("{text}{}", "=".repeat(missing)).as_bytes())
}

/// Standard base64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    STRICT.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_exact_form_is_read() {
        assert_eq!(decode_strict("QQ==").unwrap(), b"A");
        assert_eq!(decode_strict("QR==").unwrap(), b"A");
        assert_eq!(decode_strict("").unwrap(), b"");
        for refused in ["QQ", "QQ=", "QQ==\n", " QQ==", "Q Q==", "QQ===", "-_-_", "é==="] {
            assert_eq!(decode_strict(refused), None, "{refused:?}");
        }
        assert_eq!(decode_public_key("-_-_"), decode_strict("+/+/"));
    }

    #[test]
    fn the_lenient_reader_skips_what_is_foreign() {
        for (text, bytes) in [
            ("aGVsbG8=", Some("hello")),
            (" aGV\nsb G8= and more", Some("hello")),
            ("aGVsbG8", None),
            ("not base64!!", None),
            ("=aGVsbG8=", Some("hello")),
            ("", Some("")),
            ("!!", Some("")),
            ("QQ=", None),
            ("QQ=Q=", Some("A\u{4}")),
        ] {
            assert_eq!(
                decode_lenient(text.as_bytes()).as_deref(),
                bytes.map(str::as_bytes),
                "{text:?}"
            );
        }
        assert_eq!(decode_lenient_url_safe(b"-_-_"), decode_strict("+/+/"));
        assert_eq!(encode_url_safe(&[0xfb, 0xff, 0xbf]), "-_-_");
    }

    #[test]
    fn parts_of_signed_texts_have_one_spelling() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("QQ", b"A"),
            ("QQ==", b"A"),
            ("QUI", b"AB"),
            ("QUI=", b"AB"),
            ("QUJD", b"ABC"),
            ("-_-_", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(decode_jws_part(text).as_deref(), Some(bytes), "{text:?}");
        }
        for refused in [
            "Q", "QR", "QR==", "QQ=", "QQ===", "QUI==", "QUJ", "QUJD=", "QUJD==", "QUJD====", "+/-_",
            "QQ!!!!", "QUJ D", "QUJD\n", "QQ==QQ==", "=", "==", "====", "é",
        ] {
            assert_eq!(decode_jws_part(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn members_of_keys_are_read_as_python_reads_them() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("QQ", b"A"),
            ("QR", b"A"),
            ("QQ=", b"A"),
            ("QQ==", b"A"),
            ("QQ==QQ==", b"A"),
            ("-_-_", &[0xfb, 0xff, 0xbf]),
            ("+/-_", &[0xfb, 0xff, 0xbf]),
            ("QQ!!!!", b"A"),
            ("QUJ D", b"ABC"),
            ("QUJD!!!", b"ABC"),
        ] {
            assert_eq!(decode_jwk_member(text).as_deref(), Some(bytes), "{text:?}");
        }
        for refused in ["Q", "QQ!", "QQ!!", "QUJDQ", "Q==="] {
            assert_eq!(decode_jwk_member(refused), None, "{refused:?}");
        }
    }

    proptest! {
        #[test]
        fn an_unpadded_part_is_read_back(bytes in any::<Vec<u8>>()) {
            let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes);
            prop_assert_eq!(decode_jws_part(&part), Some(bytes.clone()));
            prop_assert_eq!(decode_jws_part(&encode_url_safe(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(decode_jwk_member(&part), Some(bytes));
        }

        #[test]
        fn what_is_encoded_is_read_back(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(decode_strict(&encode(&bytes)), Some(bytes.clone()));
            prop_assert_eq!(decode_lenient(encode(&bytes).as_bytes()), Some(bytes.clone()));
            prop_assert_eq!(decode_lenient_url_safe(encode_url_safe(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn the_lenient_reader_agrees_with_the_strict_one_and_nothing_grows(text in "\\PC*|[A-Za-z0-9+/]{0,12}={0,2}") {
            let strict = decode_strict(&text);
            if strict.is_some() {
                let lenient = decode_lenient(text.as_bytes());
                prop_assert_eq!(&lenient, &strict);
            }
            for read in [strict, decode_lenient_url_safe(text.as_bytes()), decode_jws_part(&text), decode_jwk_member(&text)].into_iter().flatten() {
                prop_assert!(read.len() <= text.len());
            }
        }
    }
}
